"""The ledger: what the database is told and asked about pages, away from the path of a request. Imports Django.

A kept page is sent without touching the database. That it was opened is noted in memory and written every few seconds
in one go; it lags by so much, and a process that dies loses the openings of its last seconds, never a page: its row is
written when the page is next opened. What is hidden is a matter of files (`worker.store.hidden`), looked at anew for
each request; the database is read every few seconds, for whatever stands in its rows alone, and copied to the files.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.db import DatabaseError
from django.db import Error as AnyDatabaseError
from django.db.models import F, QuerySet
from django.utils import timezone

from babelia.services import store
from gallery.background import outlive_request
from gallery.description import address_fields, address_of_row, record_fields
from gallery.models import Page
from gallery.snapshot import Snapshot
from worker.catalogue.address import PAGES, Address
from worker.catalogue.expansion import stacks_key
from worker.errors import PageHidden, StoreUnavailable
from worker.store import hidden
from worker.store.colours import dominant_colour
from worker.store.records import PageRecord

WRITE_SECONDS: Final = 2.0
HIDDEN_SECONDS: Final = 3.0
RECENT_SECONDS: Final = 3.0
DATABASE_SECONDS: Final = 2.5
"""Seconds after which a database that does not answer counts as away."""
_RECENT_ROWS = 200
_SHELF_ROWS = 500
_log = logging.getLogger(__name__)


class _Openings:
    """The openings that the database has not been told of; one task writes them while there are any."""

    def __init__(self) -> None:
        self._unwritten: dict[Address, tuple[PageRecord, int]] = {}
        self._writer: asyncio.Task[None] | None = None

    def add(self, address: Address, record: PageRecord, openings: int) -> None:
        _, before = self._unwritten.get(address, (record, 0))
        self._unwritten[address] = (record, before + openings)
        if self._writer is None or self._writer.done():
            self._writer = outlive_request(self._write())

    async def _write(self) -> None:
        while self._unwritten:
            await asyncio.sleep(WRITE_SECONDS)
            batch, self._unwritten = self._unwritten, {}
            try:
                for address, (record, openings) in batch.items():
                    await write(address, record, openings)
            except DatabaseError:
                _log.exception("The openings of %d pages were not written; the pages themselves are kept.", len(batch))


_openings = _Openings()


def note_opening(address: Address, record: PageRecord, openings: int = 1) -> None:
    """Note that a kept page was opened, or with no openings that it was printed; on the event loop, returns at once."""
    if address.kind == "mark":  # an address says more than a mark, and a page is listed once
        address = Address.parse_kept(record.address)
    _openings.add(address, record, openings)


async def write(address: Address, record: PageRecord, openings: int, *, listed: bool = True) -> None:
    """Write or update the row of a page, and add to the count of its openings. Raises DatabaseError.

    `listed`: whether a page that has no row yet may stand on walls and lists.
    """
    named: dict[str, Any] = {**address_fields(address)}
    printed: dict[str, Any] = {**record_fields(record)}
    printed["printed_at"] = datetime.fromisoformat(record_fields(record)["printed_at"])
    printed["flagged"] = bool(record.flagged)
    columns = {field.name for field in Page._meta.fields}
    named = {name: value for name, value in named.items() if name in columns}
    printed = {name: value for name, value in printed.items() if name in columns}
    if address.kind == "prompt":  # asked only where the row is new
        named["listed"] = lambda: not _of_words(address).filter(listed=False).exists()
    else:
        named["listed"] = listed
    page, _ = await Page.objects.aget_or_create(digest=address.digest, defaults=named | printed)
    if not page.colour or page.pixel_digest != record.pixel_digest:
        printed["colour"] = await asyncio.to_thread(_colour_of, record)
    await Page.objects.filter(pk=page.pk).aupdate(**printed, opened=F("opened") + openings)


def _colour_of(record: PageRecord) -> str:
    """Return the colour that a page's picture has most of, from its thumbnail; empty where that cannot be read."""
    try:
        small = store().thumbnail(record.edition, record.mark)
    except StoreUnavailable:
        return ""
    return (small and dominant_colour(small)) or ""


