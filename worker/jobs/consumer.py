"""The press's side of print jobs (blocking): taking pages, saying how far they are, finishing or giving up.

Owns the claim that a press has on a page, how often a page is tried, and how a press makes itself known. Imports
neither Django, Celery nor torch.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import psutil
import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from worker.catalogue.address import Address
from worker.catalogue.key import is_mark
from worker.errors import BabeliaError, StoreUnavailable
from worker.jobs.progress import (
    AGAIN,
    FAILED_PAUSE,
    SCRIPT,
    SEARCHED,
    Press,
    Reprint,
    Search,
    Wanted,
    read_facts,
    read_presses,
    redis_away,
)

ATTEMPTS = 3
"""How often a page is tried before it counts as failed."""
STOPPED_THE_PRESS = (
    f"Drawing this picture failed {ATTEMPTS} times without a word, so it is left alone for ten minutes. Try again "
    "then. For the keeper: it stopped the press, whose log may say more; too little memory is the usual reason."
)
LOST_ITS_ADDRESS = "This picture lost its place, for a file was damaged. Ask for it again."
PRESS_EXPIRY = 15
"""Seconds for which a press counts as alive without being heard of."""
REPRINT_EXPIRY = 3600
"""Seconds for which it is known how a second print compared with the first."""
FOUND_EXPIRY = 3600
"""Seconds for which it is known what a search has found."""

log = logging.getLogger(__name__)


class ClaimsLost(Exception):
    """Every page of a run is another press's by now."""


class SteppedAside(Exception):
    """A run was given up for a page that somebody waits for: its own were left, or come after all others."""


@dataclass(frozen=True)
class Claim:
    """One page that this press has taken and nobody else prints meanwhile, or a search that nobody else is at."""

    wanted: Wanted
    token: str
    began: float  # time.monotonic()

    @property
    def page(self) -> str:
        """Its name in the queue."""
        return self.wanted.digest

    @property
    def edition(self) -> str:
        """The edition that prints it."""
        return self.wanted.edition

    @property
    def again(self) -> bool:
        """Whether it is kept already, and printed a second time to be compared."""
        return isinstance(self.wanted, Reprint)

    @property
    def address(self) -> Address:
        """The page that is to be printed."""
        assert not isinstance(self.wanted, Search), "a search has no page until it is over"
        return self.wanted.address if isinstance(self.wanted, Reprint) else self.wanted


