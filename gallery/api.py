"""The JSON API, described by OpenAPI at /api/docs: the site's own functions, without pages around them.

An address is written as in a URL, percent-encoded once like any value of a query: `key/borges/1`, `prompt/a dog/1`.
Every error has one shape: {code, message, hint}. Nothing here needs an account, so no request can be forged.
"""

import asyncio
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from ninja import Field, NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError

from babelia.services import job_client
from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import error_shape, require_shown, status_of
from gallery.editions import default_edition, edition_of, editions
from gallery.events import events
from gallery.keys import FILE_LIMIT, address_of_file
from gallery.pages import (
    described,
    held_key,
    require_known,
    require_printable,
    stand,
    wait_for_picture,
    why_not,
)
from gallery.visits import visitor_of
from worker.catalogue.address import Address
from worker.errors import BabeliaError, InputRefused

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


class LinksOut(Schema):
    """Paths on this site."""

    page: str
    picture: str
    key: str
    json_: str = Field(alias="json")
    events: str
    next_page: str | None
    previous_page: str | None
    next_volume: str | None
    previous_volume: str | None


class PageOut(Schema):
    """What is known of a page."""

    address: str = Field(examples=["pocket-1/prompt/a dog/1"])
    edition: str
    kind: str = Field(description="key, prompt, stacks or mark")
    name: str
    page: int | None = Field(description="1 … 410; null for a mark")
    state: str = Field(description="kept, queued, printing, failed, busy or absent (nobody asked for it)")
    sentence: str
    place: int | None = Field(description="In the queue; 1 is next")
    step: int
    of: int
    seconds_left: float | None
    mark: str | None
    rendition: str | None
    pixel_digest: str | None = Field(description="SHA-256 of the pixel bytes, hexadecimal")
    file_digest: str | None = Field(description="SHA-256 of the PNG, hexadecimal; its ETag")
    steps: int | None
    seconds: float | None = Field(description="What the print took")
    printed_at: str | None = Field(description="ISO 8601, UTC")
    flagged: bool | None = Field(description="The verdict of the edition's safety checker; null where it has none")
    links: LinksOut


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


class RecentOut(Schema):
    """One page that was printed here."""

    address: str
    mark: str
    edition: str
    steps: int
    pixel_digest: str
    printed_at: str
    page: str
    picture: str
    thumbnail: str


_ERRORS = {400: ErrorOut, 404: ErrorOut, 410: ErrorOut, 503: ErrorOut}
_VISITOR = "api"
_SEE_DOCS = "See /api/docs for what is asked for."
_SEND_JSON = f'Send JSON such as {{"address": "prompt/a dog/1"}}. {_SEE_DOCS}'


@api.exception_handler(BabeliaError)
def _refused(request: HttpRequest, error: BabeliaError) -> HttpResponse:
    response: HttpResponse = api.create_response(request, error_shape(error), status=status_of(error))
    if response.status_code == 503:
        response["Retry-After"] = "5"
    return response


@api.exception_handler(ValidationError)
def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0] if error.errors else {"loc": ("body",), "msg": "it cannot be read"}
    place, *parts = [str(part) for part in first["loc"] if part != "payload"]
    hint = _SEND_JSON if place == "body" else _SEE_DOCS
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
        "hint": _SEND_JSON,
    }
    return _plain(request, shape, error.status_code)


@api.exception_handler(Http404)
def _nothing(request: HttpRequest, error: Http404) -> HttpResponse:
    shape = {"code": "address_refused", "message": "There is nothing at this path.", "hint": "See /api/docs."}
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
async def facts(request: HttpRequest, address: str) -> dict[str, Any]:
    """Say where a page stands and what is known of it. Starts nothing."""
    return described(await stand(await _found(address), _VISITOR, starts=False))


@api.post(
    "/page", response={200: PageOut, 202: PageOut, **_ERRORS}, by_alias=True, summary="Ask for a page", tags=["page"]
)
async def ask(request: HttpRequest, payload: Ask) -> tuple[int, dict[str, Any]]:
    """Ask for a page: 200 where it is kept, 202 where it waits or is printed. Asking twice prints once."""
    address = await _found(payload.address)
    visitor = payload.visitor or visitor_of(request)
    standing = await stand(address, visitor, starts=True, again=payload.again, patience=payload.patience)
    progress = standing.progress
    if progress.state in ("failed", "busy"):
        raise await why_not(address, progress)
    return (200 if standing.kept else 202), described(standing)


