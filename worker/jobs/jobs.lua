#!lua
-- Every change of the queue that touches more than one Redis key; run atomically. Called by worker.jobs.client and
-- worker.jobs.consumer as (operation, arguments…). Times are the server's own, in seconds.
--
--   babelia:waiting:<edition>   sorted set, page → turn: who waits, in which order          (no expiry: never evicted)
--   babelia:until:<edition>     sorted set, waiting page → until when somebody watches it   (no expiry)
--   babelia:printing            sorted set, page → turn: pages that some press has taken
--   babelia:page:<page>         hash: address, edition, depth, state, step, of, preview, mark, sentence, until, left, version
--   babelia:claim:<page>        token of the press that prints it; its expiry is the lease
--   babelia:watch:<page>        sorted set, tab → until when it counts as watching
--   babelia:by:<page>           hash, tab → kind and visitor: who asks for the page
--   babelia:gone:<page>:<tab>   this tab has left a moment ago: its stream, still open, does not ask again
--   babelia:own:<edition>:<visitor>            sorted set, page → turn: what a visitor waits for
--   babelia:served:<edition>:<kind>:<visitor>  the round in which a press took a page of this visitor last
--   babelia:asked:<visitor>, babelia:asked-ahead:<visitor>   how many pages a visitor has put into the queue in this minute
--   babelia:round               hash, <edition>:<kind> → the round of the page that a press took last      (no expiry)
--   babelia:attempts:<page>     how often a press has taken it
--   babelia:preview:<page>      step, colon, WebP bytes
--   babelia:reprint:<page>      what came of printing a kept page a second time: JSON (worker.catalogue.comparison)
--   babelia:search:<page>       PNG of the picture that is searched for
--   babelia:sofar:<page>        how far a search has come: JSON
--   babelia:draft:<page>        the bytes of the best key that it has by now
--   babelia:found:<page>        what a search has found: JSON (worker.searches)
--   babelia:became:<page>       the name of the search that a parked picture went over to, for links to the first one
--   babelia:resting             sorted set, search → since when nobody works on it although its picture is here
--   babelia:presses             sorted set, press → until when it counts as alive
--   babelia:able                sorted set, the same of presses that can print just now: estimates count them
--   babelia:pace:<edition>      seconds a page takes, smoothed; with :<depth> behind it, those of a search
--   babelia:hot:<page>          mark, digest and PNG of a picture that was opened lately
--   babelia:hot                 sorted set, page → when its picture was put there
--   babelia:nudged:<edition>    somebody reminded the presses less than five seconds ago
--   babelia:turn, babelia:version   counters
--   babelia:news                channel: pages that changed
--   press.<edition>             Celery's own list of messages
--
-- <page> is the digest of its address, with "+again" behind it where a kept page is printed a second time; of a search it
-- is the digest of what is searched for and "+search". <visitor> is the keyed hash of an address on the net, <tab> a name
-- made up for a tab.
--
-- Turns go round the visitors (start-time fair queueing: Goyal, Vin, Cheng 1996). A page's turn is its kind, its round,
-- and the order of asking, in this weight. Its round is one more than that of the page before it of the same visitor, and
-- no less than the round that the presses have come to: a visitor's second page is behind every other visitor's first,
-- and nobody gains by having asked for nothing before. A page that several ask for has the best of their turns. All is
-- one sorted set, so that the order that is shown is the order that is printed, at O(log n).
--
-- In the queue of release 0.1.0 a turn was a number counted from 1: kind 0, round 0. Its pages are printed first.
--
-- The first line makes Redis refuse all of the script where its memory is used up (`maxmemory`). Without it a script goes
-- on once it has written anything, and pages are queued for presses that no message reaches.

local PAGE_EXPIRY, ATTEMPTS_EXPIRY, PREVIEW_EXPIRY, WATCH_EXPIRY, VISITOR_EXPIRY = 3600, 900, 120, 660, 3600
local LOST_PATIENCE = 60 -- seconds for which a page whose press died counts as watched, whoever asked for it
local JUST_KEPT = 5 -- seconds for which "kept" is believed without a file: it was looked for a moment before
local JUST_GONE = 5 -- seconds within which the site has noticed that a stream is closed
local LOST = '*' -- stands for a tab and a visitor where a press died: no name

