"""What passes between the two sides of a print job: where a page stands, and what a press says of itself.

Owns how both are read out of Redis, the script that both sides run there (jobs.lua), and the error of a Redis that does
not answer. Imports neither Django, Celery nor torch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from redis.exceptions import OutOfMemoryError

from worker.catalogue.address import Address, is_slug
from worker.catalogue.key import is_mark
from worker.errors import StoreUnavailable

State = Literal["kept", "queued", "printing", "failed", "busy", "absent"]
Kind = Literal["person", "program", "search", "ahead"]
KINDS: tuple[Kind, ...] = ("person", "program", "search", "ahead")
"""The kinds of asking, in the order in which their pages are printed."""
FAILED_PAUSE = 600
"""Seconds until a failed page is tried again without being asked to."""
SCRIPT = (Path(__file__).parent / "jobs.lua").read_text(encoding="utf-8")

_PIXELS = re.compile(r"[0-9a-f]{64}")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """Where a page stands. Complete in itself: a follower that missed ten of them lost nothing."""

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
        """Whether nothing more will happen unless somebody asks: kept, failed, busy or absent."""
        return self.state not in ("queued", "printing")


AGAIN = "+again"
"""What follows a page's digest in the queue where a kept page is printed a second time."""


@dataclass(frozen=True)
class Reprint:
    """A kept page that is printed a second time, only to be compared with the first print: it replaces nothing.

    In the queue it is a page of its own, with the same address; what comes of it is kept in Redis for an hour.
    """

    address: Address

    @property
    def edition(self) -> str:
        """The edition that prints it."""
        return self.address.edition

    @property
    def digest(self) -> str:
        """Its name in the queue."""
        return self.address.digest + AGAIN

    def format(self) -> str:
        """The address of its page."""
        return self.address.format()


Depth = Literal["quick", "good", "best"]
DEPTHS: tuple[Depth, ...] = ("quick", "good", "best")
"""How long is looked for a key, from a few steps to as long as it pays."""
SEARCHED = "+search"
"""What follows the digest of a search in the queue."""
SEARCH_PICTURE_BYTES = 1_000_000
"""Bytes of the PNG that is searched for: the pixels of a page take 798,720, and noise cannot be made smaller."""


@dataclass(frozen=True)
class Search:
    """A key that is looked for, whose page is as near as may be to a picture that somebody brought.

    It is named by the picture's pixels and by what is asked of the key, so that there is one search however many ask.
    The picture itself is in Redis and nowhere else, and goes when the search is over (see jobs.lua).
    """

    edition: str
    pixels: str  # SHA-256 of the fitted picture's pixel bytes, hexadecimal
    depth: Depth = "good"
    prompt: str = ""  # canonical; near whose embedding is looked; "": where is left to the search
    begin: str = ""  # the mark of a key that an earlier search found, to go on from; ""

    @property
    def id(self) -> str:
        """Its name in links: 64 hexadecimal digits, which nobody guesses who has not got the picture."""
        return hashlib.sha256(self.format().encode()).hexdigest()

    @property
    def digest(self) -> str:
        """Its name in the queue."""
        return self.id + SEARCHED

    def format(self) -> str:
        """The search as the queue holds it: `search/pocket-1/<64 digits>/good//a dog`."""
        return f"search/{self.edition}/{self.pixels}/{self.depth}/{self.begin}/{self.prompt}"

    @classmethod
    def parse(cls, text: str) -> Search | None:
        """The inverse of `format`; None for any other text."""
        kind, edition, pixels, depth, begin, prompt = (*text.split("/", 5), *[""] * 6)[:6]
        if kind != "search" or depth not in DEPTHS or not (begin == "" or is_mark(begin)):
            return None
        found = cls(edition, pixels, depth, prompt, begin)
        return found if found.format() == text and _PIXELS.fullmatch(pixels) and is_slug(edition) else None


Wanted = Address | Reprint | Search
"""What can wait in the queue."""


@dataclass(frozen=True)
class Visitor:
    """Whoever asks for a page. Turns go round the visitors, and a visitor may have several tabs."""

    tab: str  # 1 to 64 characters: the name under which one browser tab, or one program, waits; not a secret
    name: str = ""  # of whom it is: a keyed hash, never the address on the net itself; "": of nobody but this tab
    kind: Kind = "person"
    # search: looks for a key, which comes after all pages that somebody waits for
    # ahead:  a page that nobody looks at yet, printed where the press has nothing else to do

    @property
    def whose(self) -> str:
        """The name by which turns and limits are counted."""
        return self.name or self.tab


