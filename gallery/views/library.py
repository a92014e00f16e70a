"""Around the library: the entrance, About, search, a random page, and what crawlers are told."""

import asyncio
import secrets
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from gallery import ledger
from gallery.addresses import path_of, path_of_volume
from gallery.answers import A_DAY, refusal, render_page, status_of, uncached, unreadable_form
from gallery.bounds import require_patience
from gallery.editions import default_edition, edition_of, editions
from gallery.keys import LeadsNowhere, address_of_typed, address_of_words, is_meant_as_key
from gallery.pages.context import about_context, entrance_context
from gallery.pages.drawings.cards import entrance_card
from gallery.pages.key_figure import address_of_figure, key_figure
from gallery.pages.repertoire import subject_volumes, tiles_of_day
from gallery.views.keys import open_key
from gallery.visits import CARD_PROGRAMS, asks_head
from worker.catalogue.address import Address, random_address
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
    """How the library works, in words, and the key of a page: of some words, of the stacks, or of one opened lately."""
    edition, context = default_edition(), about_context(default_edition())
    context["url"] = request.build_absolute_uri(reverse("about"))
    any_key, status = "any" in request.GET, 200
    words = "" if any_key else request.GET.get("words", "")
    stacks = secrets.token_urlsafe(9) if any_key else request.GET.get("stacks", "")
    try:
        address = address_of_figure(edition, words, stacks) or await shown_in_about(edition)
        context |= {"words": words, "figure": await key_figure(address)}
    except BabeliaError as error:
        status = status_of(error)
        context |= {"words": words, "error": error}
    response = render_page(request, "about.html", context, status=status)
    return uncached(response) if any_key else response


async def shown_in_about(edition: str) -> Address:
    """Return a prompt that was opened lately, whose key is known; where there is none, a page of the stacks."""
    addresses = [Address.parse_kept(row.address) for row in await ledger.recent()]
    opened = (each for each in addresses if each.kind == "prompt" and each.page == 1 and each.is_current)
    return next(opened, Address(edition, "stacks", "borges", 1))


@csrf_exempt  # what is only read may come from anywhere; a key goes on to `open_key`, which takes our own forms alone
@require_http_methods(["GET", "HEAD", "POST"])
async def search(request: HttpRequest) -> HttpResponseBase:
    """The box in the head of every page: from words, an address, a link, a mark or a whole key to its page."""
    unread = unreadable_form(request)
    if unread is not None:
        return unread
    sent = request.POST if request.method == "POST" else request.GET
    typed, named = sent.get("prompt", ""), sent.get("edition") or default_edition()
    if request.method == "POST" and is_meant_as_key(typed):
        return await open_key(request)
    context = {"edition": named if named in editions() else default_edition(), "prompt": typed}
    if not typed.strip():
        return render_page(request, "search.html", context)
    read = address_of_words if sent.get("as") == "words" else address_of_typed
    try:
        address = await asyncio.to_thread(read, typed, edition_of(named).slug)
    except BabeliaError as error:
        refused = {"error": error, "may_be_words": isinstance(error, LeadsNowhere)}
        return render_page(request, "search.html", context | refused, status=400)
    try:
        if sent.get("unlisted") and address.kind == "prompt" and not asks_head(request):
            require_patience(request)
            await ledger.keep_unlisted(address)
    except BabeliaError as error:
        return refusal(request, error)
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
    """Keep crawlers off the addresses, of which there is no end; what makes a card beside a link may have them all.

    To everybody else are open: what is for search engines, and the pictures of cards, for some look here before they
    show one. The stars and ends follow RFC 9309.
    """
    root = reverse("entrance")
    programs = "".join(f"User-agent: {name}\n" for name in CARD_PROGRAMS)
    opened = (
        f"{root}$",
        reverse("about"),
        reverse("holds"),
        *(reverse("subjects", args=[slug]) for slug in editions()),
        *(reverse("room", args=[slug]) + "$" for slug in editions()),
        *(f"{path}$" for path in await subject_sheets()),
        root[:-1] + settings.STATIC_URL,
        *(reverse(name) for name in ("entrance-card", "feed", "manifest", "favicon", "touch-icon")),
        f"{root}*/card.png$",
    )
    others = "".join(f"Allow: {path}\n" for path in opened)
    listed = request.build_absolute_uri(reverse("sitemap"))
    body = f"{programs}Disallow:\n\nUser-agent: *\n{others}Disallow: {root}\n\nSitemap: {listed}\n"
    return HttpResponse(body, content_type="text/plain; charset=utf-8")


@require_safe
async def sitemap(request: HttpRequest) -> HttpResponse:
    """What search engines may have, a URL a line, as sitemaps.org allows. No page of a picture is among them."""
    slugs = list(editions())
    rooms = [reverse(name, args=[slug]) for name in ("room", "subjects") for slug in slugs]
    paths = [*(reverse(name) for name in ("entrance", "about", "holds")), *rooms, *await subject_sheets()]
    body = "".join(f"{request.build_absolute_uri(path)}\n" for path in paths)
    return HttpResponse(body, content_type="text/plain; charset=utf-8", headers={"Cache-Control": A_DAY})


async def subject_sheets() -> list[str]:
    """Return the paths of the sheets of what each edition here draws by name."""
    volumes = [each for edition in editions().values() for each in await asyncio.to_thread(subject_volumes, edition)]
    return [path for path in map(path_of_volume, volumes) if path is not None]
