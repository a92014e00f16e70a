"""Print jobs: who waits for which page, which press prints it, how far it is. Redis only.

Owns every Redis key that begins with `babelia:`; they are described, and changed, in jobs.lua. Imports neither Django,
Celery nor torch. The site uses `FrontDesk` (asyncio), the press uses `PressDesk` (blocking).

The page is the record, not the queue's message: a page that is not kept, not waiting and not under a live claim is put
into the queue again by whoever looks at it next. Losing any message or process costs time, never a page.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import psutil
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from worker.address import Address
from worker.errors import BabeliaError, StoreUnavailable
from worker.key import is_mark
from worker.store import Picture, Store

State = Literal["kept", "queued", "printing", "failed", "busy", "absent"]
T = TypeVar("T")

ATTEMPTS = 3
"""How often a page is tried before it counts as failed."""
FAILED_PAUSE = 600
"""Seconds until a failed page is tried again without being asked to."""
POISONED = (
    f"Printing this page stopped the press {ATTEMPTS} times without a word, so it is left alone for ten minutes. "
    "Try again then, or look at the press's log: too little memory is the usual reason."
)
PRESS_EXPIRY = 15
"""Seconds for which a press counts as alive without being heard of."""
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
_HOT_WITHIN = 0.4
_HOT_PAUSE = 5.0
_HOT_EXPIRY = 3600
_HOT_SIZE = 2_000_000

_SCRIPT = (Path(__file__).parent / "jobs.lua").read_text(encoding="utf-8")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """Where a page stands. Whole in itself: a follower that missed ten of them lost nothing."""

    state: State
    # kept:     the picture is there
    # queued:   waits at `place`
    # printing: step `step` of `of` is done (0 of 0: just begun); `preview` > 0: a preview can be fetched
    # failed:   three attempts failed; `sentence` says why and what can be done; asked for `again`, it is tried again
    # busy:     the queue is full; nothing was queued; come back in `retry_after` seconds
    # absent:   not kept and nobody asked for it (only `look` and `leave` answer this)
    version: int = 0  # grows with every change of this page; good as the id of a server-sent event
    place: int | None = None  # 1: the next to be printed
    step: int = 0
    of: int = 0
    preview: int = 0  # number of the step whose preview is there; 0: none yet
    seconds: float | None = None  # estimate until the picture is there, where one can be made
    sentence: str | None = None  # for a human
    retry_after: int | None = None  # seconds (busy, failed)
    mark: str | None = None  # known from the first moment the key is known

    @property
    def final(self) -> bool:
        """Whether nothing more will happen by itself: kept, failed, busy or absent."""
        return self.state not in ("queued", "printing")


@dataclass(frozen=True)
class Press:
    """One press and what it said of itself in the last 15 seconds."""

    name: str
    state: Literal["loading", "ready", "printing", "broken"]
    editions: tuple[str, ...]  # it prints pages of these
    rendition: str
    sentence: str  # why it is broken, else ""
    host: str
    parent: int  # process id of the Celery worker

    @property
    def able(self) -> bool:
        """Whether it can print a page."""
        return self.state in ("ready", "printing")


def _progress(answer: Sequence[bytes | int]) -> Progress:
    """What jobs.lua's `describe` answered, with the estimate of the time left."""
    state, _, version, place, step, of, preview, mark, sentence, left, pace, presses = (
        part.decode() if isinstance(part, bytes) else part for part in answer
    )
    found = Progress(cast(State, state), version=int(version))
    seconds = float(pace) if pace else None
    if state == "queued":
        wait = None if seconds is None else seconds * (1 + int(place) / max(1, int(presses)))
        return replace(found, place=int(place), seconds=wait, mark=str(mark) or None)
    if state == "printing":
        done = int(step) / int(of) if int(of) else 0.0
        wait = None if seconds is None else seconds * (1 - done)
        return replace(found, step=int(step), of=int(of), preview=int(preview), seconds=wait, mark=str(mark) or None)
    if state == "failed":
        return replace(found, sentence=str(sentence), retry_after=max(1, int(float(left or FAILED_PAUSE))))
    if state == "busy":
        wait = 10.0 if seconds is None else min(600.0, max(5.0, 10 * seconds))
        return replace(
            found, retry_after=int(wait), sentence="So many pages wait already that no more are taken right now."
        )
    return replace(found, mark=str(mark) or None) if state == "kept" else found


# ---------------------------------------------------------------------------------------------------- the site's side


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


