"""All pages that were opened here, newest first, and the search among their names; read on by a cursor. Imports ninja.

The order is that in which pages were first opened, which never changes: a row keeps its place when its page is printed
again, and whatever is opened meanwhile stands before the first row. So a cursor, the place of the last row that was
sent, leads on without leaving out or repeating any. Left out are what is hidden, flagged, or kept off the lists.

A search looks at the names of LOOKED_AT rows and no more, whatever the size of the library, and may so come back with
few pages or none and still lead on: what one request costs is bounded. Words are compared here and not by the database,
whose patterns have signs of their own, and whose kinds differ in what a capital letter is.
"""

import unicodedata
from typing import Annotated, Final

from django.db import Error as AnyDatabaseError
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from ninja import Field, Query, Router, Schema

from gallery import ledger
from gallery.api.library import AT_ONCE
from gallery.api.openapi import LIST_ERRORS, TAGGED
from gallery.description import RecentOut, describe_recent
from gallery.editions import edition_of
from gallery.models import Page
from worker.catalogue.address import Address, Kind
from worker.errors import StoreUnavailable

LOOKED_AT: Final = 5000
"""Rows that one request looks at; a name compared takes about a microsecond, a row read five."""
BATCH: Final = 500

router = Router(tags=["library"])


class Which(Schema):
    """Which part of the list."""

    edition: str | None = Field(None, max_length=32, description="Of this edition alone")
    kind: Kind | None = Field(None, description="Opened by this kind of address alone")
    limit: int = Field(24, ge=1, le=AT_ONCE, description="So many at most")
    cursor: str | None = Field(
        None, pattern=r"^[0-9a-f]{1,15}$", description="Where the list goes on; it stands in the `next` of an answer"
    )


class Sought(Which):
    """Which words, in which part of the list."""

    words: str = Field(
        min_length=1, max_length=200, description="Each has to stand somewhere in the name", examples=["dog beach"]
    )


class OpenedPages(Schema):
    """A part of the list of pages that were opened here."""

    pages: list[RecentOut]
    next: str | None = Field(description="The path at which the list goes on with older ones; null at its end")


@router.get("/opened", response={200: OpenedPages, **LIST_ERRORS}, openapi_extra=TAGGED, summary="Pages opened here")
async def list_opened(request: HttpRequest, which: Annotated[Which, Query()]) -> OpenedPages:
    """List the pages that were opened here, by when that was first, newest first; none hidden, flagged or unlisted."""
    return await _answer(request, "list_opened", which, "")


@router.get("/search", response={200: OpenedPages, **LIST_ERRORS}, openapi_extra=TAGGED, summary="Search by words")
async def search(request: HttpRequest, which: Annotated[Sought, Query()]) -> OpenedPages:
    """List those whose prompt or name has all of some words in it, as `/opened`, in any order and in capitals or not.

    One request looks at some thousands of pages. Where there are more, it may have few results or none, and a `next`.
    """
    return await _answer(request, "search", which, which.words)


async def _answer(request: HttpRequest, operation: str, which: Which, words: str) -> OpenedPages:
    if which.edition is not None:
        edition_of(which.edition)
    before = None if which.cursor is None else int(which.cursor, 16)
    rows, following = await opened_pages(which.limit, before, which.edition, which.kind, words)
    path = None
    if following is not None:
        query: QueryDict = request.GET.copy()
        query["cursor"] = f"{following:x}"
        path = f"{reverse(f'api:{operation}')}?{query.urlencode()}"
    return OpenedPages(pages=[describe_recent(row) for row in rows], next=path)


async def opened_pages(
    limit: int, before: int | None, edition: str | None, kind: Kind | None, words: str = ""
) -> tuple[list[Page], int | None]:
    """Return the rows of at most `limit` pages that were opened before a row, and the row to go on before, or None.

    `words`: those alone whose name has each of them. Raises StoreUnavailable where the database does not answer, or it
    cannot be told what is hidden.
    """
    sought = spelled(words).split()
    size = BATCH if sought else limit + 1
    found: list[Page] = []
    for _ in range(LOOKED_AT // size):
        rows = await _older(before, size, edition, kind)
        named = [row for row in rows if all(word in spelled(row.name) for word in sought)]
        for start in range(0, len(named), limit + 1):
            for row in await _shown(named[start : start + limit + 1]):
                if len(found) == limit:
                    return found, found[-1].pk
                found.append(row)
        if len(rows) < size:
            return found, None
        before = rows[-1].pk
    return found, before


async def _older(before: int | None, size: int, edition: str | None, kind: Kind | None) -> list[Page]:
    """Return the next rows of the list. Raises StoreUnavailable."""
    shelf = Page.objects.filter(hidden=False, flagged=False, listed=True)
    wanted = {"pk__lt": before, "edition": edition, "kind": kind}
    shelf = shelf.filter(**{name: value for name, value in wanted.items() if value is not None})
    try:
        return [row async for row in shelf.order_by("-pk")[:size]]
    except AnyDatabaseError as error:
        raise StoreUnavailable("The database does not answer, so what was opened is not known.") from error


async def _shown(rows: list[Page]) -> list[Page]:
    """Return those of some rows whose pages are not hidden: files say so first, and the database may not know yet."""
    addresses = [Address.parse_kept(row.address) for row in rows]
    hidden = await ledger.hidden_among([(a, row.mark or None) for a, row in zip(addresses, rows, strict=True)])
    return [row for address, row in zip(addresses, rows, strict=True) if address not in hidden]


def spelled(text: str) -> str:
    """Return a text as names and words are compared: NFC, in small letters."""
    return unicodedata.normalize("NFC", text.lower())
