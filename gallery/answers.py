"""From what the library refuses to what HTTP says: the one place where an exception becomes an answer. Imports Django.

Also the decorators that the views wear, so that a view itself reads "find, refuse, answer", and the answers that site
and API have in common.
"""

import functools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from http import HTTPStatus
from math import floor, log10
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.multipartparser import MultiPartParserError
from django.http.request import split_domain_port, validate_host
from django.shortcuts import render
from django.urls import get_script_prefix, reverse
from django.views.decorators.csrf import csrf_exempt

from gallery import ledger
from gallery.addresses import is_canonical, neighbour_page, path_of
from gallery.editions import default_edition, edition_of, editions, offered_editions
from gallery.pages.drawings import cards
from gallery.pages.status import ASK_AGAIN_SECONDS
from worker.catalogue import png
from worker.catalogue.address import NAME_LIMIT, PAGES, PROMPT_LIMIT, Address
from worker.catalogue.key import BITS, CHARACTERS, CODE_BITS, EMBEDDING_CODES, LATENTS_CODES, LEVEL_BITS
from worker.catalogue.limits import KEY_TEXT_BYTES, PICTURE_FILE_BYTES
from worker.errors import (
    AddressRefused,
    BabeliaError,
    EditionRefused,
    InputRefused,
    KeyRefused,
    LibraryBusy,
    PageHidden,
    PrintFailed,
    StoreUnavailable,
    TooMany,
    WeightsRefused,
)

A_DAY: Final = "public, max-age=86400"
"""For how long others may keep a picture: no more, so that a page that is hidden is gone within a day."""
A_MINUTE: Final = "public, max-age=60"
KEY_TYPE: Final = "text/plain; charset=us-ascii"

SHELF_PAGES: Final = 500
"""So many pages a browser keeps of the shelf, and so many of those seen lately."""
KEY_TEXT_LIMIT: Final = f"{KEY_TEXT_BYTES // 1024} kB"
PICTURE_FILE_LIMIT: Final = f"{PICTURE_FILE_BYTES // 1024**2} MB"
NUMBERS: Final = {
    "pages": str(PAGES),
    "width": str(png.WIDTH),
    "height": str(png.HEIGHT),
    "card_width": str(cards.WIDTH),
    "card_height": str(cards.HEIGHT),
    "prompt_characters": str(PROMPT_LIMIT),
    "name_characters": str(NAME_LIMIT),
    "text_characters": str(KEY_TEXT_BYTES),
    "key_characters": f"{CHARACTERS:,}",
    "key_bits": f"{BITS:,}",
    "keys_power": f"{floor(BITS * log10(2)):,}",
    "steps_bits": str(LEVEL_BITS),
    "embedding_bits": f"{CODE_BITS * EMBEDDING_CODES:,}",
    "latents_bits": f"{CODE_BITS * LATENTS_CODES:,}",
    "picture_file_bytes": str(PICTURE_FILE_BYTES),
    "picture_file_limit": PICTURE_FILE_LIMIT,
    "shelf": str(SHELF_PAGES),
}
"""The numbers that templates state, as `numbers`: as texts, for Django takes 20 µs to localise a number."""

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]
AddressView = Callable[[HttpRequest, Address], Coroutine[Any, Any, HttpResponseBase]]
_log = logging.getLogger(__name__)


class ForeignSite(BabeliaError):
    """Something that a page of another site had a visitor's browser send."""

    code = "foreign_site"
    hint = "Open the page here and send it again."


class TooLarge(BabeliaError):
    """A text or file above what a key or a picture can have."""

    code = "too_large"
    hint = (
        f"A key has {CHARACTERS:,} characters and may come with {KEY_TEXT_LIMIT} of text; "
        f"a picture file may have {PICTURE_FILE_LIMIT}."
    )


_STATUS: dict[type[BabeliaError], int] = {
    TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    KeyRefused: HTTPStatus.BAD_REQUEST,
    InputRefused: HTTPStatus.BAD_REQUEST,
    AddressRefused: HTTPStatus.NOT_FOUND,
    EditionRefused: HTTPStatus.NOT_FOUND,
    PageHidden: HTTPStatus.GONE,
    ForeignSite: HTTPStatus.FORBIDDEN,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WeightsRefused: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    LibraryBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    PrintFailed: HTTPStatus.SERVICE_UNAVAILABLE,
}
_HEADINGS = {
    HTTPStatus.NOT_FOUND: ("Not found", "Page not found"),
    HTTPStatus.GONE: ("Taken down", "This picture was taken down"),
    HTTPStatus.TOO_MANY_REQUESTS: ("One moment", "That is a lot at once"),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Not now", "New pictures cannot be drawn at the moment"),
}
_REFUSED = ("Refused", "This cannot be opened")