class FrontDesk:
    """The site's side. One per event loop; get it with `babelia.desk.front_desk()`.

    Every method raises StoreUnavailable within 2.5 seconds when Redis does not answer (a 503 for the visitor), except
    `picture`, which then still serves what is on disk. `visitor` is any text of 1–64 characters that names who
    watches: one per tab or client, not a secret.
    """

    def __init__(
        self,
        url: str,
        store: Store,
        remind: Callable[[str], None],
        *,
        queue_limit: int = 500,
        hot_pictures: int = 200,
    ) -> None:
        """`remind` tells the presses of an edition that pages wait; it blocks, and may fail (see worker.tasks)."""
        self.store = store
        self._remind = remind
        self._queue_limit = queue_limit
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
        self._script = self._redis.register_script(_SCRIPT)
        self._feeds: dict[str, _Feed] = {}
        self._listener: asyncio.Task[None] | None = None
        self._hot_again_at = 0.0
        self._closing = asyncio.Event()
        self._chores: set[asyncio.Task[Any]] = set()

    # -- pictures

    async def picture(self, address: Address) -> Picture | None:
        """The PNG of a kept page, from Redis if it is hot, else from disk; None if it is not kept. Starts nothing."""
        hot = f"babelia:hot:{address.digest}"
        data = await self._hot(self._redis.get(hot)) if self._hot_pictures else None
        if isinstance(data, bytes) and len(data) > 90:
            return Picture(png=data[90:], mark=data[:26].decode("ascii"), digest=data[26:90].decode("ascii"))
        picture = await asyncio.to_thread(self.store.picture, address)
        if picture is not None and self._hot_pictures and len(picture.png) <= _HOT_SIZE:
            packed = picture.mark.encode("ascii") + picture.digest.encode("ascii") + picture.png
            self._chore(self._hot(self._call("warm", address.digest, packed, _HOT_EXPIRY, self._hot_pictures)))
        return picture

    async def forget(self, address: Address) -> None:
        """Take a page's picture out of the hot ones, so that the next visitor gets what the disk says."""
        await self._within(self._redis.delete(f"babelia:hot:{address.digest}"))

    async def _hot(self, command: Awaitable[Any]) -> Any:
        """A Redis command that may be skipped: None if Redis is away, and for five seconds after."""
        if time.monotonic() < self._hot_again_at:
            cast(Any, command).close()
            return None
        try:
            async with asyncio.timeout(_HOT_WITHIN):
                return await command
        except (RedisError, OSError, TimeoutError):
            self._hot_again_at = time.monotonic() + _HOT_PAUSE
            return None

    # -- asking

    async def look(self, address: Address) -> Progress:
        """Where a page stands, without asking for it: for HEAD, `.json`, link previews, cards. Starts nothing."""
        return await self._kept(address) or await self._see(address)

    async def ask(self, address: Address, visitor: str, *, patience: float = PATIENCE, again: bool = False) -> Progress:
        """Asks for a page: kept at once, or queued (only the first of many asks prints it), and registers who watches.

        `patience`: seconds for which this visitor counts as watching without being heard of again (1–600); a page that
        nobody watches any more is dropped before its print starts. `again`: forget that the page failed.
        """
        assert 1 <= len(visitor) <= 64, "a visitor's name has 1 to 64 characters"
        assert 1 <= patience <= 600, "patience is 1 to 600 seconds"
        return await self._kept(address) or await self._ask(address, visitor, patience, again)

    async def leave(self, address: Address, visitor: str) -> Progress:
        """The visitor no longer waits. If nobody else does and printing has not begun, the page leaves the queue."""
        answer = await self._within(self._call("leave", address.digest, address.edition, visitor))
        return await self._kept(address) or _progress(answer)

    async def preview(self, address: Address) -> tuple[int, bytes] | None:
        """(step, WebP bytes of 80 × 52 pixels) of the last preview of a page being printed, or None."""
        data = await self._within(self._redis.get(f"babelia:preview:{address.digest}"))
        if not isinstance(data, bytes):
            return None
        step, _, picture = data.partition(b":")
        return int(step), picture

    async def _kept(self, address: Address) -> Progress | None:
        mark = await asyncio.to_thread(self.store.find, address)
        return Progress("kept", mark=mark) if mark is not None else None

    async def _ask(self, address: Address, visitor: str, patience: float, again: bool) -> Progress:
        answer = await self._within(
            self._call(
                "ask",
                address.digest,
                address.format(),
                address.edition,
                visitor,
                patience,
                self._queue_limit,
                int(again),
            )
        )
        await self._remind_if(answer, address.edition)
        return _progress(answer)

    async def _see(self, address: Address) -> Progress:
        answer = await self._within(self._call("look", address.digest, address.edition))
        await self._remind_if(answer, address.edition)
        return _progress(answer)

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

    async def follow(self, address: Address, visitor: str) -> AsyncIterator[Progress]:
        """Asks for a page and yields where it stands: at once, then at every change, last a `final` one.

        For server-sent events. Keeps the visitor watching as long as it is consumed; after it is closed (`aclose`, or
        the task being cancelled) the visitor counts for ten more seconds, so that a reload keeps the page's place.
        Every 15 s without a change the same Progress is yielded again, so that the site can write a comment (compare
        `version`). Ends early, without a final one, when the site shuts down.
        """
        progress = await self.ask(address, visitor)
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
                        await self._within(self._call("watch", address.digest, visitor, PATIENCE))
                if feed.progress.state == "absent":  # its press died, or it was dropped a moment before we came
                    feed.show(await self._kept(address) or await self._ask(address, visitor, PATIENCE, False))
                if feed.progress != progress or now - shown >= _QUIET_AFTER:
                    progress, shown = feed.progress, now
                    yield progress
        finally:
            self._part(address, feed)
            if not progress.final and not self._closing.is_set():
                self._chore(self._call("watch", address.digest, visitor, GRACE))

    def _join(self, address: Address, progress: Progress) -> _Feed:
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        feed = self._feeds.get(address.digest)
        if feed is None or feed.task is None or feed.task.done():
            feed = _Feed(progress, asyncio.get_running_loop().create_future())
            feed.task = asyncio.create_task(self._watch_over(address, feed))
            self._feeds[address.digest] = feed
        feed.followers += 1
        return feed

    def _part(self, address: Address, feed: _Feed) -> None:
        feed.followers -= 1
        if feed.followers == 0 and self._feeds.get(address.digest) is feed:
            del self._feeds[address.digest]
            if feed.task is not None:
                feed.task.cancel()

    async def _watch_over(self, address: Address, feed: _Feed) -> None:
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
        """One subscription for the whole process; what it hears only wakes those who look."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as news:
                    await news.subscribe("babelia:news")
                    while True:
                        message = await news.get_message(timeout=1.0)
                        if message is None:
                            continue
                        name = message["data"].decode()
                        for digest, feed in self._feeds.items():
                            if name == digest or (len(name) < 64 and feed.progress.state == "queued"):
                                feed.wake.set()
            except (RedisError, OSError) as error:
                log.warning("No news from Redis (%s); looking every second instead.", error)
                await asyncio.sleep(1.0)

    # -- presses

    async def presses(self) -> list[Press]:
        """The presses heard of in the last 15 seconds."""
        return [_press(facts) for facts in await self._within(self._call("presses"))]

    async def waiting(self, edition: str) -> int:
        """How many pages of an edition wait in the queue."""
        return int(await self._within(self._redis.zcard(f"babelia:waiting:{edition}")))

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
        if self._listener is not None:
            tasks.append(self._listener)
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
        except (RedisError, OSError, TimeoutError) as error:
            raise _away(error) from error

    def _chore(self, work: Awaitable[Any]) -> None:
        """Do something that nobody waits for and that may fail."""

        async def quietly() -> None:
            with contextlib.suppress(StoreUnavailable):
                await self._within(work)

        task = asyncio.create_task(quietly())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


# --------------------------------------------------------------------------------------------------- the press's side


@dataclass(frozen=True)
class Claim:
    """One page that this press has taken and nobody else prints meanwhile."""

    address: Address
    token: str
    began: float  # time.monotonic()


class PressDesk:
    """The press's side: blocking. A Redis that is away for a moment does not stop a print that has begun."""

    def __init__(self, url: str, *, lease: float = 45.0) -> None:
        """`lease`: seconds without a step after which a claim lapses and others may take the page."""
        self._lease = int(lease * 1000)
        self._redis = redis.Redis.from_url(
            url, socket_timeout=5, socket_connect_timeout=2, retry=Retry(ExponentialBackoff(cap=1.0, base=0.1), 3)
        )
        self._script = self._redis.register_script(_SCRIPT)

    def take(self, edition: str, count: int = 1) -> list[Claim]:
        """Take up to `count` pages of an edition that wait and are watched, the oldest first.

        Pages whose press died are put back into the queue before, at the turn they had; pages that were tried three
        times fail. StoreUnavailable if Redis is away.
        """
        self.release_dead()
        token = f"{_here()}|{os.getpid()}|{_born(os.getpid())}|{secrets.token_hex(8)}"
        found = self._call("take", edition, count, token, self._lease, ATTEMPTS, POISONED, FAILED_PAUSE)
        addresses = [Address.parse(text.decode()) for text in found[1::2]]
        return [Claim(address, token, time.monotonic()) for address in addresses]

    def step(self, claim: Claim, step: int, of: int, *, mark: str = "", preview: bytes = b"") -> bool:
        """Renew the claim and tell how far the print is; False if the page is another press's by now."""
        try:
            return bool(self._call("step", claim.address.digest, claim.token, self._lease, step, of, mark, preview))
        except StoreUnavailable as error:
            log.warning("Printing %s without telling anybody: %s", claim.address.digest, error)
            return True

    def renew(self, claim: Claim) -> None:
        """Keep a claim alive without any news of the page."""
        try:
            self._call("renew", claim.address.digest, claim.token, self._lease)
        except StoreUnavailable as error:
            log.warning("Could not renew the claim on %s: %s", claim.address.digest, error)

    def finish(self, claim: Claim, mark: str, *, seconds: float = 0.0) -> None:
        """The page is kept. `seconds`: what it took, for the estimates; 0 where it was not printed."""
        assert is_mark(mark), f"{mark!r} is no mark"
        try:
            self._call("finish", claim.address.digest, claim.token, claim.address.edition, mark, seconds)
        except StoreUnavailable as error:  # the page is on disk, which is what counts; the claim lapses
            log.warning("Kept %s without telling anybody: %s", claim.address.digest, error)

    def give_up(self, claim: Claim, sentence: str, *, final: bool = False, pause: int = FAILED_PAUSE) -> str:
        """The print went wrong: "queued" again, or "failed" where that is `final` or was the third time.

        `pause`: seconds until a failed page may be tried again unasked. "" if the page is another press's by now.
        """
        answer = self._call("give_up", claim.address.digest, claim.token, int(final), ATTEMPTS, sentence, pause)
        return cast(bytes, answer).decode()

    def release_dead(self) -> int:
        """Put back pages that were taken by processes of this machine that no longer live; how many."""
        released = 0
        for page in self._guarded(lambda: self._redis.zrange("babelia:printing", 0, -1)):
            claim = b"babelia:claim:" + page
            token = self._guarded(functools.partial(self._redis.get, claim))
            if token is not None and _is_dead(token.decode()):
                released += self._call("release", page, token)
        return released

    def waiting(self, edition: str) -> int:
        """How many pages of an edition wait."""
        return int(self._guarded(lambda: self._redis.zcard(f"babelia:waiting:{edition}")))

    def is_deaf(self, edition: str) -> bool:
        """Whether messages lie in the queue of an edition whose pages wait: an idle press should have taken them."""
        return self.waiting(edition) > 0 and bool(self._guarded(lambda: self._redis.llen(f"press.{edition}")))

    def announce(self, press: Press) -> None:
        """Say that this press is alive, and what it can do; to be said again within 15 seconds."""
        self._call("announce", press.name, json.dumps(asdict(press)), PRESS_EXPIRY)

    def presses(self) -> list[Press]:
        """The presses heard of in the last 15 seconds."""
        return [_press(facts) for facts in self._call("presses")]

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def _call(self, operation: str, *arguments: str | bytes | float) -> Any:
        return self._guarded(lambda: self._script(args=[operation, *arguments]))

    def _guarded(self, command: Callable[[], Any]) -> Any:
        try:
            return command()
        except (RedisError, OSError) as error:
            raise _away(error) from error


def press_name() -> str:
    """The name of the press that this process (a child of a Celery worker) belongs to."""
    return f"{socket.gethostname()}:{os.getppid()}"


def _press(facts: bytes) -> Press:
    found = json.loads(facts)
    return Press(**(found | {"editions": tuple(found["editions"])}))


def _away(error: Exception) -> StoreUnavailable:
    log.debug("Redis does not answer: %r", error)  # it names hosts, and the sentence below is for visitors
    return StoreUnavailable(
        "Redis does not answer, so no page can be asked for right now.",
        hint="What is kept can still be read. Try again in a moment.",
    )


def _here() -> str:
    """This machine and, where the system knows such a thing, the space in which its process ids mean something."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()}/{space}"


def _born(process: int) -> str:
    """When a process began, so that a process id that was used again is noticed."""
    return f"{psutil.Process(process).create_time():.2f}"


def _is_dead(token: str) -> bool:
    """Whether a claim's process ran on this machine and is gone. Of other machines only the lease can tell."""
    host, process, born, _ = token.split("|")
    if host != _here():
        return False
    try:
        found = psutil.Process(int(process))
        return found.status() == psutil.STATUS_ZOMBIE or _born(int(process)) != born
    except psutil.NoSuchProcess:
        return True