local KIND, ROUND = 2 ^ 51, 2 ^ 20 -- a turn is below 2^53; the order of asking begins anew at 2^20, which hurts few
local SEARCH, AHEAD = 2, 3 -- the kinds: 0 people, 1 programs, 2 searches, 3 pages that are printed ahead
local AHEAD_LIMIT = 20 -- so many of those wait at most
local REST, RESTING = 600, 40 -- seconds for which a picture outlives its search, and so many pictures do
local SETTLED_AT_ONCE = 100 -- tabs that wait for one page; of more, its turn is worked out as it is taken

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

-- The server reads its files again without noticing a flipped bit in a value. What is no number by now counts as none,
-- and a counter that is none goes on at the clock's milliseconds, above all that it can have been.
local function number(text) return text and string.find(text, '^%d+%.?%d*$') and text or '0' end
local function whole(text) return text and string.find(text, '^%d+$') and text or '0' end
local function next_of(key)
  local counted = redis.pcall('INCR', key)
  if type(counted) == 'number' then return counted end
  redis.call('SET', key, string.format('%.0f', now * 1000))
  return redis.call('INCR', key)
end

local function at(page) return 'babelia:page:' .. page end
local function waiting(edition) return 'babelia:waiting:' .. edition end
local function own(edition, visitor) return 'babelia:own:' .. edition .. ':' .. visitor end
local function kind_of(turn) return math.floor(tonumber(turn) / KIND) end
local function round_of(turn) return math.floor(tonumber(turn) % KIND / ROUND) end
local function exact(value) return string.format('%.0f', value) end
local function is_search(page) return string.sub(page, -7) == '+search' end

-- How many of a sorted set of turns are of a kind.
local function count(set, kind)
  return redis.call('ZCOUNT', set, exact(kind * KIND), exact((kind + 1) * KIND - 1))
end

local function tell(page)
  redis.call('HSET', at(page), 'version', next_of('babelia:version'))
  redis.call('EXPIRE', at(page), PAGE_EXPIRY)
  redis.call('PUBLISH', 'babelia:news', page)
end

local function watched(page)
  return redis.call('ZCOUNT', 'babelia:watch:' .. page, now, '+inf') > 0
end

local function watch(page, tab, patience, kind, visitor)
  local tabs, by = 'babelia:watch:' .. page, 'babelia:by:' .. page
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', tabs, '-inf', now)) do
    redis.call('HDEL', by, gone)
    redis.call('ZREM', tabs, gone)
  end
  redis.call('ZADD', tabs, now + patience, tab)
  if visitor then redis.call('HSET', by, tab, kind .. ' ' .. visitor) end
  redis.call('EXPIRE', tabs, WATCH_EXPIRY)
  redis.call('EXPIRE', by, WATCH_EXPIRY)
  redis.call('EXPIRE', 'babelia:search:' .. page, PAGE_EXPIRY)
  redis.call('ZREM', 'babelia:resting', page)
end

-- The picture of a search and how far that has come are let go.
local function forget(page)
  redis.call('DEL', 'babelia:search:' .. page, 'babelia:sofar:' .. page, 'babelia:draft:' .. page)
  redis.call('ZREM', 'babelia:resting', page)
end

-- Nobody works on a search: its picture goes in a while, or as soon as many others rest.
local function rest(page)
  if not is_search(page) then return end
  for _, part in ipairs({ 'search:', 'sofar:', 'draft:' }) do redis.call('EXPIRE', 'babelia:' .. part .. page, REST) end
  redis.call('ZREMRANGEBYSCORE', 'babelia:resting', '-inf', now - REST)
  redis.call('ZADD', 'babelia:resting', now, page)
  local over = redis.call('ZCARD', 'babelia:resting') - RESTING
  if over > 0 then
    for _, old in ipairs(redis.call('ZRANGE', 'babelia:resting', 0, over - 1)) do forget(old) end
  end
end