# -- what is kept off the lists


def _of_words(address: Address) -> "QuerySet[Page, Page]":
    """Return the rows of a prompt, whatever the page."""
    return Page.objects.filter(edition=address.edition, kind="prompt", name=address.name)


async def keep_unlisted(address: Address) -> None:
    """Have the pages of a prompt stand on no list, now and later, unless its words were opened here before.

    They are no secret: whoever knows the words opens the same pages. Raises StoreUnavailable.
    """
    columns = {name: value for name, value in address_fields(address).items() if name != "page"}
    defaults = columns | {"listed": False, "mark": "", "steps": 0, "printed_at": timezone.now()}
    try:
        if not await _of_words(address).aexists():
            await Page.objects.aget_or_create(digest=address.digest, defaults=defaults)
    except AnyDatabaseError as error:
        raise StoreUnavailable(
            "The database does not answer, so these words cannot be kept off the wall at the moment.",
            hint="Nothing was drawn. Try again later, or search without the tick.",
        ) from error


async def keep_found(record: PageRecord) -> bool:
    """Have a page that a search has found stand on no list, unless it was opened before; whether it may stand on them.

    Raises StoreUnavailable where that cannot be written down: then nobody should be told of the page yet.
    """
    address = Address.parse_kept(record.address)
    try:
        await write(address, record, 0, listed=False)
        return await Page.objects.filter(digest=address.digest, listed=True).aexists()
    except AnyDatabaseError as error:
        raise StoreUnavailable(
            "The database does not answer, so what was found cannot be kept off the wall, and is not shown.",
            hint="It is kept. Try again in a moment.",
        ) from error


async def put_on_lists(record: PageRecord) -> None:
    """Let a page that a search has found stand on walls and lists. Raises StoreUnavailable."""
    try:
        await Page.objects.filter(digest=Address.parse_kept(record.address).digest).aupdate(listed=True)
    except AnyDatabaseError as error:
        raise StoreUnavailable("The database does not answer, so this cannot be written down.") from error


# -- what is hidden


async def require_shown(address: Address, mark: str | None = None) -> None:
    """Raise PageHidden where a page is hidden, StoreUnavailable where that cannot be told (see `is_hidden`)."""
    if await is_hidden(address, mark):
        raise PageHidden


async def is_hidden(address: Address, mark: str | None = None) -> bool:
    """Say whether a page is hidden: by its address, or by its key, given by its mark or known here by the address.

    Raises StoreUnavailable where neither the files can be read, nor the database, nor was it ever.
    """
    in_database = await _hidden.get()
    names, in_files = await asyncio.to_thread(_look_for, address, mark)
    if in_files or (in_database is not None and names & in_database):
        return True
    await _require_known_hidden(in_database)
    return False


async def hidden_among(pages: Sequence[tuple[Address, str | None]]) -> set[Address]:
    """Return those of several pages, each with its mark where that is known, that are hidden; raises as `is_hidden`."""
    in_database = await _hidden.get()
    looked = await asyncio.to_thread(lambda: [_look_for(address, mark) for address, mark in pages])
    await _require_known_hidden(in_database)
    found = set()
    for (address, _), (names, in_files) in zip(pages, looked, strict=True):
        if in_files or (in_database is not None and names & in_database):
            found.add(address)
    return found


async def hidden_in_volume(volume: Address, marks: Mapping[int, str]) -> set[int]:
    """Return the numbers of a volume's pages that are hidden; `marks`: of those whose mark is known. As `is_hidden`.

    A page that is hidden by a key that only the press can work out is told from none when it is asked for.
    """
    in_database = await _hidden.get()
    in_files = await asyncio.to_thread(hidden.all_of_edition, store().data, volume.edition)
    await _require_known_hidden(in_database)
    held = in_files | (in_database or frozenset())
    pages = (volume.with_page(number) for number in range(1, PAGES + 1)) if held else ()
    return {page.page or 0 for page in pages if hidden.names_of_page(page, marks.get(page.page or 0)) & held}


