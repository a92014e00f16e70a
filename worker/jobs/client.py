"""The site's side of print jobs (asyncio): asking for pages, following them, leaving, and the pictures that are hot.

Owns who watches a page and for how long that counts, and the copies of pictures in Redis. Imports neither Django,
Celery nor torch.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import re
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, TypeVar, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from worker.catalogue.address import Address
from worker.errors import BabeliaError, StoreUnavailable, TooMany
from worker.jobs.consumer import is_dead
from worker.jobs.progress import (
    KINDS,
    SCRIPT,
    SEARCH_PICTURE_BYTES,
    SEARCHED,
    Depth,
    Press,
    Progress,
    Reprint,
    Search,
    Visitor,
    Wanted,
    read_facts,
    read_presses,
    read_progress,
    redis_away,
)
from worker.store.records import Picture
from worker.store.store import Store

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds for which a visitor counts as watching without being heard of, where the site does not say otherwise."""
GRACE = 10.0
"""Seconds for which a visitor whose stream broke still counts: a reload keeps the page's place."""
ANSWER_WITHIN = 2.5
"""Seconds after which a Redis that does not answer counts as away."""
_RENEW_EVERY = 8.0
_LOOK_EVERY = 1.0  # the news are only a way to look sooner
_QUIET_AFTER = 15.0
_AWAY_AFTER = 20.0  # a Redis that is started again meanwhile breaks no stream
_SEARCHES_OF_ONE = 3
_HOT_WITHIN = 0.4
_PROBE_EVERY = 1.0
_HOT_EXPIRY = 3600
_HOT_SIZE = 2_000_000
_STEP = re.compile(rb"[0-9]{1,4}")

log = logging.getLogger(__name__)


@dataclass
class _Feed:
    """One page that at least one visitor of this process follows: one task looks, all of them see."""

    progress: Progress
    changed: asyncio.Future[None]
    task: asyncio.Task[None] | None = None
    followers: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    error: BabeliaError | None = None

    def show(self, progress: Progress, error: BabeliaError | None = None) -> None:
        """Hand a new state to everybody who waits for one."""
        self.progress, self.error = progress, error
        self.changed.set_result(None)
        self.changed = asyncio.get_running_loop().create_future()