def status_of(error: BabeliaError) -> int:
    """Return the HTTP status of a refusal."""
    return next((int(status) for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def retry_after_of(error: BabeliaError, status: int) -> int | None:
    """Return the seconds of the header Retry-After: of every 503 and 429, and of no other refusal."""
    later = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
    return (error.retry_after or ASK_AGAIN_SECONDS) if status in later else None


def waiting(response: HttpResponse, error: BabeliaError) -> HttpResponse:
    """Return the answer to something refused, with the header that says when to come back where it is worth it."""
    retry_after = retry_after_of(error, response.status_code)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


def error_shape(error: BabeliaError) -> dict[str, str]:
    """Return a refusal as JSON, the same shape everywhere: code for machines, sentence, what to do."""
    return {"code": error.code, "message": str(error), "hint": error.hint}


def nothing_at_path() -> AddressRefused:
    """Return what is said of a path of the API's at which there is nothing."""
    return AddressRefused("There is nothing at this path.", hint=f"See {reverse('api:openapi-view')}.")


def refusal(
    request: HttpRequest,
    error: BabeliaError,
    form: str = "/",
    *,
    status: int | None = None,
    address: Address | None = None,
) -> HttpResponse:
    """Return the answer to something refused, in the form that was asked for: HTML, JSON or one line of text.

    JSON is asked for by its path or by the header Accept, whatever the path. A page of HTML leads on: to what is kept
    where nothing can be drawn, and from an `address` that is hidden to the pages beside it.
    """
    status = status or status_of(error)
    retry_after = retry_after_of(error, status)
    if form == ".json" or wants_json(request):
        response: HttpResponse = JsonResponse(error_shape(error), status=status)
    elif "." not in form and not form.endswith("/events"):  # what people open; files and streams are read by programs
        title, heading = _HEADINGS.get(HTTPStatus(status), _REFUSED)
        context = {"error": error, "status": status, "title": title, "retry_after": retry_after}
        context["heading"] = error.heading or heading
        context["can_draw"] = retry_after is None
        if address is not None and address.edition in editions():
            beside = {word: neighbour_page(address, by) for word, by in (("Previous", -1), ("Next", 1))}
            context["edition"] = address.edition
            context["beside"] = [
                (word, path_of(page)) for word, page in beside.items() if page and status == HTTPStatus.GONE
            ]
        template = "embed.html" if form == "/embed/" else "refused.html"
        response = render_page(request, template, context, status=status)
    else:
        text = f"{error} {error.hint}".strip() + "\n"
        response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return uncached(response)


def render_page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render a template with what every page needs: the editions that can be searched, the frame's links, numbers."""
    common = {
        "editions": offered_editions(),
        "edition": default_edition(),
        "routes": _routes(get_script_prefix(), context.get("edition") or default_edition()),
        "numbers": NUMBERS,
    }
    return render(request, template, common | context, status=status)


@functools.lru_cache(maxsize=64)
def _routes(prefix: str, edition: str) -> dict[str, str]:  # noqa: ARG001  (what `reverse` depends on)
    """Return the paths in the frame of every page (base.html, search_form.html) and on a page, below a script prefix.

    Other templates use the tag `url`. Here its look-ups would take a tenth of the time of a kept page.
    """
    names = {"about": "about", "docs": "api:guide", "entrance": "entrance", "key": "key", "search": "search"}
    names |= {"open_key": "open-key", "completions": "completions", "feed": "feed", "oembed": "oembed"}
    names |= {"manifest": "manifest", "touch_icon": "touch-icon", "shelf": "shelf", "slideshow": "slideshow"}
    names |= {"compare": "compare", "corridor": "corridor", "find": "find"}
    of_edition = {"subjects": "subjects", "room": "room", "opened": "opened"}
    paths = {key: reverse(name) for key, name in names.items()}
    return paths | {key: reverse(name, args=[edition]) for key, name in of_edition.items()}


def at_address(form: str) -> Callable[[AddressView], View]:
    """Decorate the view of one form of an address: one spelling, a known edition, not hidden; refusals are answered."""

    def decorate(view: AddressView) -> View:
        @functools.wraps(view)
        async def answer(request: HttpRequest, address: Address) -> HttpResponseBase:
            if not is_canonical(request, address, form):
                query = request.META.get("QUERY_STRING")
                return HttpResponsePermanentRedirect(path_of(address, form) + (f"?{query}" if query else ""))
            try:
                edition_of(address.edition)
                await ledger.require_shown(address)
                return await view(request, address)
            except StoreUnavailable as error:
                _log.warning("%s (%r)", error, error.__cause__)
                return refusal(request, error, form, address=address)
            except BabeliaError as error:
                return refusal(request, error, form, address=address)

        return answer

    return decorate


def require_size(size: int) -> None:
    """Raise InputRefused where a file is larger than a picture with its key can be."""
    if size > PICTURE_FILE_BYTES:
        raise InputRefused(f"A picture file may have {PICTURE_FILE_BYTES:,} bytes; this one has {size:,}.")


def back_to(form: str) -> Callable[[View], View]:
    """Decorate a view that takes a form and may answer with that form again: opened, its URL leads to the form's own.

    `form`: the name of its route. A refusal stands at the URL that was sent to, and browsers open that again.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method in ("GET", "HEAD"):
                return uncached(HttpResponseRedirect(reverse(form)))
            return await view(request, *args, **kwargs)

        exempt: View = csrf_exempt(answer)
        return exempt

    return decorate


def require_own_post(view: View) -> View:
    """Decorate a view that takes a form of this site: POST only, and not sent by another site's page.

    The site has no accounts and sets no cookies, so there is no token to compare (see `require_own_site`).
    """

    @functools.wraps(view)
    async def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            error = InputRefused(
                "There is nothing to see at this address; a form is sent to it.",
                hint="Go back to the page that it belongs to.",
            )
            response = refusal(request, error, status=405)
            response["Allow"] = "POST"
            return response
        try:
            require_own_site(request)
        except ForeignSite as foreign:
            return refusal(request, foreign)
        # It is read here, one by one: in threads, 60 pictures took half as much memory again.
        return unreadable_form(request) or await view(request, *args, **kwargs)

    exempt: View = csrf_exempt(answer)
    return exempt


def require_own_site(request: HttpRequest) -> None:
    """Raise ForeignSite where a page of another site sent this.

    Browsers say what sent it: Sec-Fetch-Site, which they leave out over plain HTTP, or Origin. A program that says
    neither acts for nobody but itself. An Origin is ours if it names the host that was asked, or one of BABELIA_HOSTS;
    ports do not count, because proxies often leave them out.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site in ("same-origin", "none") or (site is None and origin is None):
        return
    asked, named = split_domain_port(request.get_host())[0], _host_of(origin)
    ours = bool(named) and (named == asked or validate_host(named, [n for n in settings.ALLOWED_HOSTS if n != "*"]))
    if site is None and ours:
        return
    if site is None and named:
        _tell_keeper(asked, named)
        raise ForeignSite(
            f"This was sent by a page of {named}, and this site is asked as {asked}.",
            hint="If both are this library, its proxy has to hand on the host that visitors type, in the header "
            "Host or X-Forwarded-Host (nginx: proxy_set_header Host $http_host), or BABELIA_HOSTS has to name it.",
        )
    raise ForeignSite("This was sent by a page of another site.")


@functools.lru_cache(maxsize=16)  # once for each name of ours, so that nobody fills the log
def _tell_keeper(asked: str, named: str) -> None:
    """Log what a proxy that hands on no host looks like."""
    _log.warning(
        "What a page of %r sent was refused, for this site is asked as %r. If both are this library, its proxy "
        "hands on no host: see docs/operating.md, “Behind a proxy”.",
        named,
        asked,
    )


def _host_of(origin: str | None) -> str:
    """Return the host of a header Origin, without its port; empty for `null`, which stands for a site in hiding."""
    try:
        return split_domain_port(urlsplit(origin or "").netloc)[0]
    except ValueError:  # brackets that do not match
        return ""


def unreadable_form(request: HttpRequest) -> HttpResponse | None:
    """Return the refusal of a form that Django cannot read, for its parts may name any codec; None where it can."""
    try:
        request.POST  # noqa: B018  (reads it)
    except (MultiPartParserError, LookupError, ValueError):
        error = InputRefused("This form cannot be read.", hint="Open its page and send it again.")
        return refusal(request, error, ".json" if wants_json(request) else "/")
    return None


def wants_json(request: HttpRequest) -> bool:
    """Say whether a script asks: it prefers JSON to a page."""
    return bool(request.get_preferred_type(["text/html", "application/json"]) == "application/json")


def send_kept(body: bytes, kind: str, tag: str, filename: str) -> HttpResponse:
    """Return bytes that never change, named by an ETag, fresh for a day. Who has them: babelia.web.content."""
    response = HttpResponse(body, content_type=kind)
    response["ETag"] = f'"{tag}"'
    response["Cache-Control"] = A_DAY
    response["Content-Disposition"] = f'inline; filename="{filename}"'
    return response


def uncached(response: HttpResponse) -> HttpResponse:
    """Return an answer that nobody keeps."""
    response["Cache-Control"] = "no-store"
    return response


def see_other(path: str) -> HttpResponse:
    """Return 303: what a form did can be seen there."""
    return HttpResponse(status=HTTPStatus.SEE_OTHER, headers={"Location": path})


def moved(request: HttpRequest, name: str, other: str) -> HttpResponse:
    """Return the answer that leads from a path to the same one with another name in it; its query is kept."""
    return uncached(HttpResponseRedirect(request.get_full_path().replace(name, other, 1)))


def of_unknown_length(kind: str) -> HttpResponseBase:
    """Answer HEAD for what a GET would have printed first: its kind, and no length, since nobody knows it yet."""
    empty: tuple[bytes, ...] = ()

    async def nothing() -> AsyncIterator[bytes]:
        for part in empty:
            yield part

    return StreamingHttpResponse(nothing(), content_type=kind, headers={"Cache-Control": "no-store"})