async def _require_known_hidden(in_database: Collection[str] | None) -> None:
    """Refuse to show anything where neither the database says what is hidden, nor a complete list on the disk."""
    if in_database is None and not await asyncio.to_thread(hidden.is_complete, store().data):
        raise StoreUnavailable(
            "Which pages are hidden cannot be read at the moment, so none is shown.",
            hint="Try again in a moment. The library's keepers find more in its log.",
        )


def _look_for(address: Address, mark: str | None) -> tuple[set[str], set[str]]:
    """Return the names that a page may be hidden under, and those that files say so of."""
    data = store().data
    names = hidden.names_of_page(address, mark) | hidden.names_of_page(address, known_mark(address))
    return names, hidden.found_among(data, names)


def known_mark(address: Address) -> str | None:
    """Return the mark of an address as far as it is known without a model, whether or not anything was printed."""
    if address.kind == "stacks":
        return _mark_in_stacks(address.name, address.page or 1)
    return store().linked(address)


@lru_cache(maxsize=4096)
def _mark_in_stacks(name: str, page: int) -> str:
    return stacks_key(name, page).mark


async def _read_hidden(before: frozenset[str] | None) -> frozenset[str] | None:
    """Return the names of what the rows say is hidden, and let the files say so too; None: it was never read."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            names = await _hidden_in_rows()
            await _copy_to_files(names)
    except (AnyDatabaseError, TimeoutError):
        _log.exception("The hidden pages in the database could not be read; the list of files is used.")
        return before
    except StoreUnavailable as error:
        _log.warning("%s", error)
    return names


async def _hidden_in_rows() -> frozenset[str]:
    names: set[str] = set()
    rows = Page.objects.filter(hidden=True).values_list("digest", "address", "edition", "mark", "everywhere")
    async for digest, address, edition, mark, everywhere in rows:
        # A link that was hidden when prompts had capitals stays so, whatever it leads to now.
        names |= {f"addresses/{digest}", hidden.name_of_address(Address.parse(address))}
        if mark:
            names.add(hidden.name_of_key(mark, None if everywhere else edition))
    return frozenset(names)


async def _copy_to_files(names: frozenset[str]) -> None:
    """Write the files of what only rows say is hidden. Raises StoreUnavailable where that cannot be done."""
    data = store().data
    missing = names - await asyncio.to_thread(hidden.found_among, data, names)
    if missing:
        await asyncio.to_thread(hidden.hide, data, missing)
        shown_meanwhile = missing - await _hidden_in_rows()
        await asyncio.to_thread(hidden.show, data, shown_meanwhile)
    if not await asyncio.to_thread(hidden.is_complete, data):
        await asyncio.to_thread(hidden.set_complete, data)


_hidden: Snapshot[frozenset[str] | None] = Snapshot(_read_hidden, None, fresh=HIDDEN_SECONDS, stale=10 * HIDDEN_SECONDS)
"""Read in the background, so that no visitor of a busy library waits for it; after half a minute without visitors the
first one does. What `manage.py hide` hides does not wait for it: that is there at once, as files."""


# -- lists


async def recent(limit: int = 24, edition: str | None = None) -> list[Page]:
    """Return the pages printed last that are neither hidden nor flagged, newest first, each mark once.

    Of one edition, where it is named. None where it cannot be told what is hidden: the entrance is there all the same.
    """
    newest = [page for page in await _recent.get() if edition in (None, page.edition)]
    once = [*reversed({(page.edition, page.mark): page for page in reversed(newest)}.values())]
    shown: list[Page] = []
    try:
        for start in range(0, len(once), limit):
            shown += await _shown_among(once[start : start + limit])
            if len(shown) >= limit:
                break
    except StoreUnavailable as error:
        _log.warning("No page is listed: %s", error)
        return []
    return shown[:limit]


async def _shown_among(rows: list[Page]) -> list[Page]:
    """Return the rows of pages that are not hidden, all looked at in one go. Raises StoreUnavailable."""
    addresses = [Address.parse_kept(row.address) for row in rows]
    gone = await hidden_among([(address, row.mark or None) for address, row in zip(addresses, rows, strict=True)])
    return [row for address, row in zip(addresses, rows, strict=True) if address not in gone]


@dataclass(frozen=True)
class Stretch:
    """A part of the wall: its rows, of which hidden ones are left out, and the number of all rows of that wall."""

    rows: list[Page]
    of: int
    upto: int
    """The row with which the wall begins; with it the same numbers show the same pages, whatever is opened later."""


async def opened(edition: str, kinds: Collection[str], start: int, most: int, upto: int | None = None) -> Stretch:
    """Return pages of an edition that were opened here, from place `start` on: first the one first opened last.

    `kinds`: of addresses; none means all. Rows never change their place before `upto`, for it follows from when they
    were first opened, not from when they were printed again. Raises StoreUnavailable where the database does not answer
    or it cannot be told what is hidden.
    """
    of_kinds = {"kind__in": kinds} if kinds else {}
    try:
        wall = Page.objects.filter(edition=edition, hidden=False, flagged=False, listed=True, **of_kinds).order_by(
            "-id"
        )
        if upto is None:
            newest = await wall.values_list("id", flat=True).afirst()
            upto = newest or 0
        wall = wall.filter(id__lte=upto)
        rows, of = [row async for row in wall[start : start + most]], await wall.acount()
    except AnyDatabaseError as error:
        raise StoreUnavailable("The database does not answer, so the wall cannot be shown.") from error
    return Stretch(await _shown_among(rows), of, upto)


async def opened_in_volume(volume: Address) -> dict[int, Page]:
    """Return the rows of a volume's pages that were opened here, by number; none where the database does not answer."""
    found = Page.objects.filter(edition=volume.edition, kind=volume.kind, name=volume.name).exclude(mark="")
    try:
        return {Address.parse_kept(row.address).page or 0: row async for row in found}
    except AnyDatabaseError:
        _log.exception("Which pages of a volume were opened could not be read; its sheet shows none.")
        return {}