class JobClient:
    """The site's side. One per event loop; get it with `babelia.services.job_client()`.

    Every method raises StoreUnavailable within 2.5 seconds when Redis does not answer (a 503 for the visitor), except
    `picture`, which then still serves what is on disk. `visitor`: who asks; a text alone stands for a person with one
    tab of that name.
    """

    def __init__(
        self,
        url: str,
        store: Store,
        remind: Callable[[str], None],
        *,
        queue_limit: int = 500,
        waiting_limit: int = 0,
        minute_limit: int = 0,
        search_limit: int = 20,
        hot_pictures: int = 200,
    ) -> None:
        """`remind` tells the presses of an edition that pages wait; it blocks, and may fail (see worker.tasks).

        `queue_limit`: pages of an edition that may wait; of them `waiting_limit` of one visitor, who may ask for
        `minute_limit` in a minute (0: any number). `search_limit`: searches of an edition that may wait.
        """
        self.store = store
        self._remind = remind
        self._limits = (queue_limit, waiting_limit, minute_limit)
        self._search_limit = search_limit
        self._hot_pictures = hot_pictures
        self._redis = redis.asyncio.Redis.from_pool(
            redis.asyncio.BlockingConnectionPool.from_url(
                url,
                max_connections=32,
                timeout=2,
                socket_timeout=2,
                socket_connect_timeout=1,
                retry=AsyncRetry(NoBackoff(), 1),
            )
        )
        self._script = self._redis.register_script(SCRIPT)
        self._feeds: dict[str, _Feed] = {}
        self._listener: asyncio.Task[None] | None = None
        self._answers = True
        self._probe: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._chores: set[asyncio.Task[Any]] = set()

    # -- pictures

    async def picture(self, address: Address) -> Picture | None:
        """The PNG of a kept page, from Redis if it is hot, else from disk; None if it is not kept. Starts nothing."""
        hot = f"babelia:hot:{address.digest}"
        data = await self._hot(self._redis.get(hot)) if self._hot_pictures else None
        if isinstance(data, bytes) and (hot_picture := _unpack(data)) is not None:
            return hot_picture
        picture = await asyncio.to_thread(self.store.picture, address)
        if picture is not None and self._hot_pictures and len(picture.png) <= _HOT_SIZE:
            warm = self._call("warm", address.digest, _pack(picture), _HOT_EXPIRY, self._hot_pictures)
            self._chore(self._hot(warm))
        return picture

    async def _hot(self, command: Awaitable[Any]) -> Any:
        """A Redis command that may be skipped: None if Redis is away, at once from the second time on."""
        if not self._answers:
            cast(Any, command).close()
            return None
        try:
            async with asyncio.timeout(_HOT_WITHIN):
                return await command
        except ResponseError:  # it answers, and has no memory left, say
            return None
        except (RedisError, OSError, TimeoutError):
            self._note_silence()
            return None

    def _note_silence(self) -> None:
        """Redis does not answer: nobody who wants a kept picture asks it again until it does."""
        self._answers = False
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._wait_for_answer())

    async def _wait_for_answer(self) -> None:
        while not self._answers:
            await asyncio.sleep(_PROBE_EVERY)
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(ANSWER_WITHIN):
                    await self._redis.ping()
                    self._answers = True

    # -- asking

    async def look(self, address: Wanted) -> Progress:
        """Where a page stands, without asking for it: for HEAD, `.json`, link previews, cards. Starts nothing."""
        return await self._kept(address) or await self._see(address)

    async def ask(
        self,
        address: Wanted,
        visitor: Visitor | str,
        *,
        patience: float = PATIENCE,
        again: bool = False,
        follows: bool = False,
    ) -> Progress:
        """Ask for a page, to be watched by a visitor's tab: kept already, or queued (the first of many asks prints it).

        `patience`: seconds for which this tab counts as watching without being heard of again (1–600); a page that
        nobody watches any more is dropped before its print starts. `again`: forget that the page failed. `follows`: the
        tab asked before, and where it has left a moment ago, this was on its way then and asks for nothing. Raises
        TooMany where the page would be put into the queue, and the visitor has asked for as many as one may.
        """
        assert 1 <= patience <= 600, "patience is 1 to 600 seconds"
        return await self._kept(address) or await self._ask(
            address, _visitor(visitor), patience, again, follows=follows
        )

    async def leave(self, address: Wanted, tab: str) -> Progress:
        """A tab no longer waits. If nobody else does, the page leaves the queue.

        A print of it that has begun is given up as soon as another page waits.
        """
        answer = await self._within(self._call("leave", address.digest, address.edition, tab))
        return await self._kept(address) or read_progress(answer)

    async def preview(self, address: Wanted) -> tuple[int, bytes] | None:
        """(step, WebP bytes of 80 × 52 pixels) of the last preview of a page being printed, or None."""
        data = await self._within(self._redis.get(f"babelia:preview:{address.digest}"))
        if not isinstance(data, bytes):
            return None
        step, _, picture = data.partition(b":")
        return (int(step), picture) if _STEP.fullmatch(step) else None

    async def _kept(self, address: Wanted) -> Progress | None:
        if isinstance(address, Reprint):
            return Progress("kept") if await self.reprint(address) is not None else None
        if isinstance(address, Search):
            found = await self.found(address)
            return Progress("kept", mark=found.get("mark")) if found else None
        mark = await asyncio.to_thread(self.store.find, address)
        return Progress("kept", mark=mark) if mark is not None else None

    async def reprint(self, again: Reprint) -> bytes | None:
        """What came of printing a page a second time, as the press told it; None where nothing did in the last hour."""
        found = await self._within(self._redis.get(f"babelia:reprint:{again.digest}"))
        return found if isinstance(found, bytes) else None

    async def forget_reprint(self, again: Reprint) -> None:
        """Let a page be printed a second time once more."""
        await self._within(self._redis.delete(f"babelia:reprint:{again.digest}"))

    # -- searches

    async def park(self, search: Search, picture: bytes, said: str) -> None:
        """Have a picture (PNG) ready to be searched for, for ten minutes; so many others make it go earlier.

        `said`: what its file was, to be read out of `sofar` until a press has been at it.
        """
        assert len(picture) <= SEARCH_PICTURE_BYTES, "a fitted picture is no larger than its pixels"
        named = (search.digest, search.format(), search.edition, search.depth)
        await self._within(self._call("park", *named, picture, json.dumps({"said": said})))

    async def search_named(self, id: str) -> Search | None:
        """The search of that name, or the one that its picture went over to (`move`), where that is known still."""
        found = await self._search_at(id)
        if found is None:
            other = await self._within(self._redis.get(f"babelia:became:{id}{SEARCHED}"))
            found = await self._search_at(other.decode("utf-8", "replace")) if isinstance(other, bytes) else None
        return found

    async def _search_at(self, id: str) -> Search | None:
        text = await self._within(cast(Awaitable[Any], self._redis.hget(f"babelia:page:{id}{SEARCHED}", "address")))
        search = Search.parse(text.decode("utf-8", "replace")) if isinstance(text, bytes) else None
        return search if search is not None and search.id == id else None

    async def picture_of(self, search: Search) -> bytes | None:
        """The PNG that is searched for, as long as it is here."""
        found = await self._within(self._redis.get(f"babelia:search:{search.digest}"))
        return found if isinstance(found, bytes) else None

    async def sofar(self, search: Search) -> dict[str, Any]:
        """How far a search has come, as the press told it; nothing where it has not."""
        return read_facts(await self._within(self._redis.get(f"babelia:sofar:{search.digest}")))

    async def found(self, search: Search) -> dict[str, Any]:
        """What a search has found, as the press told it; nothing where it found nothing in the last hour."""
        return read_facts(await self._within(self._redis.get(f"babelia:found:{search.digest}")))

    async def forget(self, search: Search) -> None:
        """Let go of the picture of a search, and of what it found, unless somebody waits for it."""
        await self._within(self._call("forget", search.digest))

    async def move(self, search: Search, other: Search) -> None:
        """Let go of a parked picture that is searched for as another search by now; for an hour its name means that."""
        await self._within(self._call("move", search.digest, other.id))

    async def pace(self, edition: str, depth: Depth | None = None) -> float | None:
        """The seconds that a search of a depth takes at an edition's presses, or a page (None), as of the last week.

        None where none was made.
        """
        found = await self._within(
            self._redis.get(f"babelia:pace:{edition}:{depth}" if depth else f"babelia:pace:{edition}")
        )
        with contextlib.suppress(ValueError):
            seconds = float(found or 0)
            return seconds if 0 < seconds < inf else None  # what is damaged in Redis counts as not known
        return None

    async def is_deserted(self, wanted: Wanted) -> bool:
        """Whether the press that has taken a page ran on this machine and is gone. It waits again in a while."""
        token = await self._within(self._redis.get(f"babelia:claim:{wanted.digest}"))
        return isinstance(token, bytes) and await asyncio.to_thread(is_dead, token.decode("utf-8", "replace"))

    async def search(
        self,
        search: Search,
        visitor: Visitor,
        *,
        picture: bytes = b"",
        patience: float = PATIENCE,
        again: bool = False,
        follows: bool = False,
    ) -> Progress:
        """Ask for a search, as `ask` for a page. `picture`: the PNG; none where it is parked, or waited for already.

        "absent" where there is neither: the picture has to be brought again. Raises TooMany as `ask` does.
        """
        assert len(picture) <= SEARCH_PICTURE_BYTES, "a fitted picture is no larger than its pixels"
        return await self._kept(search) or await self._ask(
            search, visitor, patience, again, picture=picture, follows=follows
        )

    # -- the queue

    async def _ask(
        self,
        address: Wanted,
        visitor: Visitor,
        patience: float,
        again: bool = False,
        *,
        follows: bool = False,
        few: int = 0,
        picture: bytes = b"",
    ) -> Progress:
        assert 1 <= len(visitor.tab) <= 64, "a tab's name has 1 to 64 characters"
        queue_limit, waiting_limit, minute_limit = self._limits
        waiting_limit = min(filter(None, (few, waiting_limit)), default=0)
        named = (address.digest, address.format(), address.edition, visitor.tab, visitor.whose)
        if isinstance(address, Search):
            waiting_limit = _SEARCHES_OF_ONE
            limits = (self._search_limit, waiting_limit, minute_limit)
            asked = self._call("search", *named, patience, *limits, int(again), int(follows), address.depth, picture)
        else:
            limits = (queue_limit, waiting_limit, minute_limit)
            asked = self._call("ask", *named, KINDS.index(visitor.kind), patience, *limits, int(again), int(follows))
        answer = await self._within(asked)
        if answer[0] == b"many":
            raise _too_many(
                waiting_limit if answer[1] == b"waiting" else 0,
                minute_limit,
                float(answer[2] or 0),
                searches=isinstance(address, Search),
            )
        await self._remind_if(answer, address.edition)
        return read_progress(answer)

    async def _see(self, address: Wanted) -> Progress:
        answer = await self._within(self._call("look", address.digest, address.edition))
        await self._remind_if(answer, address.edition)
        return read_progress(answer)

    async def _remind_if(self, answer: Sequence[Any], edition: str) -> None:
        """Tell the presses that pages wait. A message that gets lost here is sent again by whoever looks next."""
        if not answer[1]:
            return
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await asyncio.to_thread(self._remind, edition)
        except Exception as error:
            log.warning("The presses could not be told that a page of %s waits: %s", edition, error)

    # -- following

    async def follow(self, address: Wanted, visitor: Visitor | str, *, few: int = 0) -> AsyncIterator[Progress]:
        """Ask for a page and yield where it stands: at once, then at every change, last a `final` one.

        For server-sent events. Keeps the tab watching as long as it is consumed; after it is closed (`aclose`, or the
        task being cancelled) the tab counts for ten more seconds, so that a reload keeps the page's place. A tab that
        leaves meanwhile is told "absent". Every 15 s without a change the same Progress is yielded again, so that the
        site can write a comment (compare `version`). Ends early, without a final one, when the site shuts down. Raises
        TooMany as `ask` does, and where `few` pages of the visitor wait already (0: as many as one may).
        """
        visitor = _visitor(visitor)
        progress = await self._kept(address) or await self._ask(address, visitor, PATIENCE, follows=True, few=few)
        yield progress
        if progress.final or self._closing.is_set():
            return
        feed = self._join(address, progress)
        try:
            renewed = shown = time.monotonic()
            while not progress.final:
                if feed.progress == progress:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_RENEW_EVERY / 2):
                            await asyncio.shield(feed.changed)
                now = time.monotonic()
                if self._closing.is_set():
                    return
                if feed.error is not None:
                    raise feed.error
                assert feed.task is not None, "a feed is joined with its task"
                if feed.task.done() and not feed.progress.final:
                    feed.task.result()  # raises what ended it
                if now - renewed >= _RENEW_EVERY and not feed.progress.final:
                    renewed = now
                    with contextlib.suppress(StoreUnavailable):
                        await self._within(self._watch(address, visitor, PATIENCE))
                if feed.progress.state == "absent":  # its press died, or it was dropped a moment before we came
                    seen = await self._kept(address) or await self._ask(
                        address, visitor, PATIENCE, follows=True, few=few
                    )
                    if seen.state == "absent":  # this tab has left; others follow the same feed, and ask for themselves
                        yield seen
                        return
                    feed.show(seen)
                if feed.progress != progress or now - shown >= _QUIET_AFTER:
                    progress, shown = feed.progress, now
                    yield progress
        finally:
            self._part(address, feed)
            if not progress.final and not self._closing.is_set():
                self._chore(self._watch(address, visitor, GRACE))

    async def _watch(self, address: Wanted, visitor: Visitor, seconds: float) -> None:
        """Let a tab that has not left count as watching for some more seconds."""
        await self._call("watch", address.digest, address.edition, visitor.tab, seconds)

    def _join(self, address: Wanted, progress: Progress) -> _Feed:
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        feed = self._feeds.get(address.digest)
        if feed is None or feed.task is None or feed.task.done():
            feed = _Feed(progress, asyncio.get_running_loop().create_future())
            feed.task = asyncio.create_task(self._watch_over(address, feed))
            self._feeds[address.digest] = feed
        feed.followers += 1
        return feed

    def _part(self, address: Wanted, feed: _Feed) -> None:
        feed.followers -= 1
        if feed.followers == 0 and self._feeds.get(address.digest) is feed:
            del self._feeds[address.digest]
            if feed.task is not None:
                feed.task.cancel()

    async def _watch_over(self, address: Wanted, feed: _Feed) -> None:
        """Look whenever there is news of the page, or a second has passed, and show what changed."""
        away_since: float | None = None
        while not feed.progress.final or feed.progress.state == "absent":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await feed.wake.wait()
            feed.wake.clear()
            try:
                seen = await self._see(address)
                if seen.state in ("kept", "absent"):
                    seen = await self._kept(address) or seen
            except BabeliaError as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > _AWAY_AFTER:
                    feed.show(feed.progress, error)
                    return
                continue
            away_since = None
            if seen != feed.progress:
                feed.show(seen)

    async def _listen(self) -> None:
        """One subscription for all of the process; what it hears only wakes those who look."""
        away = False
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as news:
                    await news.subscribe("babelia:news")
                    if away:
                        log.warning("There is news from Redis again.")
                    away = False
                    while True:
                        message = await news.get_message(timeout=1.0)
                        if message is None:
                            continue
                        name = message["data"].decode()
                        for digest, feed in self._feeds.items():
                            if name == digest or (len(name) < 64 and feed.progress.state == "queued"):
                                feed.wake.set()
            except (RedisError, OSError) as error:
                if not away:  # once, however long it stays away
                    log.warning("No news from Redis (%s); looking every second instead.", error)
                away = True
                await asyncio.sleep(1.0)

    # -- presses

    async def presses(self) -> list[Press]:
        """The presses heard of in the last 15 seconds."""
        return read_presses(await self._within(self._call("presses")))

    async def waiting(self, edition: str) -> int:
        """How many pages of an edition wait in the queue."""
        return int(await self._within(self._redis.zcard(f"babelia:waiting:{edition}")))

    async def ping(self) -> None:
        """Raise StoreUnavailable unless Redis answers and takes what is written."""
        await self._within(self._call("presses"))

    # -- the connection

    def close(self) -> None:
        """Let every follower end, as the site shuts down."""
        self._closing.set()
        for feed in self._feeds.values():
            feed.show(feed.progress)

    async def aclose(self) -> None:
        """`close`, and give the connections back."""
        self.close()
        tasks = [*self._chores, *(feed.task for feed in self._feeds.values() if feed.task)]
        tasks += [task for task in (self._listener, self._probe) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._redis.aclose()

    async def _call(self, operation: str, *arguments: str | bytes | float) -> Any:
        return await self._script(args=[operation, *arguments])

    async def _within(self, command: Awaitable[T]) -> T:
        """What Redis answers, or StoreUnavailable after 2.5 seconds at the latest."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await command
        except ResponseError as error:
            raise redis_away(error) from error
        except (RedisError, OSError, TimeoutError) as error:
            self._note_silence()
            raise redis_away(error) from error

    def _chore(self, work: Awaitable[Any]) -> None:
        """Do something that nobody waits for and that may fail."""

        async def quietly() -> None:
            with contextlib.suppress(StoreUnavailable):
                await self._within(work)

        task = asyncio.create_task(quietly())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _pack(picture: Picture) -> bytes:
    """A picture as Redis holds it: mark and digest, 8 digits that cover both, and the PNG, which the digest covers."""
    head = picture.mark.encode("ascii") + picture.digest.encode("ascii")
    return head + b"%08x" % zlib.crc32(head) + picture.png


def _unpack(packed: bytes) -> Picture | None:
    """The inverse of `_pack`; None for anything else: Redis reads its files again without noticing a flipped bit."""
    head, digits, png = packed[:90], packed[90:98], packed[98:]
    if digits != b"%08x" % zlib.crc32(head) or hashlib.sha256(png).hexdigest().encode() != head[26:]:
        return None
    return Picture(png, mark=head[:26].decode("ascii"), digest=head[26:].decode("ascii"))


def _too_many(waiting: int, minute: int, seconds: float, *, searches: bool = False) -> TooMany:
    """What to raise where so many wait as may, and a page takes so many seconds; where `waiting` is 0, those to go."""
    if waiting and searches:
        error = TooMany(
            f"{waiting:,} pictures are searched for already because you asked, as many as one visitor may have.",
            hint="Start this search when one of them is over, or cancel one.",
        )
        error.retry_after = min(60, max(5, ceil(seconds)))
    elif waiting:
        error = TooMany(
            f"{waiting:,} pictures that you asked for are waiting already, as many as one visitor may have.",
            hint="Open this one again when some of them are drawn, or cancel some.",
        )
        error.retry_after = min(60, max(5, ceil(seconds)))
    else:
        error = TooMany(
            f"One visitor may ask for {minute:,} new pictures a minute, and you have.",
            hint="Open this one again in a moment.",
        )
        error.retry_after = min(60, max(1, ceil(seconds)))
    return error


def _visitor(given: Visitor | str) -> Visitor:
    return Visitor(given) if isinstance(given, str) else given