@dataclass(frozen=True)
class Press:
    """One press and what it said of itself in the last 15 seconds."""

    name: str
    state: Literal["loading", "ready", "printing", "blocked", "broken"]
    # blocked: its edition is loaded, and something that may pass keeps it from printing, such as a full disk
    editions: tuple[str, ...]  # it prints pages of these
    rendition: str
    sentence: str  # why it is blocked or broken, else ""
    host: str
    parent: int  # process id of the Celery worker

    @property
    def able(self) -> bool:
        """Whether it can print a page."""
        return self.state in ("ready", "printing")


def read_progress(answer: Sequence[bytes | int]) -> Progress:
    """What jobs.lua's `describe` answered, with the estimate of the time left.

    A page waits for those before it, which take as long. Before a search are pages and searches, whose seconds stand in
    `before`; both are shared by the presses.
    """
    state, _, version, place, step, of, preview, mark, sentence, left, pace, presses, before = (
        part.decode("utf-8", "replace") if isinstance(part, bytes) else part for part in answer
    )
    mark = mark if is_mark(str(mark)) else ""
    found = Progress(cast(State, state), version=int(version))
    seconds = float(pace) if pace else None
    if state == "queued":
        able = int(presses)  # where none can print, nothing moves, and no estimate would be true
        wait = None
        if seconds is not None and able:
            wait = seconds + (float(before) if before else seconds * int(place)) / able
        return replace(found, place=int(place), seconds=wait, mark=str(mark) or None)
    if state == "printing":
        done = int(step) / int(of) if int(of) else 0.0
        wait = None if seconds is None else seconds * (1 - done)
        return replace(found, step=int(step), of=int(of), preview=int(preview), seconds=wait, mark=str(mark) or None)
    if state == "failed":
        return replace(found, sentence=str(sentence), retry_after=max(1, int(float(left or FAILED_PAUSE))))
    if state == "busy":
        wait = 10.0 if seconds is None else min(600.0, max(5.0, 10 * seconds))
        return replace(found, retry_after=int(wait))
    return replace(found, mark=str(mark) or None) if state == "kept" else found


def read_facts(said: object) -> dict[str, Any]:
    """What a press said of a search, as JSON; nothing for anything else."""
    try:
        found = json.loads(said) if isinstance(said, bytes) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_press(said: bytes) -> Press | None:
    """What a press said of itself, as `announce` wrote it; None for anything else, until it says it again."""
    try:
        found = json.loads(said)
        return Press(**(found | {"editions": tuple(found["editions"])}))
    except (ValueError, TypeError, KeyError):  # of another release, or damaged on the server's disk
        return None


def read_presses(said: Iterable[bytes]) -> list[Press]:
    """What presses said of themselves."""
    return [press for press in map(read_press, said) if press is not None]


_SAID_EVERY = 60.0
_said_at: dict[str, float] = {}


def redis_away(error: Exception) -> StoreUnavailable:
    """What to raise where Redis does not answer, or answers that it has no memory or no disk left."""
    if is_full(error):
        _tell_keeper(
            "Redis has used all of its memory, so no page can be asked for or printed: raise its maxmemory "
            "(CONFIG SET maxmemory), or lower BABELIA_QUEUE_LIMIT. It said: %s",
            error,
        )
        return StoreUnavailable(
            "New pictures cannot be drawn right now, for too many wait.",
            hint="Pictures opened before still show. For the keeper: the queue has no room left; give it more memory.",
        )
    if "MISCONF" in str(error):
        _tell_keeper(
            "Redis cannot write its files, so no page can be asked for or printed: free some space on its disk. "
            "It said: %s",
            error,
        )
        return StoreUnavailable(
            "New pictures cannot be drawn right now, for a disk is full.",
            hint="Pictures opened before still show. For the keeper: the queue cannot be written; free its disk.",
        )
    log.debug("Redis does not answer: %r", error)  # it names hosts, and the sentence below is for visitors
    return StoreUnavailable(
        "New pictures cannot be drawn right now: Redis does not answer.",
        hint="Pictures opened before still show. Try again in a moment.",
    )


def is_full(error: Exception) -> bool:
    """Whether Redis refused to write because it has used its `maxmemory`."""
    # A script's error is not always read as its class: the word may stand behind the script's own.
    return isinstance(error, OutOfMemoryError) or "OOM command not allowed" in str(error)


def _tell_keeper(sentence: str, error: Exception) -> None:
    """Say what to do, once a minute however many visitors are refused."""
    if time.monotonic() - _said_at.get(sentence, float("-inf")) < _SAID_EVERY:
        return
    _said_at[sentence] = time.monotonic()
    log.error(sentence, error)