async def page_of_pixels(digest: str) -> Address | None:
    """Return a page that was opened here, whose print had these pixels; None where there is none, or it is hidden."""
    try:
        found = Page.objects.filter(pixel_digest=digest, hidden=False).order_by("pk")[:_SHELF_ROWS]
        rows = [row async for row in found]
    except AnyDatabaseError as error:
        raise StoreUnavailable("The database does not answer, so the picture cannot be looked up.") from error
    for row in rows:
        address = address_of_row(row)
        if not await is_hidden(address, row.mark):
            return address
    return None


async def _read_recent(before: list[Page]) -> list[Page]:
    newest = Page.objects.filter(hidden=False, flagged=False, listed=True).order_by("-printed_at", "-pk")[:_RECENT_ROWS]
    try:
        return [page async for page in newest]
    except AnyDatabaseError:
        _log.exception("The pages printed last could not be read; the previous ones are shown.")
        return before


_recent: Snapshot[list[Page]] = Snapshot(_read_recent, [], fresh=RECENT_SECONDS, stale=RECENT_SECONDS)


async def neighbour_prompt(address: Address, by: int) -> Address | None:
    """Return the same page of the next (`by` = 1) or previous (−1) prompt that was opened in this library.

    Prompts have no order of their own, so their shelf holds those opened here, by code point, and closes to a ring; not
    those that are kept off the lists.
    Raises StoreUnavailable where the database does not answer.
    """
    shelf = Page.objects.filter(edition=address.edition, kind="prompt", hidden=False, listed=True)
    order, side = ("name", "name__gt") if by > 0 else ("-name", "name__lt")
    try:
        for part in (shelf.filter(**{side: address.name}), shelf.exclude(name=address.name)):
            async for row in part.order_by(order)[:_SHELF_ROWS]:
                opened = Address.parse_kept(row.address)
                if not opened.is_current:  # a prompt with capitals, which has no volume any more
                    continue
                found = Address(address.edition, "prompt", row.name, address.page)
                if not (await is_hidden(opened, row.mark) or await is_hidden(found)):
                    return found
    except AnyDatabaseError as error:
        raise StoreUnavailable("The database does not answer, so the shelf of prompts is not known.") from error
    return None
