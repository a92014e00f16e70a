"""What the library holds, measured: its page, and the pictures that it shows. Imports gallery and worker."""

import asyncio
import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from gallery import ledger
from gallery.answers import refusal, render_page, send_kept
from gallery.editions import default_edition, edition_of, weights_here
from gallery.holds.figures import holds_context
from worker.catalogue.address import Address
from worker.editions.edition import Edition
from worker.editions.holdings import Holdings, read_holdings
from worker.errors import AddressRefused, BabeliaError, StoreUnavailable


@require_safe
async def show(request: HttpRequest) -> HttpResponse:
    """What was measured of the edition that opens where none is named. Nothing is claimed of other weights."""
    try:
        edition = edition_of(default_edition())
        holdings = await asyncio.to_thread(_holdings_of, edition)
    except BabeliaError as error:
        return refusal(request, error)
    context: dict[str, Any] = {} if holdings is None else holds_context(holdings)
    if "pictures" in context:
        for kind in context["pictures"]["kinds"]:
            kind["pairs"] = await _shown(edition, kind["pairs"])
    context |= {"measured": bool(context.get("first_day")), "edition": edition.slug, "edition_title": edition.title}
    return render_page(request, "holds.html", context | {"url": request.build_absolute_uri(reverse("holds"))})


@require_safe
async def picture(request: HttpRequest, file: str) -> HttpResponseBase:
    """A picture that was searched for, or what was found for it, as it came with the edition."""
    try:
        body = await _picture_of(edition_of(default_edition()), file)
    except BabeliaError as error:
        return refusal(request, error, ".webp")
    return send_kept(body, "image/webp", hashlib.sha256(body).hexdigest()[:16], f"babelia-{file}.webp")


async def _picture_of(edition: Edition, file: str) -> bytes:
    """Return a picture. Raises AddressRefused where there is none, PageHidden, StoreUnavailable."""
    holdings = await asyncio.to_thread(_holdings_of, edition)
    path = None if holdings is None else holdings.picture(file)
    if holdings is None or path is None:
        raise AddressRefused("No picture of this name comes with the edition.", hint="Open What the library holds.")
    row = next(row for row in holdings.parts["pictures"].rows if file in row.get("files", {}).values())
    for address, mark in _pages_of(edition, row):
        await ledger.require_shown(address, mark)
    return await asyncio.to_thread(path.read_bytes)


def _holdings_of(edition: Edition) -> Holdings | None:
    """Return what was measured of an edition, None where nothing was, or of other weights. May hash these: blocks."""
    found = read_holdings(edition.folder)
    return found if found is not None and found.fits(edition, weights_here(edition)) else None


async def _shown(edition: Edition, pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those pairs of which no page is hidden; none where that cannot be told."""
    pages = [_pages_of(edition, pair) for pair in pairs]
    try:
        hidden = await ledger.hidden_among([page for found in pages for page in found])
    except StoreUnavailable:
        return []
    return [pair for pair, found in zip(pairs, pages, strict=True) if not hidden & {address for address, _ in found}]


def _pages_of(edition: Edition, row: Any) -> list[tuple[Address, str | None]]:
    """Return the pages that a pair shows, each with its mark where that is known: the one asked for, the one found."""
    found: list[tuple[Address, str | None]] = []
    if row.get("address"):
        found.append((Address.parse(row["address"]), None))
    if row.get("mark"):
        found.append((Address(edition.slug, "mark", row["mark"], None), row["mark"]))
    return found
