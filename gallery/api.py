"""The JSON API, described by OpenAPI at /api/docs: the site's own functions, without pages around them.

An address is written as in a URL, percent-encoded once like any value of a query: `key/borges/1`, `prompt/a dog/1`.
Every error has one shape: {code, message, hint}. Nothing here needs an account; what pages of other sites have a
visitor's browser send is refused all the same, so that nobody's pages are printed at somebody else's cost.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from ninja import Field, NinjaAPI, Schema, Status
from ninja.errors import HttpError, ValidationError
from pydantic import ConfigDict

from babelia.services import job_client
from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import (
    KEY_TYPE,
    error_shape,
    nothing_at_path,
    of_unknown_length,
    require_own_site,
    require_size,
    retry_after_of,
    send_kept,
    status_of,
)
from gallery.bounds import require_patience
from gallery.description import PageOut, RecentOut, describe_recent
from gallery.editions import default_edition, edition_of, editions
from gallery.keys import open_file, place_to_read
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
from worker.errors import BabeliaError


def _ours(request: HttpRequest) -> bool:
    """Let in what no page of another site sent. Ninja calls this before each operation; raises ForeignSite."""
    if request.method == "POST":
        require_own_site(request)
    return True


api = NinjaAPI(
    auth=_ours,
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
        description="Keep the words of a prompt off the wall and off /recent, unless they were opened here before. "
        "No secret: whoever knows the words opens the same pages",
    )


class Leave(Schema):
    """Who no longer waits for which page."""

    model_config = ConfigDict(strict=True)

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
_PRINTS = _ERRORS | {int(HTTPStatus.TOO_MANY_REQUESTS): ErrorOut}
_POST_ERRORS = _ERRORS | {int(HTTPStatus.FORBIDDEN): ErrorOut}
_BODY_ERRORS = _POST_ERRORS | {
    int(HTTPStatus.REQUEST_ENTITY_TOO_LARGE): ErrorOut,
    int(HTTPStatus.UNSUPPORTED_MEDIA_TYPE): ErrorOut,
}
_COUNTED_ERRORS = _BODY_ERRORS | {int(HTTPStatus.TOO_MANY_REQUESTS): ErrorOut}
_ASKED_WRONGLY = {int(HTTPStatus.BAD_REQUEST): ErrorOut}
_VISITOR = "api"


_TAGGED: dict[str, Any] = {
    "responses": {
        206: {"description": "The part that the Range of the request names"},
        304: {"description": "As the If-None-Match of the request says, it is there already"},
        412: {"description": "It is not what the If-Match of the request insists on"},
        416: {"description": "It has no such part as the Range of the request names"},
    }
}
"""What OpenAPI says of an answer with an ETag (babelia.web.content)."""


def _sends(kind: str, description: str) -> dict[str, Any]:
    """What OpenAPI says of an answer that is no JSON; one that is no stream has an ETag."""
    schema: dict[str, Any] = {"type": "string"}
    if kind == "text/event-stream":
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
    sent: dict[str, Any] = {"description": description, "content": {kind: {"schema": schema}}}
    return {"responses": {200: sent, **({} if kind == "text/event-stream" else _TAGGED["responses"])}}


_KEY_BODY = {
    "requestBody": {
        "required": True,
        "description": f"A key's text of {CHARACTERS:,} characters, or a PNG that carries its key or its address",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("text/plain", "image/png", "application/octet-stream")
        },
    }
}


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
    return _plain(request, error_shape(nothing_at_path()), 404)


def _plain(request: HttpRequest, shape: dict[str, str], status: int) -> HttpResponse:
    response: HttpResponse = api.create_response(request, shape, status=status)
    return response


async def _found(text: str) -> Address:
    """Return the address that a caller wrote: known, shown, of an edition that is here."""
    address = Address.parse(text, default_edition())
    edition_of(address.edition)
    await ledger.require_shown(address)
    await require_known(address)
    return address


# -- a page


@api.get(
    "/page",
    response={200: PageOut, **_ERRORS},
    by_alias=True,
    openapi_extra=_TAGGED,
    summary="What is known of a page",
    tags=["page"],
)
async def facts(request: HttpRequest, address: str) -> PageOut:
    """Say where a page stands and what is known of it. Starts nothing."""
    status = await page_status(await _found(address), _VISITOR, starts=False)
    return status.describe()


@api.post(
    "/page",
    response={200: PageOut, 202: PageOut, **_COUNTED_ERRORS},
    by_alias=True,
    summary="Ask for a page",
    tags=["page"],
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


@api.post(
    "/page/leave", response={200: PageOut, **_BODY_ERRORS}, by_alias=True, summary="Leave the queue", tags=["page"]
)
async def leave(request: HttpRequest, payload: Leave) -> PageOut:
    """No longer wait for a page. Others who wait for it are not touched."""
    address = await _found(payload.address)
    await job_client().leave(address, payload.visitor)
    status = await page_status(address, payload.visitor, starts=False)
    return status.describe()


@api.get(
    "/page/events",
    response=_PRINTS,
    openapi_extra=_sends("text/event-stream", "Events, until the last"),
    summary="Follow a page while it is printed",
    tags=["page"],
)
async def follow(request: HttpRequest, address: str, visitor: str | None = None) -> HttpResponseBase:
    """Ask for a page and follow it by server-sent events: `progress`, and `done` as the last."""
    found = await _found(address)
    return of_unknown_length("text/event-stream") if asks_head(request) else await event_stream(request, found)


@api.get(
    "/page/picture",
    response=_PRINTS,
    openapi_extra=_sends("image/png", "The picture"),
    summary="The picture, image/png",
    tags=["page"],
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


@api.get(
    "/page/key",
    response=_PRINTS,
    openapi_extra=_sends("text/plain", "The key"),
    summary="The key, text/plain",
    description=f"Send the key's {CHARACTERS:,} characters; where the press has to make it first, as `/page/picture`.",
    tags=["page"],
)
async def key(request: HttpRequest, address: str) -> HttpResponseBase:
    """Send the key of a page, under the ETag that the site gives it."""
    found = await _found(address)
    if asks_head(request) and await asyncio.to_thread(held_key, found) is None:
        return of_unknown_length(KEY_TYPE)
    sent = await require_key(found, visitor_of(request), settings.PICTURE_WAIT)
    return send_kept(sent.format().encode(), KEY_TYPE, sent.mark, f"babelia-{sent.mark}.txt")


# -- full keys


@api.post(
    "/key",
    response={201: OpenedOut, **_COUNTED_ERRORS},
    openapi_extra=_KEY_BODY,
    summary="Open a full key",
    tags=["key"],
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


# -- the library


@api.get(
    "/editions",
    response=list[EditionOut],
    openapi_extra=_TAGGED,
    summary="The editions here",
    tags=["library"],
)
async def list_editions(request: HttpRequest) -> list[dict[str, Any]]:
    """List the editions, the default first."""
    fields = EditionOut.model_fields
    return [{field: getattr(edition, field) for field in fields} for edition in editions().values()]


@api.get(
    "/recent",
    response={200: list[RecentOut], **_ASKED_WRONGLY},
    openapi_extra=_TAGGED,
    summary="Pages printed last",
    tags=["library"],
)
async def list_recent(request: HttpRequest, limit: int = 24) -> list[RecentOut]:
    """List the pages printed last that somebody has looked at or followed, newest first, 1 to 100; none unlisted."""
    return [describe_recent(row) for row in await ledger.recent(max(1, min(limit, 100)))]