class JobConsumer:
    """The press's side: blocking. A Redis that is away for a moment does not stop a print that has begun."""

    def __init__(self, url: str, *, lease: float = 45.0) -> None:
        """`lease`: seconds without a step after which a claim lapses and others may take the page."""
        self._lease = int(lease * 1000)
        self._redis = redis.Redis.from_url(
            url, socket_timeout=5, socket_connect_timeout=2, retry=Retry(ExponentialBackoff(cap=1.0, base=0.1), 3)
        )
        self._script = self._redis.register_script(SCRIPT)

    def take(self, edition: str, count: int = 1) -> list[Claim]:
        """Take up to `count` pages of an edition that wait and are watched, in the order of their turns; or one search.

        Pages whose press died are put back into the queue before, at the turn they had; pages that were tried three
        times fail. StoreUnavailable if Redis is away.
        """
        self.release_dead()
        token = f"{_here()}|{os.getpid()}|{_born(os.getpid())}|{secrets.token_hex(8)}"
        found = self._call("take", edition, count, token, self._lease, ATTEMPTS, STOPPED_THE_PRESS, FAILED_PAUSE)
        claims = []
        for page, text in zip(found[::2], found[1::2], strict=True):
            wanted = _read_wanted(page, text)
            if wanted is None:  # whoever looks at the page queues it anew, with its address
                log.warning(
                    "A page in the queue has lost its address, and is dropped: %s", page.decode("ascii", "replace")
                )
                self._call("give_up", page, token, 1, ATTEMPTS, LOST_ITS_ADDRESS, 1)
            else:
                claims.append(Claim(wanted, token, time.monotonic()))
        return claims

    def step(self, claim: Claim, step: int, of: int, *, mark: str = "", preview: bytes = b"") -> bool:
        """Renew the claim and tell how far the print is; False if the page is another press's by now."""
        try:
            return bool(self._call("step", claim.page, claim.token, self._lease, step, of, mark, preview))
        except StoreUnavailable as error:
            log.warning("Printing %s without telling anybody: %s", claim.page, error)
            return True

    def step_aside(self, claims: Sequence[Claim], editions: Sequence[str] = (), *, over: bool = False) -> bool:
        """Give up a run whose pages were all left, or are printed ahead, where somebody waits for another; whether so.

        A search gives way to any page that somebody waits for, and is given up at once where it was left, or where its
        time is `over`. All claims are of one `take`. What is still wanted goes back to its turn, and no attempt is
        counted. `editions`: whose pages count; the claims' own where none is named.
        """
        try:
            token, named = claims[0].token, " ".join(editions or [claims[0].edition])
            return bool(self._call("step_aside", named, token, int(over), *(claim.page for claim in claims)))
        except StoreUnavailable as error:
            log.debug("Printing on, for nobody can say who waits: %s", error)
            return False

    def renew(self, claim: Claim) -> None:
        """Keep a claim alive without any news of the page."""
        try:
            self._call("renew", claim.page, claim.token, self._lease)
        except StoreUnavailable as error:
            log.warning("Could not renew the claim on %s: %s", claim.page, error)

    def tell_of_reprint(self, claim: Claim, found: bytes) -> None:
        """Say what came of printing a kept page a second time. StoreUnavailable if Redis is away."""
        assert claim.again, "a page that is printed for the first time is kept"
        self._guarded(lambda: self._redis.set(f"babelia:reprint:{claim.page}", found, ex=REPRINT_EXPIRY))

    # -- searches

    def picture_of(self, claim: Claim) -> bytes | None:
        """The PNG that is searched for; None where Redis has it no more."""
        return self._bytes(f"babelia:search:{claim.page}")

    def sofar(self, claim: Claim) -> tuple[dict[str, Any], bytes | None]:
        """How far a search has come, whichever press was at it: facts, and the bytes of the best key it had."""
        return read_facts(self._bytes(f"babelia:sofar:{claim.page}")), self._bytes(f"babelia:draft:{claim.page}")

    def tell_sofar(self, claim: Claim, facts: dict[str, Any], draft: bytes = b"") -> None:
        """Say how far a search has come, for those who watch. `draft`: its best key, for whoever goes on with it."""
        try:
            self._call("sofar", claim.page, claim.token, json.dumps(facts), draft)
        except StoreUnavailable as error:
            log.warning("Searching without telling anybody: %s", error)

    def tell_found(self, claim: Claim, found: bytes) -> None:
        """Say what a search has found. StoreUnavailable if Redis is away."""
        self._guarded(lambda: self._redis.set(f"babelia:found:{claim.page}", found, ex=FOUND_EXPIRY))

    def _bytes(self, name: str) -> bytes | None:
        found = self._guarded(lambda: self._redis.get(name))
        return found if isinstance(found, bytes) else None

    # -- the end of a print

    def finish(self, claim: Claim, mark: str, *, seconds: float = 0.0) -> None:
        """The page is kept. `seconds`: what it took, for the estimates; 0 where it was not printed."""
        assert is_mark(mark), f"{mark!r} is no mark"
        try:
            self._call("finish", claim.page, claim.token, claim.edition, mark, seconds)
        except StoreUnavailable as error:  # the page is on disk, which is what counts; the claim lapses
            log.warning("Kept %s without telling anybody: %s", claim.page, error)

    def give_up(self, claim: Claim, sentence: str, *, final: bool = False, pause: int = FAILED_PAUSE) -> str:
        """The print went wrong: "queued" again, or "failed" where that is `final` or was the third time.

        "absent" where everybody had left the page.
        `pause`: seconds until a failed page may be tried again unasked. "" if the page is another press's by now.
        """
        answer = self._call("give_up", claim.page, claim.token, int(final), ATTEMPTS, sentence, pause)
        return cast(bytes, answer).decode()

    def release_dead(self) -> int:
        """Put back pages that were taken by processes of this machine that no longer live; how many."""
        released = 0
        for page in self._guarded(lambda: self._redis.zrange("babelia:printing", 0, -1)):
            claim = b"babelia:claim:" + page
            token = self._guarded(functools.partial(self._redis.get, claim))
            if token is not None and is_dead(token.decode("utf-8", "replace")):
                released += self._call("release", page, token)
        return released

    def recover(self) -> None:
        """Put back every page whose press is gone: dead on this machine, or its claim lapsed on any."""
        self.release_dead()
        self._call("recover")

    def waiting(self, edition: str) -> int:
        """How many pages of an edition wait."""
        return int(self._guarded(lambda: self._redis.zcard(f"babelia:waiting:{edition}")))

    def has_unheard_messages(self, edition: str) -> bool:
        """Whether messages lie in the queue of an edition whose pages wait: an idle press should have taken them."""
        return self.waiting(edition) > 0 and bool(self._guarded(lambda: self._redis.llen(f"press.{edition}")))

    def announce(self, press: Press) -> None:
        """Say that this press is alive, and what it can do; to be said again within 15 seconds."""
        self._call("announce", press.name, json.dumps(asdict(press)), PRESS_EXPIRY, int(press.able))

    def presses(self) -> list[Press]:
        """The presses heard of in the last 15 seconds."""
        return read_presses(self._call("presses"))

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def _call(self, operation: str, *arguments: str | bytes | float) -> Any:
        return self._guarded(lambda: self._script(args=[operation, *arguments]))

    def _guarded(self, command: Callable[[], Any]) -> Any:
        try:
            return command()
        except (RedisError, OSError) as error:
            raise redis_away(error) from error


def _read_wanted(page: bytes, text: bytes) -> Wanted | None:
    """What waits in the queue, by its digest and as it stands there; None where they do not agree."""
    found: Wanted | None
    try:
        if page.endswith(SEARCHED.encode()):
            found = Search.parse(text.decode("utf-8"))
        else:
            found = Address.parse_kept(text.decode("utf-8"))
            found = Reprint(found) if page.endswith(AGAIN.encode()) else found
    except (UnicodeError, BabeliaError):
        return None
    return found if found is not None and found.digest.encode() == page else None


def press_name() -> str:
    """The name of the press that this process (a child of a Celery worker) belongs to."""
    return f"{socket.gethostname()}:{os.getppid()}"


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


def is_dead(token: str) -> bool:
    """Whether a claim's process ran on this machine and is gone. Of other machines only the lease can tell."""
    host, _, rest = token.partition("|")
    process, _, born = rest.rpartition("|")[0].partition("|")
    if host != _here() or not process.isdecimal():  # of another machine, or damaged: its lease will lapse
        return False
    try:
        found = psutil.Process(int(process))
        return found.status() == psutil.STATUS_ZOMBIE or _born(int(process)) != born
    except psutil.NoSuchProcess:
        return True
