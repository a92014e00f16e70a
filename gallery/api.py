"""The JSON API, described by OpenAPI at /api/docs: the site's own functions, without pages around them.

An address is written as in a URL, percent-encoded once like any value of a query: `key/borges/1`, `prompt/a dog/1`.
Every error has one shape: {code, message, hint}. Nothing here needs an account, so no request can be forged.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from ninja import Field, NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError

from babelia.services import job_client
from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import (
    KEY_TYPE,
    error_shape,
    require_shown,
    require_size,
    retry_after_of,
    send_kept,
    status_of,
)
from gallery.description import PageOut, RecentOut, describe_recent
from gallery.editions import default_edition, edition_of, editions
from gallery.keys import address_of_file
from gallery.pages.events import event_stream
from gallery.pages.status import not_printed, page_status, require_key, require_known, require_picture
from gallery.visits import visitor_of
from worker.catalogue.address import Address
from worker.catalogue.key import CHARACTERS
from worker.errors import BabeliaError

api = NinjaAPI(
    title="Babelia",
    version="1",
    description=(
        "The library of all pictures, for programs. Ask for a page by an address or a key, follow it while it is "
        "printed, fetch its picture, key and facts. An address looks like key/borges/1, prompt/a dog/1, "
        "stacks/borges/1 or mark/ and 26 characters, with or without its edition before it."
    ),
    docs_url="/docs",
    openapi_url="/openapi.json",
    urls_namespace="api",
)


class ErrorOut(Schema):
    """What every error looks like."""

    code: str = Field(description="For machines; it does not change", examples=["address_refused"])
    message: str = Field(description="One sentence for a person: what was expected, what was found")
    hint: str = Field(description="What can be done; may be empty")


class Ask(Schema):
    """A page to be printed, by its address."""

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


class Leave(Schema):
    """Who no longer waits for which page."""

    address: str = Field(max_length=4000)
    visitor: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


class OpenedOut(Schema):
    """Where a key's page is."""

    address: str
    mark: str | None
    page: str = Field(description="The path of its page")


class EditionOut(Schema):
    """One edition."""

    slug: str
    title: str
    summary: str
    licence: str
    default_steps: int
    step_limit: int
    installed: bool


_ERRORS = {
    int(status): ErrorOut
    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.GONE,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}
_VISITOR = "api"


def _see_docs() -> str:
    return f"See {reverse('api:openapi-view')} for what is asked for."


def _send_json() -> str:
    return f'Send JSON such as {{"address": "prompt/a dog/1"}}. {_see_docs()}'


@api.exception_handler(BabeliaError)
def _refused(request: HttpRequest, error: BabeliaError) -> HttpResponse:
    status = status_of(error)
    response: HttpResponse = api.create_response(request, error_shape(error), status=status)
    retry_after = retry_after_of(error, status)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


@api.exception_handler(ValidationError)
def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0] if error.errors else {"loc": ("body",), "msg": "it cannot be read"}
    place, *parts = [str(part) for part in first["loc"] if part != "payload"]
    hint = _send_json() if place == "body" else _see_docs()
    if first.get("type") == "missing":
        message = f"This request lacks its {' '.join(parts) or place}."
    else:
        message = f"The {' '.join(parts) or place} of this request is not what is asked for: {first['msg']}."
    shape = {"code": "input_refused", "message": message, "hint": hint}
    return _plain(request, shape, 400)


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    shape = {
        "code": "input_refused",
        "message": f"{error}.".replace("..", "."),
        "hint": _send_json(),
    }
    return _plain(request, shape, error.status_code)


@api.exception_handler(Http404)
def _nothing(request: HttpRequest, error: Http404) -> HttpResponse:
    shape = {"code": "address_refused", "message": "There is nothing at this path.", "hint": ""}
    shape["hint"] = f"See {reverse('api:openapi-view')}."
    return _plain(request, shape, 404)


def _plain(request: HttpRequest, shape: dict[str, str], status: int) -> HttpResponse:
    response: HttpResponse = api.create_response(request, shape, status=status)
    return response


async def _found(text: str) -> Address:
    """Return the address that a caller wrote: known, shown, of an edition that is here."""
    address = Address.parse(text, default_edition())
    edition_of(address.edition)
    await require_shown(address)
    await require_known(address)
    return address


