#!lua
-- Every change of the queue that touches more than one Redis key; run atomically. Called by worker.jobs.client and
-- worker.jobs.consumer as (operation, arguments…). Times are the server's own, in seconds.
--
--   babelia:waiting:<edition>   sorted set, page → turn: who waits, in which order          (no expiry: never evicted)
--   babelia:printing            sorted set, page → turn: pages that some press has taken
--   babelia:page:<page>         hash: address, edition, state, step, of, preview, mark, sentence, until, version
--   babelia:claim:<page>        token of the press that prints it; its expiry is the lease
--   babelia:watch:<page>        sorted set, visitor → until when they count as watching
--   babelia:attempts:<page>     how often a press has taken it
--   babelia:preview:<page>      step, colon, WebP bytes
--   babelia:presses             sorted set, press → until when it counts as alive
--   babelia:able                sorted set, the same of presses that can print just now: estimates count them
--   babelia:pace:<edition>      seconds a page takes, smoothed
--   babelia:hot:<page>          mark, digest and PNG of a picture that was opened lately
--   babelia:hot                 sorted set, page → when its picture was put there
--   babelia:nudged:<edition>    somebody reminded the presses less than five seconds ago
--   babelia:turn, babelia:version   counters
--   babelia:news                channel: pages that changed
--   press.<edition>             Celery's own list of messages
--
-- <page> is the digest of its address.
--
-- The first line makes Redis refuse all of the script where its memory is used up (`maxmemory`). Without it a script goes
-- on once it has written anything, and pages are queued for presses that no message reaches.

local PAGE_EXPIRY, ATTEMPTS_EXPIRY, PREVIEW_EXPIRY = 3600, 900, 120
local LOST_PATIENCE = 60 -- seconds for which a page whose press died counts as watched, whoever asked for it
local JUST_KEPT = 5 -- seconds for which "kept" is believed without a file: it was looked for a moment before

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

local function tell(page)
  redis.call('HSET', at(page), 'version', next_of('babelia:version'))
  redis.call('EXPIRE', at(page), PAGE_EXPIRY)
  redis.call('PUBLISH', 'babelia:news', page)
end

local function watched(page)
  return redis.call('ZCOUNT', 'babelia:watch:' .. page, now, '+inf') > 0
end

local function watch(page, visitor, patience)
  local key = 'babelia:watch:' .. page
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZADD', key, now + patience, visitor)
  redis.call('EXPIRE', key, 660)
end

local function queue(page, edition, turn)
  redis.call('ZADD', waiting(edition), turn, page)
  redis.call('ZREM', 'babelia:printing', page)
  redis.call('HSET', at(page), 'state', 'queued')
  redis.call('HDEL', at(page), 'step', 'of', 'preview', 'sentence', 'until')
  tell(page)
end

local function fail(page, sentence, pause)
  redis.call('ZREM', 'babelia:printing', page)
  redis.call('HSET', at(page), 'state', 'failed', 'sentence', sentence, 'until', tostring(now + pause))
  redis.call('DEL', 'babelia:preview:' .. page, 'babelia:attempts:' .. page)
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
  watch(page, '*', LOST_PATIENCE) -- no visitor's name
  queue(page, edition, redis.call('ZSCORE', 'babelia:printing', page) or next_of('babelia:turn'))
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

local function describe(page, state, hint)
  local found = redis.call('HMGET', at(page), 'version', 'step', 'of', 'preview', 'mark', 'sentence', 'until', 'edition')
  local edition = found[8] or ''
  local place = state == 'queued' and redis.call('ZRANK', waiting(edition), page) or false
  local presses = redis.call('ZCOUNT', 'babelia:able', now, '+inf')
  local pace = redis.call('GET', 'babelia:pace:' .. edition)
  local left = found[7] and tostring(tonumber(number(found[7])) - now) or ''
  return { state, hint, whole(found[1]), place and place + 1 or 0, whole(found[2]), whole(found[3]), whole(found[4]),
    found[5] or '', found[6] or '', left, pace and number(pace) ~= '0' and pace or '', presses }
end

local operations = {}

