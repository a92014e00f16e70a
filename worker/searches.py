"""A search at the press: from the picture that somebody brought to a key, step by step, as near as it gets.

Owns what a press does between two steps of a search: telling how near it is, stepping aside for a page that somebody
waits for, and going on from where a search stopped, whichever press was at it. The picture is in Redis and in memory,
and never on a disk or in a log. May import what the press may, and `worker.finding`; torch comes in with the engine.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.catalogue.comparison import pixels_of
from worker.catalogue.key import Key
from worker.catalogue.png import pixel_digest
from worker.errors import InputRefused, KeyRefused, PrintFailed
from worker.jobs.consumer import Claim, ClaimsLost, JobConsumer, SteppedAside
from worker.jobs.preview import FORMAT
from worker.jobs.progress import Search
from worker.store.store import Store

if TYPE_CHECKING:
    from worker.engine.engine import Engine
    from worker.finding.search import SearchStep

SLICE: Final = 120.0
"""Seconds after which a search goes back to its turn, so that BABELIA_PRINT_LIMIT does not cut it off."""
LONGEST: Final = 1800.0
"""Seconds after which a search ends with the best key that it has, however often it was begun anew."""
TELL_PAUSE: Final = 0.2
"""Seconds between two previews of a search."""
DRAFT_PAUSE: Final = 2.0
"""Seconds between two drafts in Redis, of 142 kB: so much is lost where a press is killed."""
PREVIEW_SIZE: Final = (320, 208)
"""Width and height of the preview of a search: large enough to be held against the picture."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sought:
    """What a search came to."""

    key: Key
    target: npt.NDArray[np.uint8]  # (416, 640, 3): the picture that was searched for
    facts: dict[str, Any]  # bound (dB), likeness to ordinary noise (0 … 1), seconds: what is told beside its page


@dataclass(frozen=True)
class _Paused:
    """A search that this process stepped aside from, to be gone on with where nobody else was at it meanwhile."""

    page: str
    told: dict[str, Any]
    last: SearchStep
    steps: Iterator[SearchStep]


class Searches:
    """The searches of one press, one at a time."""

    def __init__(self, store: Store, jobs: JobConsumer) -> None:
        """`store` holds the keys that searches go on from, `jobs` everything else."""
        self._store = store
        self._jobs = jobs
        self._paused: _Paused | None = None

    def look_for(
        self, engine: Engine, claim: Claim, editions: Sequence[str], heard: Callable[[], None] = lambda: None
    ) -> Sought:
        """Search until it pays no more. Calls `heard` after every step; `editions`: whose pages this press draws.

        Raises SteppedAside for a page that somebody waits for, or where everybody has left, ClaimsLost, and
        InputRefused for what cannot be searched for.
        """
        search = claim.wanted
        assert isinstance(search, Search), "only a search is searched for"
        target = self._target(claim, search)
        told, draft = self._jobs.sofar(claim)
        before, began = _seconds(told), time.monotonic()
        paused, self._paused = self._paused, None
        last: SearchStep | None = None
        if paused is not None and paused.page == claim.page and paused.told == told:
            steps, last = paused.steps, paused.last
        else:
            steps = self._begin(engine, search, target, draft)
        shown, drafted, drafted_key = float("-inf"), float("-inf"), None
        for step in steps:
            heard()
            now, last = time.monotonic(), step
            told = _facts(step) | {"seconds": round(before + now - began, 2)}
            preview, draft = b"", b""
            if step.pixels is not None and now - shown >= TELL_PAUSE:
                shown, preview = now, encode(step.pixels)
            if step.key is not None and step.key is not drafted_key and now - drafted >= DRAFT_PAUSE:
                drafted, drafted_key, draft = now, step.key, step.key.data
            self._jobs.tell_sofar(claim, told, draft)
            if not self._jobs.step(claim, step.index, step.of, preview=preview):
                raise ClaimsLost
            if before + now - began > LONGEST and step.key is not None:
                break
            if step.index < step.of and self._jobs.step_aside([claim], editions, over=now - began > SLICE):
                self._paused = _Paused(claim.page, told, step, steps)
                raise SteppedAside
        if last is None or last.key is None:
            raise PrintFailed("The search ended before it had found a key.")
        return Sought(last.key, target, _facts(last) | {"seconds": round(before + time.monotonic() - began, 2)})

    def _target(self, claim: Claim, search: Search) -> npt.NDArray[np.uint8]:
        """The pixels that are searched for. Raises InputRefused where Redis has them no more."""
        picture = self._jobs.picture_of(claim)
        pixels = None if picture is None else pixels_of(picture)
        if pixels is None or pixel_digest(pixels) != search.pixels:
            raise InputRefused("The picture that is searched for is gone.", hint="Bring it again.")
        return pixels

    def _begin(
        self, engine: Engine, search: Search, target: npt.NDArray[np.uint8], draft: bytes | None
    ) -> Iterator[SearchStep]:
        """A search from the best key that is known: of the press that was at it, or where it goes on from another."""
        from worker.finding.search import Wish
        from worker.finding.search import search as search_from  # torch

        begin = None
        if draft is not None:
            with suppress(KeyRefused):  # damaged in Redis: from the start, then
                begin = Key(draft)
        if begin is None and search.begin:
            begin = self._store.key(search.begin)
            if begin is None:
                raise InputRefused(f"The library does not hold the key {search.begin}, to go on from.")
        return search_from(engine, target, Wish(search.edition, search.depth, search.prompt or None), begin)


def encode(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The file of a search's preview, from RGB (416, 640, 3)."""
    file = io.BytesIO()
    small = Image.fromarray(np.ascontiguousarray(pixels)).resize(PREVIEW_SIZE, Image.Resampling.BOX)
    small.save(file, FORMAT, quality=75, method=0)
    return file.getvalue()


def _facts(step: SearchStep) -> dict[str, Any]:
    """What is told of a step, as JSON holds it."""
    numbers = {"decibels": step.decibels, "bound": step.bound, "likeness": step.likeness}
    rounded = {name: round(float(value), 3) for name, value in numbers.items() if value is not None}
    return {"phase": step.phase} | rounded


def _seconds(told: dict[str, Any]) -> float:
    """The seconds that a search took before this press went on with it."""
    seconds = told.get("seconds", 0.0)
    return float(seconds) if isinstance(seconds, int | float) else 0.0
