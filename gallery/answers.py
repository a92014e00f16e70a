"""From what the library refuses to what HTTP says: the one place where an exception becomes an answer. Imports Django.

Also the decorators that every view of an address wears, so that a view itself reads "find, refuse, answer".
"""

import functools
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponsePermanentRedirect, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from gallery import ledger
from gallery.addresses import is_canonical, path_of
from gallery.editions import default_edition, edition_of, offered_editions
from worker.catalogue.address import Address
from worker.errors import (
    AddressRefused,
    BabeliaError,
    EditionRefused,
    InputRefused,
    KeyRefused,
    LibraryBusy,
    PrintFailed,
    StoreUnavailable,
    WeightsRefused,
)

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]
AddressView = Callable[[HttpRequest, Address], Coroutine[Any, Any, HttpResponseBase]]
_log = logging.getLogger(__name__)


class PageHidden(BabeliaError):
    """A page that the keepers of this library have hidden."""

    code = "page_hidden"
    hint = "Its neighbours are still there."


class TooLarge(BabeliaError):
    """A text or file above what a key or a picture can have."""

    code = "too_large"
    hint = "A key has 189,436 characters and may come with 256 kB of text; a picture file may have 16 MB."


_STATUS: dict[type[BabeliaError], int] = {
    KeyRefused: 400,
    InputRefused: 400,
    AddressRefused: 404,
    EditionRefused: 404,
    PageHidden: 410,
    TooLarge: 413,
    WeightsRefused: 503,
    StoreUnavailable: 503,
    LibraryBusy: 503,
    PrintFailed: 503,
}


def status_of(error: BabeliaError) -> int:
    """Return the HTTP status of a refusal."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def error_shape(error: BabeliaError) -> dict[str, str]:
    """Return a refusal as JSON, the same shape everywhere: code for machines, sentence, what to do."""
    return {"code": error.code, "message": str(error), "hint": error.hint}


def refusal(
    request: HttpRequest,
    error: BabeliaError,
    form: str = "/",
    retry_after: int | None = None,
    status: int | None = None,
) -> HttpResponse:
    """Return the answer to something refused, in the form that was asked for: HTML, JSON or one line of text."""
    status = status or status_of(error)
    if status == 503 and retry_after is None:
        retry_after = 5
    if form == ".json":
        response: HttpResponse = JsonResponse(error_shape(error), status=status)
    elif form in ("/", ""):
        context = {"error": error, "status": status, "retry_after": retry_after}
        response = page(request, "refused.html", context, status=status)
    else:
        text = f"{error} {error.hint}".strip() + "\n"
        response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    response["Cache-Control"] = "no-store"
    return response


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render a template with what the head of every page needs: the editions that can be searched."""
    common = {"editions": offered_editions(), "edition": default_edition()}
    return render(request, template, common | context, status=status)


def at_address(form: str) -> Callable[[AddressView], View]:
    """Decorate the view of an address's form: one spelling, a known edition, not hidden; refusals become answers."""

    def decorate(view: AddressView) -> View:
        @functools.wraps(view)
        async def answer(request: HttpRequest, address: Address) -> HttpResponseBase:
            if not is_canonical(request, address, form):
                query = request.META.get("QUERY_STRING")
                return HttpResponsePermanentRedirect(path_of(address, form) + (f"?{query}" if query else ""))
            try:
                edition_of(address.edition)
                await require_shown(address)
                return await view(request, address)
            except StoreUnavailable as error:
                _log.warning("%s (%r)", error, error.__cause__)
                return refusal(request, error, form)
            except BabeliaError as error:
                return refusal(request, error, form)

        return answer

    return decorate


async def require_shown(address: Address, mark: str | None = None) -> None:
    """Raise PageHidden where a page is hidden by its address or its mark."""
    if await ledger.is_hidden(address, mark):
        raise PageHidden("The keepers of this library have hidden this page.")


def own_form(view: View) -> View:
    """Decorate a view that takes a form of this site: POST only, and not sent by another site's page.

    The site has no accounts and sets no cookies, so there is no token to compare; browsers say where a form came from
    (Sec-Fetch-Site, or Origin in old ones), and programs that say neither are nobody's victim.
    """

    @functools.wraps(view)
    async def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            error = InputRefused(
                "A form is sent to this address; there is nothing to open.",
                hint="Go back to the page that it belongs to.",
            )
            response = refusal(request, error, status=405)
            response["Allow"] = "POST"
            return response
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site")
        foreign = site in ("cross-site", "same-site") if site else bool(origin) and not _is_own(request, str(origin))
        if foreign:
            error = InputRefused("This form was sent by another site.", hint="Open the page here and send it again.")
            return refusal(request, error, status=403)
        return await view(request, *args, **kwargs)

    exempt: View = csrf_exempt(answer)
    return exempt


def _is_own(request: HttpRequest, origin: str) -> bool:
    return bool(urlsplit(origin).netloc == request.get_host())


def wants_json(request: HttpRequest) -> bool:
    """Say whether a script asks: it prefers JSON to a page."""
    return "application/json" in request.headers.get("Accept", "")


def as_json_line(value: dict[str, Any]) -> str:
    """Return a dictionary as one line of JSON, letters of all scripts as they are."""
    return json.dumps(value, ensure_ascii=False)