# -- a page


@api.get("/page", response={200: PageOut, **_ERRORS}, by_alias=True, summary="What is known of a page", tags=["page"])
async def facts(request: HttpRequest, address: str) -> PageOut:
    """Say where a page stands and what is known of it. Starts nothing."""
    status = await page_status(await _found(address), _VISITOR, starts=False)
    return status.describe()


@api.post(
    "/page", response={200: PageOut, 202: PageOut, **_ERRORS}, by_alias=True, summary="Ask for a page", tags=["page"]
)
async def ask(request: HttpRequest, payload: Ask) -> tuple[int, PageOut]:
    """Ask for a page: 200 where it is kept, 202 where it waits or is printed. Asking twice prints once."""
    address = await _found(payload.address)
    visitor = payload.visitor or visitor_of(request)
    status = await page_status(address, visitor, starts=True, again=payload.again, patience=payload.patience)
    if status.progress.state in ("failed", "busy"):
        raise await not_printed(address, status.progress)
    return (200 if status.kept else 202), status.describe()


@api.post("/page/leave", response={200: PageOut, **_ERRORS}, by_alias=True, summary="Leave the queue", tags=["page"])
async def leave(request: HttpRequest, payload: Leave) -> PageOut:
    """No longer wait for a page. Others who wait for it are not touched."""
    address = await _found(payload.address)
    await job_client().leave(address, payload.visitor)
    status = await page_status(address, payload.visitor, starts=False)
    return status.describe()


@api.get("/page/events", summary="Follow a page while it is printed", tags=["page"])
async def follow(request: HttpRequest, address: str, visitor: str | None = None) -> HttpResponseBase:
    """Ask for a page and follow it by server-sent events: `progress`, and `done` as the last."""
    return await event_stream(request, await _found(address))


@api.get("/page/picture", summary="The picture, image/png", tags=["page"])
async def picture(request: HttpRequest, address: str) -> HttpResponseBase:
    """Send the PNG; of a page not printed yet, print it and wait, up to a limit, then 503 with Retry-After."""
    found = await _found(address)
    image = await job_client().picture(found)
    if image is None:
        image = await require_picture(found, visitor_of(request), settings.PICTURE_WAIT)
    await require_shown(found, image.mark)
    return send_kept(request, image.png, "image/png", image.digest, f"babelia-{image.mark}.png")


@api.get(
    "/page/key",
    summary="The key, text/plain",
    description=f"Send the key's {CHARACTERS:,} characters; where the press has to make it first, as `/page/picture`.",
    tags=["page"],
)
async def key(request: HttpRequest, address: str) -> HttpResponseBase:
    """Send the key of a page, under the ETag that the site gives it."""
    found = await _found(address)
    sent = await require_key(found, visitor_of(request), settings.PICTURE_WAIT)
    return send_kept(request, sent.format().encode(), KEY_TYPE, sent.mark, f"babelia-{sent.mark}.txt")


# -- full keys


@api.post("/key", response={201: OpenedOut, **_ERRORS}, summary="Open a full key", tags=["key"])
async def open_key(request: HttpRequest, edition: str | None = None) -> tuple[int, dict[str, Any]]:
    """Send a key's text (text/plain) or a PNG with a key inside (image/png) as the body; it is held for ever."""
    body = request.read()  # not `request.body`, which Django limits to what a form without files may have
    require_size(len(body))
    address = await asyncio.to_thread(address_of_file, body, edition_of(edition or default_edition()).slug)
    mark = address.name if address.kind == "mark" else None
    return 201, {"address": address.format(), "mark": mark, "page": path_of(address)}


# -- the library


@api.get("/editions", response=list[EditionOut], summary="The editions here", tags=["library"])
async def list_editions(request: HttpRequest) -> list[dict[str, Any]]:
    """List the editions, the default first."""
    fields = EditionOut.model_fields
    return [{field: getattr(edition, field) for field in fields} for edition in editions().values()]


@api.get("/recent", response=list[RecentOut], summary="Pages printed last", tags=["library"])
async def list_recent(request: HttpRequest, limit: int = 24) -> list[RecentOut]:
    """List the pages printed last that somebody has looked at or followed, newest first, 1 to 100."""
    return [describe_recent(row) for row in await ledger.recent(max(1, min(limit, 100)))]
