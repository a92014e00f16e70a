"""What passes between the two sides of a print job: where a page stands, and what a press says of itself.

Owns how both are read out of Redis, the script that both sides run there (jobs.lua), and the error of a Redis that does
not answer. Imports neither Django, Celery nor torch.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from worker.errors import StoreUnavailable

State = Literal["kept", "queued", "printing", "failed", "busy", "absent"]
FAILED_PAUSE = 600
"""Seconds until a failed page is tried again without being asked to."""
SCRIPT = (Path(__file__).parent / "jobs.lua").read_text(encoding="utf-8")

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


def read_progress(answer: Sequence[bytes | int]) -> Progress:
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
        return replace(found, retry_after=int(wait))
    return replace(found, mark=str(mark) or None) if state == "kept" else found


def read_press(said: bytes) -> Press:
    """What a press said of itself, as `announce` wrote it."""
    found = json.loads(said)
    return Press(**(found | {"editions": tuple(found["editions"])}))


def redis_away(error: Exception) -> StoreUnavailable:
    """What to raise where Redis does not answer."""
    log.debug("Redis does not answer: %r", error)  # it names hosts, and the sentence below is for visitors
    return StoreUnavailable(
        "Redis does not answer, so no page can be asked for right now.",
        hint="What is kept can still be read. Try again in a moment.",
    )
