"""One page for programs: what is known of it, asked for, followed while it is printed, its picture and key. Ninja.

An address is written as in a URL, percent-encoded once like any value of a query: `key/borges/1`, `prompt/a dog/1`.
"""

import asyncio

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from ninja import Field, Router, Schema, Status
from pydantic import ConfigDict

from babelia.services import job_client
from gallery import ledger
from gallery.answers import KEY_TYPE, of_unknown_length, send_kept
from gallery.api.openapi import BODY_ERRORS, COUNTED_ERRORS, ERRORS, PRINTS, TAGGED, sends
from gallery.bounds import require_patience
from gallery.description import PageOut
from gallery.editions import default_edition, edition_of
from gallery.pages.events import event_stream
from gallery.pages.status import (
    held_key,
    kept_picture,
    not_printed,
    page_status,
    require_key,
    require_known,
    require_picture,
)
from gallery.visits import asks_head, visitor_of
from worker.catalogue.address import Address
from worker.catalogue.key import CHARACTERS

router = Router(tags=["page"])
_VISITOR = "api"


class Ask(Schema):
    """A page to be printed, by its address."""

    model_config = ConfigDict(strict=True)  # what the description calls a number is no text with digits in it

    address: str = Field(max_length=4000, examples=["prompt/a dog/1"])
    visitor: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Any name for whoever waits; needed to leave the queue"
    )
    patience: float = Field(
        60,
        ge=1,
        le=600,
        description="Seconds after which you no longer count as waiting unless you follow or ask again",
    )
    again: bool = Field(False, description="Try again although three attempts have failed")
    unlisted: bool = Field(
        False,
        description="Keep the words of a prompt off the wall and every list, unless they were opened here before. "
        "No secret: whoever knows the words opens the same pages",
    )


class Leave(Schema):
    """Who no longer waits for which page."""

    model_config = ConfigDict(strict=True)

    address: str = Field(max_length=4000)
    visitor: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


async def _found(text: str) -> Address:
    """Return the address that a caller wrote: known, shown, of an edition that is here."""
    address = Address.parse(text, default_edition())
    edition_of(address.edition)
    await ledger.require_shown(address)
    await require_known(address)
    return address


@router.get(
    "/page",
    response={200: PageOut, **ERRORS},
    by_alias=True,
    openapi_extra=TAGGED,
    summary="State and facts of a page",
)
async def facts(request: HttpRequest, address: str) -> PageOut:
    """Say where a page stands and what is known of it. Starts nothing."""
    status = await page_status(await _found(address), _VISITOR, starts=False)
    return status.describe()


@router.post(
    "/page",
    response={200: PageOut, 202: PageOut, **COUNTED_ERRORS},
    by_alias=True,
    summary="Ask for a page",
)
async def ask(request: HttpRequest, payload: Ask) -> Status[PageOut]:
    """Ask for a page: 200 where it is kept, 202 where it waits or is printed. Asking twice prints once.

    Pages that people wait for are printed before those of programs. 429, with Retry-After, where as many of yours wait
    as one visitor may have, or where you have asked for too many in a minute.
    """
    if payload.again or payload.unlisted:
        require_patience(request)
    address = await _found(payload.address)
    if payload.unlisted and address.kind == "prompt":
        await ledger.keep_unlisted(address)
    visitor = visitor_of(request, payload.visitor)
    status = await page_status(address, visitor, starts=True, again=payload.again, patience=payload.patience)
    if status.progress.state in ("failed", "busy"):
        raise await not_printed(address, status.progress)
    return Status(200 if status.kept else 202, status.describe())


@router.post("/page/leave", response={200: PageOut, **BODY_ERRORS}, by_alias=True, summary="Cancel")
async def leave(request: HttpRequest, payload: Leave) -> PageOut:
    """No longer wait for a page. Others who wait for it are not touched."""
    address = await _found(payload.address)
    await job_client().leave(address, payload.visitor)
    status = await page_status(address, payload.visitor, starts=False)
    return status.describe()


@router.get(
    "/page/events",
    response=PRINTS,
    openapi_extra=sends("text/event-stream", "Events, until the last"),
    summary="Follow a page while it is drawn",
)
async def follow(request: HttpRequest, address: str, visitor: str | None = None) -> HttpResponseBase:
    """Ask for a page and follow it by server-sent events: `progress`, and `done` as the last."""
    found = await _found(address)
    return of_unknown_length("text/event-stream") if asks_head(request) else await event_stream(request, found)


@router.get(
    "/page/picture",
    response=PRINTS,
    openapi_extra=sends("image/png", "The picture"),
    summary="The picture, image/png",
)
async def picture(request: HttpRequest, address: str) -> HttpResponseBase:
    """Send the PNG; of a page not printed yet, print it and wait, up to a limit, then 503 with Retry-After."""
    found = await _found(address)
    image = await kept_picture(found)
    if image is None and asks_head(request):
        return of_unknown_length("image/png")
    if image is None:
        image = await require_picture(found, visitor_of(request), settings.PICTURE_WAIT)
    return send_kept(image.png, "image/png", image.digest, f"babelia-{image.mark}.png")


@router.get(
    "/page/key",
    response=PRINTS,
    openapi_extra=sends("text/plain", "The key"),
    summary="The key, text/plain",
    description=f"Send the key's {CHARACTERS:,} characters; where the press has to make it first, as `/page/picture`.",
)
async def key(request: HttpRequest, address: str) -> HttpResponseBase:
    """Send the key of a page, under the ETag that the site gives it."""
    found = await _found(address)
    if asks_head(request) and await asyncio.to_thread(held_key, found) is None:
        return of_unknown_length(KEY_TYPE)
    sent = await require_key(found, visitor_of(request), settings.PICTURE_WAIT)
    return send_kept(sent.format().encode(), KEY_TYPE, sent.mark, f"babelia-{sent.mark}.txt")
