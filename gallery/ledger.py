"""The ledger: what the database is told and asked about pages, away from the path of a request. Imports Django.

A kept page is sent without touching the database. That it was opened is noted in memory and written every few seconds
in one go; what is hidden is read every few seconds into a set. Both lag by so much, and a process that dies loses the
openings of its last seconds, never a page: a row is made again when its page is next opened.
"""

import asyncio
import logging
import time
from collections import Counter
from datetime import datetime

from django.db import DatabaseError
from django.db.models import F

from gallery.models import Page
from worker.catalogue.address import Address
from worker.errors import StoreUnavailable
from worker.store.store import Facts

_WRITE_SECONDS = 2.0
_HIDDEN_SECONDS = 3.0
_RECENT_SECONDS = 3.0
_log = logging.getLogger(__name__)

_openings: Counter[str] = Counter()
_unwritten: dict[str, tuple[Address, Facts]] = {}
_writer: asyncio.Task[None] | None = None
_hidden: tuple[float, frozenset[str]] = (float("-inf"), frozenset())
_hidden_reader: asyncio.Task[None] | None = None
_recent: tuple[float, list[Page]] = (float("-inf"), [])


def note_opening(address: Address, facts: Facts, openings: int = 1) -> None:
    """Remember that a kept page was opened, or with no openings that it was printed; on the event loop, at once."""
    global _writer
    if address.kind == "mark":  # an address says more than a mark, and a page is listed once
        address = Address.parse(facts.address)
    _openings[address.digest] += openings
    _unwritten[address.digest] = (address, facts)
    if _writer is None or _writer.done():
        _writer = asyncio.get_running_loop().create_task(_write_soon())


async def _write_soon() -> None:
    await asyncio.sleep(_WRITE_SECONDS)
    openings, pages = dict(_openings), dict(_unwritten)
    _openings.clear()
    _unwritten.clear()
    try:
        for digest, (address, facts) in pages.items():
            await write(address, facts, openings[digest])
    except DatabaseError:
        _log.exception("The openings of %d pages could not be written; the pages themselves are kept.", len(pages))


async def write(address: Address, facts: Facts, openings: int) -> None:
    """Make or renew the row of a page, and add to the count of its openings."""
    known = {
        "mark": facts.mark,
        "rendition": facts.rendition,
        "pixel_digest": facts.pixel_digest,
        "steps": facts.steps,
        "flagged": bool(facts.flagged),
        "printed_at": datetime.fromisoformat(facts.when),
    }
    made = {
        "address": address.format(),
        "edition": address.edition,
        "kind": address.kind,
        "name": address.name,
    }
    page, _ = await Page.objects.aget_or_create(digest=address.digest, defaults=known | made)
    await Page.objects.filter(pk=page.pk).aupdate(**known, opened=F("opened") + openings)


async def is_hidden(address: Address, mark: str | None = None) -> bool:
    """Say whether a page is hidden, by its address or by its mark, as of a few seconds ago."""
    global _hidden_reader
    read_at, names = _hidden
    if read_at == float("-inf"):
        await _read_hidden()
    elif time.monotonic() - read_at > _HIDDEN_SECONDS and (_hidden_reader is None or _hidden_reader.done()):
        _hidden_reader = asyncio.get_running_loop().create_task(_read_hidden())
    names = _hidden[1]
    if address.kind == "mark":
        mark = address.name
    return address.digest in names or (mark is not None and f"{address.edition}/{mark}" in names)


async def _read_hidden() -> None:
    global _hidden
    names: set[str] = set()
    try:
        async for digest, edition, mark in Page.objects.filter(hidden=True).values_list("digest", "edition", "mark"):
            names |= {digest, f"{edition}/{mark}"} if mark else {digest}
    except DatabaseError:
        _log.exception("The list of hidden pages could not be read; the one of before is used.")
        names = set(_hidden[1])
    _hidden = (time.monotonic(), frozenset(names))


async def recent(limit: int = 24) -> list[Page]:
    """Return the pages printed last that are neither hidden nor flagged, newest first, each mark once."""
    global _recent
    read_at, pages = _recent
    if time.monotonic() - read_at > _RECENT_SECONDS:
        newest = Page.objects.filter(hidden=False, flagged=False).order_by("-printed_at", "-pk")[:200]
        try:
            pages = [page async for page in newest]
        except DatabaseError:
            _log.exception("The pages printed last could not be read; the wall shows those of before.")
        _recent = (time.monotonic(), pages)
    once = {(page.edition, page.mark): page for page in reversed(pages)}
    return list(reversed(once.values()))[:limit]


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
