"""The ledger: what the database is told and asked about pages, away from the path of a request. Imports Django.

A kept page is sent without touching the database. That it was opened is noted in memory and written every few seconds
in one go; what is hidden is read every few seconds into a set. Both lag by so much, and a process that dies loses the
openings of its last seconds, never a page: its row is written when the page is next opened.
"""

import asyncio
import logging
from datetime import datetime
from typing import Any, Final

from django.db import DatabaseError
from django.db.models import F

from gallery.description import address_fields, record_fields
from gallery.models import Page
from gallery.snapshot import Snapshot
from worker.catalogue.address import Address
from worker.errors import StoreUnavailable
from worker.store.records import PageRecord

WRITE_SECONDS: Final = 2.0
HIDDEN_SECONDS: Final = 3.0
RECENT_SECONDS: Final = 3.0
_RECENT_ROWS = 200
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
            self._writer = asyncio.get_running_loop().create_task(self._write())

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
        address = Address.parse(record.address)
    _openings.add(address, record, openings)


async def write(address: Address, record: PageRecord, openings: int) -> None:
    """Write or update the row of a page, and add to the count of its openings. Raises DatabaseError."""
    named: dict[str, Any] = {**address_fields(address)}
    printed: dict[str, Any] = {**record_fields(record)}
    printed["printed_at"] = datetime.fromisoformat(record_fields(record)["printed_at"])
    printed["flagged"] = bool(record.flagged)
    columns = {field.name for field in Page._meta.fields}
    named = {name: value for name, value in named.items() if name in columns}
    printed = {name: value for name, value in printed.items() if name in columns}
    page, _ = await Page.objects.aget_or_create(digest=address.digest, defaults=named | printed)
    await Page.objects.filter(pk=page.pk).aupdate(**printed, opened=F("opened") + openings)


async def is_hidden(address: Address, mark: str | None = None) -> bool:
    """Say whether a page is hidden, by its address or by its mark, as of a few seconds ago."""
    names = await _hidden.get()
    if address.kind == "mark":
        mark = address.name
    return address.digest in names or (mark is not None and f"{address.edition}/{mark}" in names)


async def _read_hidden(before: frozenset[str]) -> frozenset[str]:
    """Return the digest of each hidden address and `edition/mark` of each hidden mark."""
    names: set[str] = set()
    try:
        async for digest, edition, mark in Page.objects.filter(hidden=True).values_list("digest", "edition", "mark"):
            names |= {digest, f"{edition}/{mark}"} if mark else {digest}
    except DatabaseError:
        _log.exception("The list of hidden pages could not be read; the previous one is used.")
        return before
    return frozenset(names)


_hidden: Snapshot[frozenset[str]] = Snapshot(_read_hidden, frozenset(), fresh=HIDDEN_SECONDS, stale=10 * HIDDEN_SECONDS)
"""Read in the background, so that no visitor of a busy library waits for it; after half a minute without visitors the
first one does, or a page hidden meanwhile would be shown once more."""


async def recent(limit: int = 24) -> list[Page]:
    """Return the pages printed last that are neither hidden nor flagged, newest first, each mark once."""
    once = {(page.edition, page.mark): page for page in reversed(await _recent.get())}
    return list(reversed(once.values()))[:limit]


async def _read_recent(before: list[Page]) -> list[Page]:
    newest = Page.objects.filter(hidden=False, flagged=False).order_by("-printed_at", "-pk")[:_RECENT_ROWS]
    try:
        return [page async for page in newest]
    except DatabaseError:
        _log.exception("The pages printed last could not be read; the previous ones are shown.")
        return before


_recent: Snapshot[list[Page]] = Snapshot(_read_recent, [], fresh=RECENT_SECONDS, stale=RECENT_SECONDS)


async def neighbour_prompt(address: Address, by: int) -> Address | None:
    """Return the same page of the next (`by` = 1) or previous (−1) prompt that was opened in this library.

    Prompts have no order of their own, so their shelf holds those opened here, by code point, and closes to a ring.
    Raises StoreUnavailable where the database does not answer.
    """
    shelf = Page.objects.filter(edition=address.edition, kind="prompt", hidden=False)
    order, side = ("name", "name__gt") if by > 0 else ("-name", "name__lt")
    try:
        found = (
            await shelf.filter(**{side: address.name}).order_by(order).values_list("name", flat=True).afirst()
            or await shelf.exclude(name=address.name).order_by(order).values_list("name", flat=True).afirst()
        )
    except DatabaseError as error:
        raise StoreUnavailable("The database does not answer, so the shelf of prompts is not known.") from error
    return None if found is None else Address(address.edition, "prompt", found, address.page)