@api.post("/page/leave", response={200: PageOut, **_ERRORS}, by_alias=True, summary="Leave the queue", tags=["page"])
async def leave(request: HttpRequest, payload: Leave) -> dict[str, Any]:
    """No longer wait for a page. Others who wait for it are not touched."""
    address = await _found(payload.address)
    await job_client().leave(address, payload.visitor)
    return described(await stand(address, payload.visitor, starts=False))


@api.get("/page/events", summary="Follow a page while it is printed", tags=["page"])
async def follow(request: HttpRequest, address: str, visitor: str | None = None) -> HttpResponseBase:
    """Ask for a page and follow it by server-sent events: `progress`, and `done` as the last."""
    found = await _found(address)
    await require_printable(found)
    last = request.headers.get("Last-Event-ID", "")
    known = int(last) if last.isascii() and last.isdigit() else None
    body = events(found, visitor_of(request), known)
    response = StreamingHttpResponse(body, content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


@api.get("/page/picture", summary="The picture, image/png", tags=["page"])
async def picture(request: HttpRequest, address: str) -> HttpResponseBase:
    """Send the PNG; of a page not printed yet, print it and wait, up to a limit, then 503 with Retry-After."""
    found = await _found(address)
    image = await job_client().picture(found)
    if image is None:
        image, progress = await wait_for_picture(found, visitor_of(request), settings.PICTURE_WAIT)
        if image is None:
            raise await why_not(found, progress)
    await require_shown(found, image.mark)
    response = HttpResponse(image.png, content_type="image/png")
    response["ETag"] = f'"{image.digest}"'
    return response


@api.get("/page/key", summary="The key, text/plain", tags=["page"])
async def key(request: HttpRequest, address: str) -> HttpResponseBase:
    """Send the key's 189,436 characters; where the press has to make it first, as `/page/picture`."""
    found = await _found(address)
    held = await asyncio.to_thread(held_key, found)
    if held is None:
        _, progress = await wait_for_picture(found, visitor_of(request), settings.PICTURE_WAIT)
        held = await asyncio.to_thread(held_key, found)
        if held is None:
            raise await why_not(found, progress)
    return HttpResponse(held.format(), content_type="text/plain; charset=us-ascii")


# -- full keys


@api.post("/key", response={201: OpenedOut, **_ERRORS}, summary="Open a full key", tags=["key"])
async def open_key(request: HttpRequest, edition: str | None = None) -> tuple[int, dict[str, Any]]:
    """Send a key's text (text/plain) or a PNG with a key inside (image/png) as the body; it is held for ever."""
    body = request.read()  # not `request.body`, which Django limits to what a form without files may have
    if len(body) > FILE_LIMIT:
        raise InputRefused(f"A picture file may have {FILE_LIMIT:,} bytes; this one has {len(body):,}.")
    address = await asyncio.to_thread(address_of_file, body, edition_of(edition or default_edition()).slug)
    mark = address.name if address.kind == "mark" else None
    return 201, {"address": address.format(), "mark": mark, "page": address.path()}


# -- the library


@api.get("/editions", response=list[EditionOut], summary="The editions here", tags=["library"])
async def list_editions(request: HttpRequest) -> list[dict[str, Any]]:
    """List the editions, the default first."""
    fields = EditionOut.model_fields
    return [{field: getattr(edition, field) for field in fields} for edition in editions().values()]


@api.get("/recent", response=list[RecentOut], summary="Pages printed last", tags=["library"])
async def list_recent(request: HttpRequest, limit: int = 24) -> list[dict[str, Any]]:
    """List the pages printed last that somebody has looked at or followed, newest first, 1 to 100."""
    rows = []
    for row in await ledger.recent(max(1, min(limit, 100))):
        address = Address.parse(row.address)
        rows.append(
            {
                "address": row.address,
                "mark": row.mark,
                "edition": row.edition,
                "steps": row.steps,
                "pixel_digest": row.pixel_digest,
                "printed_at": row.printed_at.isoformat(),
                "page": address.path(),
                "picture": path_of(address, ".png"),
                "thumbnail": path_of(address, "/thumbnail.webp"),
            }
        )
    return rows
