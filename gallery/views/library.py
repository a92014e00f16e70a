"""Around the library: the entrance, About, search, a random page, and what crawlers are told."""

import asyncio
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import A_DAY, refusal, render_page, uncached
from gallery.editions import default_edition, edition_of, editions
from gallery.pages.cards import entrance_card
from gallery.pages.context import about_context, entrance_context
from gallery.pages.repertoire import tiles_of_day
from worker.catalogue.address import Address, canonical_prompt, random_address
from worker.errors import BabeliaError


@require_safe
async def entrance(request: HttpRequest) -> HttpResponse:
    """What this is, the search box, and a wall of the pages printed last."""
    absolute = request.build_absolute_uri
    urls = {"url": absolute(reverse("entrance")), "card": absolute(reverse("entrance-card"))}
    tiles = await tiles_of_day(default_edition(), datetime.now(UTC).date())
    context = entrance_context(await ledger.recent()) | {"tiles": tiles}
    return render_page(request, "entrance.html", context | urls)


@require_safe
async def entrance_picture(request: HttpRequest) -> HttpResponse:
    """The library's own card, for link previews."""
    body = await asyncio.to_thread(entrance_card)
    return HttpResponse(body, content_type="image/png", headers={"Cache-Control": A_DAY})


@require_safe
async def about(request: HttpRequest) -> HttpResponse:
    """How the library works, in words."""
    return render_page(request, "about.html", about_context(default_edition()))


@require_safe
async def search(request: HttpRequest) -> HttpResponseBase:
    """From a prompt to page 1 of its volume."""
    named = request.GET.get("edition") or default_edition()
    prompt = request.GET.get("prompt", "")
    context = {"edition": named if named in editions() else default_edition()}
    if not prompt.strip():
        return render_page(request, "search.html", context)
    try:
        address = Address(edition_of(named).slug, "prompt", canonical_prompt(prompt), 1)
    except BabeliaError as error:
        return render_page(request, "search.html", context | {"error": error, "prompt": prompt}, status=400)
    return HttpResponseRedirect(path_of(address))


@require_safe
async def random(request: HttpRequest, edition: str | None = None) -> HttpResponseBase:
    """To a page that nobody chose."""
    try:
        address = random_address(edition_of(edition or default_edition()).slug)
    except BabeliaError as error:
        return refusal(request, error)
    return uncached(HttpResponseRedirect(path_of(address)))


@require_safe
async def robots(request: HttpRequest) -> HttpResponse:
    """Keep crawlers off the addresses: there is no end of them, and each would be printed."""
    root, about_path = reverse("entrance"), reverse("about")
    static = root[:-1] + settings.STATIC_URL
    subjects = "".join(f"Allow: {reverse('subjects', args=[slug])}\n" for slug in editions())
    body = f"User-agent: *\nAllow: {root}$\nAllow: {about_path}\n{subjects}Allow: {static}\nDisallow: {root}\n"
    return HttpResponse(body, content_type="text/plain; charset=utf-8")
