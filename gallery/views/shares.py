"""For other programs: the feed, oEmbed and the frame it names, the manifest and the icons asked for by name."""

import asyncio
import functools
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_safe

from gallery.answers import A_DAY, A_MINUTE, View, at_address, refusal, render_page
from gallery.pages import shares
from worker.catalogue.address import Address
from worker.errors import AddressRefused, BabeliaError, InputRefused


@require_safe
async def feed(request: HttpRequest) -> HttpResponse:
    """The page of the day and what was opened lately, as Atom. Starts no print."""
    body = await shares.feed(request.build_absolute_uri)
    kind = "application/atom+xml; charset=utf-8"
    return HttpResponse(body, content_type=kind, headers={"Cache-Control": A_MINUTE})


@require_safe
async def oembed(request: HttpRequest) -> HttpResponseBase:
    """How to show a kept page on another site (oembed.com). Anybody's script may read it."""
    sent, absolute = request.GET, request.build_absolute_uri
    anybody = {"Access-Control-Allow-Origin": "*"}
    try:
        if sent.get("format", "json") != "json":
            error = InputRefused("oEmbed is answered as JSON alone.", hint="Leave `format` out, or say json.")
            return refusal(request, error, ".json", status=501)
        address = shares.page_at(sent.get("url", ""), request.get_host())
        bounds = shares.read_bound(sent.get("maxwidth")), shares.read_bound(sent.get("maxheight"))
        record = await shares.kept_and_shown(address)
        if record is None:
            raise AddressRefused("This picture is not drawn yet.", hint="Open it first.")
        body = shares.oembed_of(address, record, *bounds, absolute)
    except BabeliaError as error:
        return refusal(request, error, ".json")
    return JsonResponse(body, headers={"Cache-Control": A_DAY} | anybody)


def _in_any_frame(view: View) -> View:
    """Decorate the view whose answers, refusals too, other sites may put into frames of theirs."""

    @functools.wraps(view)
    async def answer(request: HttpRequest, address: Address) -> HttpResponseBase:
        response = await view(request, address)
        # django-csp's own decorator for this knows no coroutines; it sets what its middleware reads, as done here.
        response._csp_replace = {"frame-ancestors": ["*"], "script-src": None}  # type: ignore[attr-defined]
        response.xframe_options_exempt = True  # type: ignore[attr-defined]
        response["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    return answer


@require_safe
@_in_any_frame
@at_address("/embed/")
async def embed(request: HttpRequest, address: Address) -> HttpResponse:
    """A page in a frame, the one thing here that other sites may put into theirs. Starts no print."""
    context = shares.embed_context(address, await shares.kept_and_shown(address))
    response = render_page(request, "embed.html", context)
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
async def manifest(request: HttpRequest) -> HttpResponse:
    """What a telephone needs to put the site among its programs."""
    return JsonResponse(shares.manifest(), content_type="application/manifest+json", headers={"Cache-Control": A_DAY})


@require_safe
async def favicon(request: HttpRequest) -> HttpResponse:
    """The icon, for programs that ask for it by this name whatever the page says."""
    return await _icon("favicon.ico", "image/x-icon")


@require_safe
async def touch_icon(request: HttpRequest) -> HttpResponse:
    """The icon on the screen of an iPhone."""
    return await _icon("apple-touch-icon.png", "image/png")


async def _icon(name: str, kind: str) -> HttpResponse:
    """Return an icon under a name without its stamp."""
    body = await asyncio.to_thread(_read, name)
    return HttpResponse(body, content_type=kind, headers={"Cache-Control": A_DAY})


@functools.cache
def _read(name: str) -> bytes:
    path = finders.find(f"img/{name}")
    assert isinstance(path, str), f"{name} comes with the site"
    return Path(path).read_bytes()
