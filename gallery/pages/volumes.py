"""The sheet of a volume: which of its places are kept, veiled or hidden. Plain functions, no HTTP.

Imports the ledger, the store through babelia.services, and `worker`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Literal

from babelia.services import store
from gallery import ledger
from gallery.addresses import path_of, path_of_volume
from gallery.editions import edition_of
from gallery.models import Page
from gallery.pages.events import FEW
from worker.catalogue.address import PAGES, Address
from worker.errors import InputRefused

REST_MS: Final = 700
"""Milliseconds for which a sheet lies still before what is seen of it is drawn."""
UNTOUCHED_MS: Final = 4_000
"""Milliseconds after which a sheet begins to draw that was opened by no link of this site, and that nobody has touched.

It may have been opened for later, and nothing moves while it loads.
"""
WAIT_SECONDS: Final = 10
"""Seconds after which a place is asked for again that could not be drawn, where the library names no others."""


@dataclass(frozen=True)
class Place:
    """One page of a volume, as its sheet shows it."""

    number: str
    state: Literal["kept", "veiled", "hidden", "blank"]


async def places_of(volume: Address) -> list[Place]:
    """Return every place of a volume, in order. Raises StoreUnavailable where it cannot be told what is hidden.

    The ledger says in one query which pages were opened here, and of these alone the disk is asked whether they are
    still kept. Of a volume whose pages are all kept the query takes 9 ms and all of it 22 ms, of one that nobody has
    opened 3 ms, on two busy cores. Following the links of all pages to their records took 900 ms there.
    What was printed and never opened is blank, and there as soon as it is looked at.
    """
    rows = await ledger.opened_in_volume(volume)
    hidden = await ledger.hidden_in_volume(volume, {number: row.mark for number, row in rows.items()})
    shown = {number: row for number, row in rows.items() if number not in hidden}
    kept = await asyncio.to_thread(_kept_among, shown)

    def state_of(number: int) -> Literal["kept", "veiled", "hidden", "blank"]:
        if number in hidden:
            return "hidden"
        if number not in kept:
            return "blank"
        return "veiled" if rows[number].flagged else "kept"

    return [Place(str(number), state_of(number)) for number in range(1, PAGES + 1)]


def _kept_among(rows: dict[int, Page]) -> set[int]:
    """Return the numbers of those pages whose pictures are kept."""
    return {number for number, row in rows.items() if store().has(row.edition, row.mark)}


async def sheet_context(volume: Address, *, base: str = "") -> dict[str, Any]:
    """Return what the sheet of a volume shows; `base` leads from its URL to where its pages lie. Raises as above."""
    places = await places_of(volume)
    return {
        "volume": volume,
        "places": places,
        "base": base,
        "count": sum(place.state in ("kept", "veiled") for place in places),
        "edition": volume.edition,
        "edition_title": edition_of(volume.edition).title,
        "prompt": volume.name if volume.kind == "prompt" else "",
        "first": path_of(volume),
        "path": path_of_volume(volume),
        "at_once": FEW,
        "few": "sheet",
        "rest": REST_MS,
        "wait": WAIT_SECONDS,
        "untouched": UNTOUCHED_MS,
    }


def number_in(text: str) -> int:
    """Return the number of a page that somebody has typed. Raises InputRefused for what is none."""
    typed = text.strip()
    number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else 0
    if not 1 <= number <= PAGES:
        raise InputRefused(f"“{typed[:20]}” is no picture here.", hint=f"They have the numbers 1 to {PAGES}.")
    return number
