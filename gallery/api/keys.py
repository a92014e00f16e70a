"""A full key that a program brings: kept for good under its mark, and its page named. Imports ninja."""

import asyncio
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import require_size
from gallery.api.openapi import COUNTED_ERRORS, KEY_BODY
from gallery.bounds import require_patience
from gallery.editions import default_edition, edition_of
from gallery.keys import open_file, place_to_read

router = Router(tags=["key"])


class OpenedOut(Schema):
    """Where a key's page is."""

    address: str
    mark: str | None
    page: str = Field(description="The path of its page")


@router.post(
    "/key",
    response={201: OpenedOut, **COUNTED_ERRORS},
    openapi_extra=KEY_BODY,
    summary="Open a full key",
)
async def open_key(request: HttpRequest, edition: str | None = None) -> Status[dict[str, Any]]:
    """Send a key's text (text/plain) or a PNG with a key inside (image/png) as the body; it is held for ever."""
    require_patience(request)
    slug = edition_of(edition or default_edition()).slug

    async with place_to_read():
        body = await asyncio.to_thread(request.read)  # not `request.body`, which Django limits to a form without files
        require_size(len(body))
        address = await open_file(body, slug)
    await ledger.require_shown(address)
    mark = address.name if address.kind == "mark" else await asyncio.to_thread(ledger.known_mark, address)
    return Status(201, {"address": address.format(), "mark": mark, "page": path_of(address)})