function operations.ask(page, address, edition, visitor, patience, limit, again)
  local state = state_of(page)
  if state == 'failed' and again == '1' then
    redis.call('DEL', 'babelia:attempts:' .. page)
    state = 'absent'
  end
  if state == 'failed' or state == 'kept' then
    return describe(page, state, 0)
  end
  if state == 'absent' and redis.call('ZCARD', waiting(edition)) >= tonumber(limit) then
    return describe(page, 'busy', 0)
  end
  watch(page, visitor, tonumber(patience))
  if state ~= 'absent' then
    return describe(page, state, state == 'queued' and forgotten(edition) or 0)
  end
  -- A page whose press has died keeps the turn it had.
  local turn = redis.call('ZSCORE', 'babelia:printing', page) or next_of('babelia:turn')
  redis.call('HSET', at(page), 'address', address, 'edition', edition)
  queue(page, edition, turn)
  return describe(page, 'queued', 1)
end

function operations.look(page, edition)
  if is_lost(page) and watched(page) then -- somebody waits already, and need not ask twice
    queue_again(page, edition)
    return describe(page, 'queued', 1)
  end
  local state = state_of(page)
  return describe(page, state, state == 'queued' and forgotten(edition) or 0)
end

operations.recover = recover

function operations.watch(page, visitor, patience)
  watch(page, visitor, tonumber(patience))
end

function operations.leave(page, edition, visitor)
  redis.call('ZREM', 'babelia:watch:' .. page, visitor)
  if state_of(page) == 'queued' and not watched(page) then
    redis.call('ZREM', waiting(edition), page)
    redis.call('HSET', at(page), 'state', 'absent')
    tell(page)
  end
  return describe(page, state_of(page), 0)
end

-- Takes up to `count` pages for a press. Pages that nobody watches leave the queue, pages that were tried too often fail.
function operations.take(edition, count, token, lease, attempts, sentence, pause)
  recover()
  local taken = {}
  while #taken < 2 * tonumber(count) do
    local head = redis.call('ZRANGE', waiting(edition), 0, 0, 'WITHSCORES')
    if #head == 0 then break end
    local page, turn = head[1], head[2]
    redis.call('ZREM', waiting(edition), page)
    local address = redis.call('HGET', at(page), 'address')
    if address and redis.call('EXISTS', 'babelia:claim:' .. page) == 0 then
      if not watched(page) then
        redis.call('HSET', at(page), 'state', 'absent')
        tell(page)
      elseif next_of('babelia:attempts:' .. page) > tonumber(attempts) then
        fail(page, sentence, tonumber(pause))
      else
        redis.call('EXPIRE', 'babelia:attempts:' .. page, ATTEMPTS_EXPIRY)
        redis.call('SET', 'babelia:claim:' .. page, token, 'PX', lease)
        redis.call('ZADD', 'babelia:printing', turn, page)
        redis.call('HSET', at(page), 'state', 'printing', 'step', 0, 'of', 0, 'preview', 0)
        redis.call('DEL', 'babelia:preview:' .. page)
        tell(page)
        taken[#taken + 1] = page
        taken[#taken + 1] = address
      end
    end
  end
  if #taken > 0 then redis.call('PUBLISH', 'babelia:news', edition) end -- everybody behind them moves up
  return taken
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
  redis.call('ZREM', 'babelia:printing', page)
  redis.call('ZREM', waiting(edition), page)
  redis.call('DEL', 'babelia:attempts:' .. page, 'babelia:watch:' .. page)
  redis.call('HSET', at(page), 'state', 'kept', 'mark', mark, 'until', tostring(now + JUST_KEPT))
  if tonumber(seconds) > 0 then
    local pace = tonumber(redis.call('GET', 'babelia:pace:' .. edition) or '') or tonumber(seconds)
    redis.call('SET', 'babelia:pace:' .. edition, tostring(0.8 * pace + 0.2 * tonumber(seconds)), 'EX', 604800)
  end
  tell(page)
end

-- A print went wrong: back into the queue at its old turn, or failed where that is final or was the last attempt.
-- Answers the state it is in now; '' if the claim is another's.
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
  return 'queued'
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
