"""What the reading room and the wall show: the page of the day, tiles, pages opened here, and ways through that.

Nothing here asks for a print: what is not kept is shown as a frame with a link. No HTTP; imports the modules beside it,
what they stand on, and the ledger.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from gallery import ledger
from gallery.addresses import path_of, path_of_volume
from gallery.description import links_of
from gallery.editions import edition_of
from gallery.models import Page
from gallery.pages.context import entrance_context
from gallery.pages.repertoire import tiles_of_day
from gallery.pages.sentences import alt_text
from gallery.pages.status import kept_record
from worker.catalogue.address import Address
from worker.errors import AddressRefused, PageHidden, StoreUnavailable
from worker.store.store import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH

ON_A_WALL: Final = 48
"""Pages on one numbered page of the wall; 2, 3, 4, 6 and 8 go into it, so that its last row is full."""
BESIDE: Final = 2
"""Numbers shown on each side of the one that is open, besides the first and the last."""
KINDS: Final[dict[str, tuple[str, ...]]] = {"all": (), "prompts": ("prompt",), "random": ("key", "stacks"), "mine": ()}
"""What the wall can be asked for, and the kinds of addresses that are it. `mine` is known to the browser alone."""
_NUMBER_LIMIT: Final = 10**9
_log = logging.getLogger(__name__)


# -- the page of the day


def address_of_day(edition: str, day: date) -> Address:
    """Return the page of the day: the first of the volume that the date names, the same in every library on earth."""
    return Address(edition, "key", day.isoformat(), 1)


def today() -> date:
    """Return the day that it is in UTC, everywhere at once."""
    return datetime.now(UTC).date()


async def page_of_day(edition: str, day: date) -> dict[str, Any] | None:
    """Return what is shown of the page of the day; `thumbnail` is None where its picture is not to be shown as yet.

    None where it is hidden, or where that cannot be told.
    """
    address = address_of_day(edition, day)
    try:
        record = await kept_record(address)
        await ledger.require_shown(address, record.mark if record is not None else None)
    except PageHidden:
        return None
    except StoreUnavailable as error:
        _log.warning("The page of the day is not shown: %s", error)
        return None
    shown = record is not None and not record.flagged
    return {
        "address": address,
        "day": f"{day.day} {day:%B %Y}",
        "iso_day": day.isoformat(),
        "volume": path_of_volume(address),
        "thumbnail": links_of(address).thumbnail if shown else None,
        "width": THUMBNAIL_WIDTH,
        "height": THUMBNAIL_HEIGHT,
        "alt_text": alt_text(address),
    }


async def room_context(edition: str) -> dict[str, Any]:
    """Return what the reading room of an edition shows. Raises EditionRefused."""
    day = today()
    wall = entrance_context(await ledger.recent(edition=edition))
    return wall | {
        "edition": edition,
        "edition_title": edition_of(edition).title,
        "of_day": await page_of_day(edition, day),
        "tiles": await tiles_of_day(edition, day),
    }


# -- the wall


@dataclass(frozen=True)
class Asked:
    """Which part of which wall is asked for."""

    kind: str
    number: int
    """1 … as many as there are."""
    upto: int | None
    """The row that the wall begins with (`ledger.Stretch`); None: the one that was opened last."""

    def query(self, number: int, upto: int | None) -> str:
        """Return the query that leads to another number of this wall."""
        asked: dict[str, object] = {} if self.kind == "all" else {"kind": self.kind}
        if number > 1:
            asked |= {"page": number, "upto": upto or 0}
        return f"?{urlencode(asked)}" if asked else "?"


def read_asked(sent: Any) -> Asked:
    """Return what a query (a mapping of texts) asks for. Raises AddressRefused, with what may be asked for."""
    kind = sent.get("kind", "all")
    if kind not in KINDS:
        raise AddressRefused(f"There is no wall of “{kind[:40]}”.", hint=f"There are {', '.join(KINDS)}.")
    number = _whole(sent.get("page", "1"))
    upto = _whole(sent["upto"]) if "upto" in sent else None
    if not number:
        raise AddressRefused("The wall has no page of this number.", hint="Its pages are counted from 1.")
    return Asked(kind, number, upto)


def _whole(text: str) -> int:
    """Return a number of a query, 0 for everything that is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < len(str(_NUMBER_LIMIT)) else 0


async def wall_context(edition: str, asked: Asked) -> dict[str, Any]:
    """Return one numbered page of the wall. Raises AddressRefused where there is none of this number."""
    stretch = ledger.Stretch([], 0, 0)
    if asked.kind != "mine":
        start = (asked.number - 1) * ON_A_WALL
        stretch = await ledger.opened(edition, KINDS[asked.kind], start, ON_A_WALL, asked.upto)
    last = max(1, -(-stretch.of // ON_A_WALL))
    if asked.number > last:
        raise AddressRefused(f"The wall has {last} {'page' if last == 1 else 'pages'}, and no page {asked.number}.")

    def way_to(number: int) -> str | None:
        return asked.query(number, stretch.upto) if 1 <= number <= last else None

    numbers = _numbers(asked.number, last)
    return entrance_context(_once(stretch.rows)) | {
        "edition": edition,
        "edition_title": edition_of(edition).title,
        "kind": asked.kind,
        "kinds": [{"name": kind, "query": Asked(kind, 1, None).query(1, None)} for kind in KINDS],
        "number": asked.number,
        "last": last,
        "newer": way_to(asked.number - 1),
        "older": way_to(asked.number + 1),
        "turns": None if last == 1 else [{"number": n, "query": way_to(n) if n else None} for n in numbers],
    }


def _once(rows: list[Page]) -> list[Page]:
    """Return rows with each picture once, where several addresses lead to it."""
    return list({(row.edition, row.mark): row for row in reversed(rows)}.values())[::-1]


def _numbers(number: int, last: int) -> list[int]:
    """Return the numbers that are offered, in order; 0 stands for those between that are left out."""
    offered = sorted({1, last, *range(max(1, number - BESIDE), min(last, number + BESIDE) + 1)})
    spaced: list[int] = []
    for each in offered:
        if spaced and each - spaced[-1] > 1:
            spaced.append(each - 1 if each - spaced[-1] == 2 else 0)  # a single one takes no more room than dots
        spaced.append(each)
    return spaced


def page_of_day_path(edition: str) -> str:
    """Return the path of today's page."""
    return path_of(address_of_day(edition, today()))
