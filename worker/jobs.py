"""Print jobs: who waits for which page, which press prints it, how far it is. Redis only.

Owns every Redis key that begins with `babelia:` (docs of each in `_Names`). Imports neither Django, Celery nor torch.
The site uses `FrontDesk` (asyncio), the press uses `PressDesk` (blocking). Every step that touches more than one Redis
key is one Lua script, so both sides share it and nobody sees half of it.

The page is the record, not the queue's message: a page that is not kept, not waiting and not under a live claim is put
into the queue again by whoever looks at it next. Losing any message or process costs time, never a page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from worker.address import Address
from worker.store import Picture


@dataclass(frozen=True)
class Progress:
    """Where a page stands. Whole in itself: a follower that missed ten of them lost nothing."""

    state: Literal["kept", "queued", "printing", "failed", "busy", "absent"]
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


class FrontDesk:
    """The site's side. One per event loop; get it with `babelia.desk.front_desk()`.

    Every method raises StoreUnavailable within 2.5 seconds when Redis does not answer (a 503 for the visitor), except
    `picture`, which then still serves what is on disk. `visitor` is any text of 1–64 characters that names who
    watches: one per tab or client, not a secret.
    """

    async def picture(self, address: Address) -> Picture | None:
        """The PNG of a kept page, from Redis if it is hot, else from disk; None if it is not kept. Starts nothing."""
        raise NotImplementedError

    async def look(self, address: Address) -> Progress:
        """Where a page stands, without asking for it: for HEAD, `.json`, link previews, cards. Starts nothing."""
        raise NotImplementedError

    async def ask(
        self, address: Address, visitor: str, *, patience: float = 30.0, again: bool = False
    ) -> Progress:
        """Asks for a page: kept at once, or queued (only the first of many asks prints it), and registers who watches.

        `patience`: seconds for which this visitor counts as watching without being heard of again (1–600); a page that
        nobody watches any more is dropped before its print starts. `again`: forget that the page failed.
        """
        raise NotImplementedError

    def follow(self, address: Address, visitor: str) -> AsyncIterator[Progress]:
        """Asks for a page and yields where it stands: at once, then at every change, last a `final` one.

        For server-sent events. Keeps the visitor watching as long as it is consumed; closing it (`aclose`, or the task
        being cancelled) withdraws the visitor. Every 15 s without a change the same Progress is yielded again, so that
        the site can write a comment (compare `version`). Ends early, without a final one, when the site shuts down.
        """
        raise NotImplementedError

    async def leave(self, address: Address, visitor: str) -> Progress:
        """The visitor no longer waits. If nobody else does and printing has not begun, the page leaves the queue."""
        raise NotImplementedError

    async def preview(self, address: Address) -> tuple[int, bytes] | None:
        """(step, WebP bytes of 80 × 52 pixels) of the last preview of a page being printed, or None."""
        raise NotImplementedError

    async def presses(self) -> list[Press]:
        """The presses heard of in the last 15 seconds."""
        raise NotImplementedError

    async def waiting(self, edition: str) -> int:
        """How many pages of an edition wait in the queue."""
        raise NotImplementedError