-- Who asks for a page: for each tab that is heard of, its kind and its visitor (nil where an older site put it there).
local function askers(page)
  local found = {}
  for _, tab in ipairs(redis.call('ZRANGEBYSCORE', 'babelia:watch:' .. page, now, '+inf')) do
    local said = redis.call('HGET', 'babelia:by:' .. page, tab)
    local kind, visitor = string.match(said or '0', '^(%d) ?(.*)$')
    found[#found + 1] = { kind = tonumber(kind or 0), visitor = said and visitor }
  end
  return found
end

-- The best turn of those who ask for a page; the one it has where that is not known of one of them.
local function best_turn(page, edition, turn)
  local best = nil
  for _, asker in ipairs(askers(page)) do
    local its = asker.visitor and redis.call('ZSCORE', own(edition, asker.visitor), page)
    if not its then return turn end
    best = math.min(best or tonumber(its), tonumber(its))
  end
  return best or turn
end

local function note_turn(page, edition, visitor, turn)
  redis.call('ZADD', own(edition, visitor), exact(turn), page)
  redis.call('EXPIRE', own(edition, visitor), VISITOR_EXPIRY)
end

-- Until when the last of those who watch a waiting page does so: after that it is dropped.
local function note_until(page, edition)
  local last = redis.call('ZRANGE', 'babelia:watch:' .. page, -1, -1, 'WITHSCORES')
  if #last == 2 and redis.call('ZSCORE', waiting(edition), page) then
    redis.call('ZADD', 'babelia:until:' .. edition, last[2], page)
  end
end

local function queue(page, edition, turn)
  redis.call('ZADD', waiting(edition), exact(turn), page)
  redis.call('ZREM', 'babelia:printing', page)
  redis.call('HSET', at(page), 'state', 'queued')
  redis.call('HDEL', at(page), 'step', 'of', 'preview', 'sentence', 'until', 'left')
  note_until(page, edition)
  tell(page)
end

-- A page no longer waits, and its visitors no longer for it.
local function unqueue(page, edition)
  redis.call('ZREM', waiting(edition), page)
  redis.call('ZREM', 'babelia:until:' .. edition, page)
  for _, said in ipairs(redis.call('HVALS', 'babelia:by:' .. page)) do
    redis.call('ZREM', own(edition, string.sub(said, 3)), page)
  end
end

-- A page that nobody wants any more.
local function drop(page, edition)
  unqueue(page, edition)
  redis.call('ZREM', 'babelia:printing', page)
  redis.call('DEL', 'babelia:watch:' .. page, 'babelia:by:' .. page)
  redis.call('HSET', at(page), 'state', 'absent')
  redis.call('HDEL', at(page), 'left')
  rest(page)
  tell(page)
end

-- Drops pages that nobody watches: whoever waits behind them is told a place without them. Some at a time.
local function prune(edition)
  for _, page in ipairs(redis.call('ZRANGEBYSCORE', 'babelia:until:' .. edition, '-inf', now, 'LIMIT', 0, 20)) do
    if watched(page) then note_until(page, edition) else drop(page, edition) end
  end
end

-- The last round in which a visitor has a page of a kind that waits, or had one that was taken; nil where there is none.
local function last_round(edition, visitor, kind)
  local served = redis.call('GET', 'babelia:served:' .. edition .. ':' .. kind .. ':' .. visitor)
  served = served and tonumber(whole(served))
  local least, most = exact(kind * KIND), exact((kind + 1) * KIND - 1)
  while true do
    local last = redis.call('ZREVRANGEBYSCORE', own(edition, visitor), most, least, 'WITHSCORES', 'LIMIT', 0, 1)
    if #last == 0 then return served or nil end
    if redis.call('ZSCORE', waiting(edition), last[1]) then
      return math.max(round_of(last[2]), served or 0)
    end
    redis.call('ZREM', own(edition, visitor), last[1]) -- it stopped waiting unnoticed
  end
end

-- The round that the presses have come to.
local function round_now(edition, kind)
  return tonumber(whole(redis.call('HGET', 'babelia:round', edition .. ':' .. kind)))
end

local function next_turn(edition, visitor, kind)
  local round, last = round_now(edition, kind), last_round(edition, visitor, kind)
  if last then round = math.max(round, last + 1) end
  round = math.min(round, KIND / ROUND - 1) -- a damaged one is none of another kind
  return kind * KIND + round * ROUND + next_of('babelia:turn') % ROUND
end

-- A press takes a page: the presses have come to its round, and so has the visitor whose turn it was.
local function spend(page, edition, turn)
  local kind, round = kind_of(turn), round_of(turn)
  if round > round_now(edition, kind) then redis.call('HSET', 'babelia:round', edition .. ':' .. kind, exact(round)) end
  for _, asker in ipairs(askers(page)) do
    local visitor = asker.visitor
    if visitor and tonumber(redis.call('ZSCORE', own(edition, visitor), page) or -1) == turn then
      local served = 'babelia:served:' .. edition .. ':' .. kind .. ':' .. visitor
      redis.call('SET', served, exact(math.max(round, tonumber(whole(redis.call('GET', served))))), 'EX', VISITOR_EXPIRY)
    end
  end
end

local function fail(page, sentence, pause)
  redis.call('ZREM', 'babelia:printing', page)
  redis.call('HSET', at(page), 'state', 'failed', 'sentence', sentence, 'until', tostring(now + pause))
  redis.call('DEL', 'babelia:preview:' .. page, 'babelia:attempts:' .. page)
  rest(page)
  tell(page)
end

-- What a page's state is in truth: a claim that has lapsed, a turn that is gone, a failure that is over count as absent.
local function state_of(page)
  local state = redis.call('HGET', at(page), 'state')
  if state == 'queued' then
    local edition = redis.call('HGET', at(page), 'edition')
    return redis.call('ZSCORE', waiting(edition), page) and 'queued' or 'absent'
  elseif state == 'printing' then
    return redis.call('EXISTS', 'babelia:claim:' .. page) == 1 and 'printing' or 'absent'
  elseif state == 'failed' or state == 'kept' then
    return tonumber(number(redis.call('HGET', at(page), 'until'))) > now and state or 'absent'
  end
  return 'absent'
end

-- A print that stopped halfway: the page keeps the turn it had, and is printed although who asked may be gone by now.
local function queue_again(page, edition)
  if redis.call('HGET', at(page), 'left') then return drop(page, edition) end
  local turn = tonumber(redis.call('ZSCORE', 'babelia:printing', page) or next_turn(edition, LOST, 0))
  watch(page, LOST, LOST_PATIENCE, kind_of(turn), LOST)
  note_turn(page, edition, LOST, turn)
  queue(page, edition, turn)
end

-- Whether a press has taken a page and its claim has lapsed since.
local function is_lost(page)
  return redis.call('HGET', at(page), 'state') == 'printing' and redis.call('EXISTS', 'babelia:claim:' .. page) == 0
end

-- Puts back every page whose claim has lapsed.
local function recover()
  for _, page in ipairs(redis.call('ZRANGE', 'babelia:printing', 0, -1)) do
    local edition = redis.call('HGET', at(page), 'edition')
    if edition and is_lost(page) then
      queue_again(page, edition)
    elseif redis.call('EXISTS', 'babelia:claim:' .. page) == 0 then
      redis.call('ZREM', 'babelia:printing', page)
    end
  end
end

-- Whether the presses should be told that pages wait although they were told before: every message may be lost.
local function forgotten(edition)
  return redis.call('LLEN', 'press.' .. edition) == 0
    and redis.call('SET', 'babelia:nudged:' .. edition, '1', 'NX', 'EX', 5) and 1 or 0
end

-- The key under which the seconds of a page are noted, or of a search of its depth.
local function pace_at(page, edition)
  local depth = is_search(page) and redis.call('HGET', at(page), 'depth')
  return 'babelia:pace:' .. edition .. (depth and ':' .. depth or '')
end

-- The seconds of what comes before a search that waits: pages, searches, and one that a press is at.
local function seconds_before(page, edition, place, pace)
  if not is_search(page) or not place then return '' end
  local turn = redis.call('ZSCORE', waiting(edition), page)
  local searches = redis.call('ZCOUNT', waiting(edition), exact(SEARCH * KIND), '(' .. turn)
  local pages = math.max(0, place - searches) * tonumber(number(redis.call('GET', 'babelia:pace:' .. edition)))
  return tostring(pages + (searches + count('babelia:printing', SEARCH)) * tonumber(number(pace)))
end

local function describe(page, state, hint)
  local found = redis.call('HMGET', at(page), 'version', 'step', 'of', 'preview', 'mark', 'sentence', 'until', 'edition')
  local edition = found[8] or ''
  local place = state == 'queued' and redis.call('ZRANK', waiting(edition), page) or false
  local presses = redis.call('ZCOUNT', 'babelia:able', now, '+inf')
  local pace = redis.call('GET', pace_at(page, edition))
  local left = found[7] and tostring(tonumber(number(found[7])) - now) or ''
  return { state, hint, whole(found[1]), place and place + 1 or 0, whole(found[2]), whole(found[3]), whole(found[4]),
    found[5] or '', found[6] or '', left, pace and number(pace) ~= '0' and pace or '', presses,
    seconds_before(page, edition, place, pace) }
end

local operations = {}

-- Why a page that does not wait yet is not put into the queue: the answer to give, or nil. Counts those that are.
local function refuse(page, edition, limit, visitor, kind, waiting_limit, minute_limit)
  local ahead, searches = count(waiting(edition), AHEAD), count(waiting(edition), SEARCH)
  local others = redis.call('ZCARD', waiting(edition)) - ahead
  if kind == AHEAD then
    if others > 0 or ahead >= AHEAD_LIMIT then return describe(page, 'busy', 0) end
  elseif (kind == SEARCH and searches or others - searches) >= limit then
    return describe(page, 'busy', 0)
  end
  local mine = own(edition, visitor)
  local function of_mine() return kind == SEARCH and count(mine, SEARCH) or redis.call('ZCARD', mine) end
  if waiting_limit > 0 and of_mine() >= waiting_limit then
    for _, old in ipairs(redis.call('ZRANGE', mine, 0, -1)) do
      if not redis.call('ZSCORE', waiting(edition), old) then redis.call('ZREM', mine, old) end
    end
    if of_mine() >= waiting_limit then
      return { 'many', 'waiting', number(redis.call('GET', 'babelia:pace:' .. edition)) }
    end
  end
  if minute_limit > 0 then
    local asked = (kind == AHEAD and 'babelia:asked-ahead:' or 'babelia:asked:') .. visitor
    local count = tonumber(whole(redis.call('GET', asked)))
    if count >= minute_limit then
      return { 'many', 'minute', tostring(redis.call('PTTL', asked) / 1000) }
    elseif count == 0 then
      redis.call('SET', asked, '1', 'EX', 60)
    else
      redis.call('SET', asked, exact(count + 1), 'KEEPTTL')
    end
  end
  return nil
end

-- `follows`: asked by a stream, which may outlive the leaving of its tab for a moment.
function operations.ask(
  page, address, edition, tab, visitor, kind, patience, limit, waiting_limit, minute_limit, again, follows
)
  local gone = 'babelia:gone:' .. page .. ':' .. tab
  if follows == '1' and redis.call('EXISTS', gone) == 1 then return describe(page, 'absent', 0) end
  kind = tonumber(kind)
  prune(edition)
  local state = state_of(page)
  if state == 'failed' and again == '1' then
    redis.call('DEL', 'babelia:attempts:' .. page)
    state = 'absent'
  end
  if state == 'failed' or state == 'kept' then
    return describe(page, state, 0)
  end
  local turn = redis.call('ZSCORE', 'babelia:printing', page) -- a page whose press has died keeps the turn it had
  if state == 'absent' and not turn then
    local refused =
      refuse(page, edition, tonumber(limit), visitor, kind, tonumber(waiting_limit), tonumber(minute_limit))
    if refused then return refused end
  end
  redis.call('DEL', gone)
  watch(page, tab, tonumber(patience), kind, visitor)
  if state == 'printing' then
    redis.call('HDEL', at(page), 'left')
    return describe(page, state, 0)
  end
  if state == 'absent' then
    turn = tonumber(turn or next_turn(edition, visitor, kind))
    note_turn(page, edition, visitor, turn)
    redis.call('HSET', at(page), 'address', address, 'edition', edition)
    queue(page, edition, turn)
    return describe(page, 'queued', 1)
  end
  local mine = redis.call('ZSCORE', own(edition, visitor), page)
  if not mine or kind_of(mine) > kind then
    turn = next_turn(edition, visitor, kind)
    note_turn(page, edition, visitor, turn)
    redis.call('ZADD', waiting(edition), 'LT', exact(turn), page)
  end
  note_until(page, edition)
  return describe(page, state, forgotten(edition))
end

-- A picture is here and nobody searches for it yet: for a while, so that its visitor can look and choose.
function operations.park(page, search, edition, depth, picture, said)
  redis.call('SET', 'babelia:search:' .. page, picture, 'EX', REST)
  redis.call('DEL', 'babelia:became:' .. page)
  redis.call('HSET', at(page), 'address', search, 'edition', edition, 'depth', depth)
  redis.call('EXPIRE', at(page), PAGE_EXPIRY)
  if state_of(page) ~= 'absent' then
    redis.call('EXPIRE', 'babelia:search:' .. page, PAGE_EXPIRY)
    return
  end
  redis.call('SET', 'babelia:sofar:' .. page, said, 'NX')
  rest(page)
end

-- Asks for a search as for a page. `picture` is '' where it is here already; without one there is nothing to search for.
function operations.search(
  page, search, edition, tab, visitor, patience, limit, waiting_limit, minute_limit, again, follows, depth, picture
)
  local state = state_of(page)
  if picture == '' and redis.call('EXISTS', 'babelia:search:' .. page) == 0 and state ~= 'printing' then
    if state == 'queued' then drop(page, edition) end
    return describe(page, state == 'queued' and 'absent' or state, 0)
  end
  local known = redis.call('EXISTS', at(page)) == 1
  redis.call('HSET', at(page), 'address', search, 'edition', edition, 'depth', depth)
  if not known then redis.call('EXPIRE', at(page), PAGE_EXPIRY) end
  local answer =
    operations.ask(page, search, edition, tab, visitor, SEARCH, patience, limit, waiting_limit, minute_limit, again, follows)
  if picture ~= '' and (answer[1] == 'queued' or answer[1] == 'printing') then
    redis.call('SET', 'babelia:search:' .. page, picture, 'EX', PAGE_EXPIRY)
    redis.call('ZREM', 'babelia:resting', page)
  end
  return answer
end

-- How far the press has come with a search that it has claimed; the best key so far, if any, for whoever goes on with it.
function operations.sofar(page, token, facts, draft)
  if redis.call('GET', 'babelia:claim:' .. page) ~= token then return end
  redis.call('SET', 'babelia:sofar:' .. page, facts, 'EX', PAGE_EXPIRY)
  if draft ~= '' then redis.call('SET', 'babelia:draft:' .. page, draft, 'EX', PAGE_EXPIRY) end
  redis.call('EXPIRE', 'babelia:draft:' .. page, PAGE_EXPIRY)
  redis.call('EXPIRE', 'babelia:search:' .. page, PAGE_EXPIRY)
end

-- Lets go of the picture of a search that nobody waits for any more, and of what it has found. 1 if so.
function operations.forget(page)
  local state = state_of(page)
  if state == 'queued' or state == 'printing' and not redis.call('HGET', at(page), 'left') then return 0 end
  forget(page)
  redis.call('DEL', 'babelia:found:' .. page)
  if state ~= 'printing' then redis.call('DEL', at(page)) end
  return 1
end

-- A picture that was parked under one name is searched for under another one, and links to the first lead there.
function operations.move(page, other)
  if operations.forget(page) == 1 then redis.call('SET', 'babelia:became:' .. page, other, 'EX', PAGE_EXPIRY) end
end

function operations.look(page, edition)
  prune(edition)
  if is_lost(page) and watched(page) then -- somebody waits already, and need not ask twice
    queue_again(page, edition)
    return describe(page, 'queued', 1)
  end
  local state = state_of(page)
  return describe(page, state, state == 'queued' and forgotten(edition) or 0)
end

operations.recover = recover

-- A tab goes on watching; one that has left, or that was forgotten, does not.
function operations.watch(page, edition, tab, patience)
  if redis.call('HEXISTS', 'babelia:by:' .. page, tab) == 0 then return end
  watch(page, tab, tonumber(patience))
  note_until(page, edition)
end

function operations.leave(page, edition, tab)
  local by = 'babelia:by:' .. page
  local said = redis.call('HGET', by, tab)
  redis.call('ZREM', 'babelia:watch:' .. page, tab)
  redis.call('HDEL', by, tab)
  redis.call('SET', 'babelia:gone:' .. page .. ':' .. tab, '1', 'EX', JUST_GONE)
  if is_search(page) and redis.call('ZCOUNT', 'babelia:watch:' .. page, now, '+inf') == 1 then
    redis.call('ZREM', 'babelia:watch:' .. page, LOST) -- whoever cancels a search whose press has died means all of it
    redis.call('HDEL', by, LOST)
  end
  local state = state_of(page)
  if state == 'queued' and not watched(page) then
    drop(page, edition)
  elseif state == 'queued' then
    note_until(page, edition)
    if said and redis.call('HLEN', by) <= SETTLED_AT_ONCE then
      local visitor, waits_still = string.sub(said, 3), false
      for _, asker in ipairs(askers(page)) do waits_still = waits_still or asker.visitor == visitor end
      if not waits_still then redis.call('ZREM', own(edition, visitor), page) end
      local turn = tonumber(redis.call('ZSCORE', waiting(edition), page))
      redis.call('ZADD', waiting(edition), exact(best_turn(page, edition, turn)), page)
    end
  elseif state == 'printing' and not watched(page) then
    redis.call('HSET', at(page), 'left', '1')
  end
  return describe(page, state_of(page), 0)
end

-- Takes up to `most` pages for a press, or one search. Pages that nobody watches leave the queue, pages that were tried
-- too often fail.
function operations.take(edition, most, token, lease, attempts, sentence, pause)
  recover()
  prune(edition)
  local taken = {}
  while #taken < 2 * tonumber(most) do
    local head = redis.call('ZRANGE', waiting(edition), 0, 0, 'WITHSCORES')
    if #head == 0 or is_search(head[1]) and #taken > 0 then break end
    local page, turn = head[1], tonumber(head[2])
    local address = redis.call('HGET', at(page), 'address')
    local best = best_turn(page, edition, turn)
    if not address or redis.call('EXISTS', 'babelia:claim:' .. page) == 1 then
      unqueue(page, edition)
    elseif not watched(page) then
      drop(page, edition)
    elseif best > turn then -- whose turn it was is no longer heard of
      redis.call('ZADD', waiting(edition), exact(best), page)
    else
      spend(page, edition, turn)
      unqueue(page, edition)
      if next_of('babelia:attempts:' .. page) > tonumber(attempts) then
        fail(page, sentence, tonumber(pause))
      else
        redis.call('EXPIRE', 'babelia:attempts:' .. page, ATTEMPTS_EXPIRY)
        redis.call('SET', 'babelia:claim:' .. page, token, 'PX', lease)
        redis.call('ZADD', 'babelia:printing', exact(turn), page)
        redis.call('HSET', at(page), 'state', 'printing', 'step', 0, 'of', 0, 'preview', 0)
        redis.call('DEL', 'babelia:preview:' .. page)
        tell(page)
        taken[#taken + 1] = page
        taken[#taken + 1] = address
        if is_search(page) then break end
      end
    end
  end
  if #taken > 0 then redis.call('PUBLISH', 'babelia:news', edition) end -- everybody behind them moves up
  return taken
end

-- The kind of those who want a page that is being printed; beyond all kinds where all who wanted it have left.
local function wanted_by(page)
  if redis.call('HGET', at(page), 'left') then return AHEAD + 1 end
  local best = nil
  for _, asker in ipairs(askers(page)) do best = math.min(best or asker.kind, asker.kind) end
  return best or kind_of(redis.call('ZSCORE', 'babelia:printing', page) or 0)
end

-- The best kind of what waits for a press that prints these editions; that of pages printed ahead where nobody waits.
local function awaited(editions)
  local best = AHEAD
  for edition in string.gmatch(editions, '%S+') do
    prune(edition)
    local head = redis.call('ZRANGE', waiting(edition), 0, 0, 'WITHSCORES')
    if #head > 0 then best = math.min(best, kind_of(head[2])) end
  end
  return best
end

-- Gives up a run that comes after what somebody waits for, all of it: pages that were left or are printed ahead, and a
-- search before which there is a page. 1 if so. It costs them no attempt; those that are still wanted go back to their
-- turn. A search that was left, or whose time is `over`, is given up though nobody waits.
function operations.step_aside(editions, token, over, ...)
  local best, ours = awaited(editions), {}
  for _, page in ipairs({ ... }) do
    if redis.call('GET', 'babelia:claim:' .. page) == token then
      local wanted = wanted_by(page)
      local at_once = is_search(page) and (over == '1' or wanted > AHEAD)
      if not at_once and (wanted < SEARCH or best >= math.min(wanted, AHEAD)) then return 0 end
      ours[#ours + 1] = page
    end
  end
  for _, page in ipairs(ours) do
    redis.call('DEL', 'babelia:claim:' .. page, 'babelia:preview:' .. page)
    local tried = tonumber(whole(redis.call('GET', 'babelia:attempts:' .. page)))
    if tried > 1 then
      redis.call('SET', 'babelia:attempts:' .. page, exact(tried - 1), 'KEEPTTL')
    else
      redis.call('DEL', 'babelia:attempts:' .. page)
    end
    local turn, edition = redis.call('ZSCORE', 'babelia:printing', page), redis.call('HGET', at(page), 'edition')
    if turn and watched(page) then queue(page, edition, turn) else drop(page, edition) end
  end
  return #ours > 0 and 1 or 0
end

-- Renews the lease and notes how far the print is. 0 if the claim is another's by now.
function operations.step(page, token, lease, step, of, mark, preview)
  if redis.call('GET', 'babelia:claim:' .. page) ~= token then return 0 end
  redis.call('PEXPIRE', 'babelia:claim:' .. page, lease)
  redis.call('HSET', at(page), 'step', step, 'of', of, 'mark', mark)
  if preview ~= '' then
    redis.call('SET', 'babelia:preview:' .. page, step .. ':' .. preview, 'EX', PREVIEW_EXPIRY)
    redis.call('HSET', at(page), 'preview', step)
  end
  tell(page)
  return 1
end

function operations.renew(page, token, lease)
  if redis.call('GET', 'babelia:claim:' .. page) == token then redis.call('PEXPIRE', 'babelia:claim:' .. page, lease) end
end

-- The page is kept on disk; that is so whoever has the claim.
function operations.finish(page, token, edition, mark, seconds)
  if redis.call('GET', 'babelia:claim:' .. page) == token then redis.call('DEL', 'babelia:claim:' .. page) end
  unqueue(page, edition)
  redis.call('ZREM', 'babelia:printing', page)
  redis.call('HDEL', at(page), 'left')
  redis.call('DEL', 'babelia:attempts:' .. page, 'babelia:watch:' .. page, 'babelia:by:' .. page)
  redis.call('HSET', at(page), 'state', 'kept', 'mark', mark, 'until', tostring(now + JUST_KEPT))
  if tonumber(seconds) > 0 then
    local noted = pace_at(page, edition)
    local pace = tonumber(redis.call('GET', noted) or '') or tonumber(seconds)
    redis.call('SET', noted, tostring(0.8 * pace + 0.2 * tonumber(seconds)), 'EX', 604800)
  end
  rest(page)
  tell(page)
end

-- A print went wrong: back into the queue at its old turn, or failed where that is final or was the last attempt.
-- Answers the state it is in now ('absent' where all had left it); '' if the claim is another's.
function operations.give_up(page, token, final, attempts, sentence, pause)
  if redis.call('GET', 'babelia:claim:' .. page) ~= token then return '' end
  redis.call('DEL', 'babelia:claim:' .. page)
  local edition = redis.call('HGET', at(page), 'edition')
  local tried = tonumber(redis.call('GET', 'babelia:attempts:' .. page) or '') or 1
  if final == '1' or not edition or tried >= tonumber(attempts) then
    fail(page, sentence, tonumber(pause))
    return 'failed'
  end
  queue_again(page, edition)
  return state_of(page)
end

-- The press that had this claim is known to be dead; the page keeps its turn. 1 if it waits again.
function operations.release(page, token)
  if redis.call('GET', 'babelia:claim:' .. page) ~= token then return 0 end
  redis.call('DEL', 'babelia:claim:' .. page)
  local edition = redis.call('HGET', at(page), 'edition')
  if not edition then return 0 end
  queue_again(page, edition)
  return 1
end

function operations.announce(press, facts, expiry, able)
  for _, set in ipairs({ 'babelia:presses', 'babelia:able' }) do
    redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
    redis.call('ZADD', set, now + tonumber(expiry), press)
  end
  if able == '0' then redis.call('ZREM', 'babelia:able', press) end
  redis.call('SET', 'babelia:press:' .. press, facts, 'EX', expiry)
end

function operations.presses()
  local found = {}
  for _, press in ipairs(redis.call('ZRANGEBYSCORE', 'babelia:presses', now, '+inf')) do
    local facts = redis.call('GET', 'babelia:press:' .. press)
    if facts then found[#found + 1] = facts end
  end
  return found
end

-- Puts a picture ready; the ones that were put there longest ago make room.
function operations.warm(page, picture, expiry, limit)
  redis.call('SET', 'babelia:hot:' .. page, picture, 'EX', expiry)
  redis.call('ZADD', 'babelia:hot', now, page)
  local over = redis.call('ZCARD', 'babelia:hot') - tonumber(limit)
  if over > 0 then
    for _, old in ipairs(redis.call('ZRANGE', 'babelia:hot', 0, over - 1)) do
      redis.call('DEL', 'babelia:hot:' .. old)
      redis.call('ZREM', 'babelia:hot', old)
    end
  end
end

local operation = table.remove(ARGV, 1)
return operations[operation](unpack(ARGV))
