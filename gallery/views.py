"""The views: find, refuse, answer. What they show is made by `gallery.pages`; what they refuse, by `gallery.answers`.

The site never waits for the press, but for the forms of a page that cannot be shown in part (`.png`, `.txt`).
"""

import asyncio
from collections.abc import AsyncIterator
from math import ceil

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    HttpResponseRedirect,
    HttpResponseServerError,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_safe

from babelia.services import job_client, store
from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import (
    TooLarge,
    at_address,
    error_shape,
    own_form,
    page,
    refusal,
    require_shown,
    status_of,
    wants_json,
)
from gallery.cards import card, entrance_card
from gallery.editions import default_edition, edition_of
from gallery.events import events
from gallery.keys import FILE_LIMIT, address_of_file, address_of_text, with_key
from gallery.pages import (
    day_of,
    described,
    held_key,
    links_of,
    opened,
    require_known,
    require_printable,
    stand,
    title_of,
    wait_for_picture,
    why_not,
    words_of,
)
from gallery.visits import may_start_print, visitor_of
from worker.catalogue.address import Address, canonical_prompt, random_address
from worker.errors import AddressRefused, BabeliaError, InputRefused
from worker.jobs.progress import Progress

_A_DAY = "public, max-age=86400"

# -- the entrance


@require_safe
async def entrance(request: HttpRequest) -> HttpResponse:
    """What this is, the search box, and a wall of the pages printed last."""
    wall = [(Address.parse(row.address), row) for row in await ledger.recent()]
    shown = [
        {"links": links_of(address), "title": title_of(address), "words": words_of(address)} for address, _ in wall
    ]
    return page(request, "entrance.html", {"wall": shown})


@require_safe
async def entrance_picture(request: HttpRequest) -> HttpResponse:
    """The library's own card, for chat programs."""
    response = HttpResponse(await asyncio.to_thread(entrance_card), content_type="image/png")
    response["Cache-Control"] = _A_DAY
    return response


@require_safe
async def about(request: HttpRequest) -> HttpResponse:
    """How the library works, in words."""
    return page(request, "about.html", {})


@require_safe
async def search(request: HttpRequest) -> HttpResponseBase:
    """From a prompt to page 1 of its volume."""
    edition = request.GET.get("edition") or default_edition()
    prompt = request.GET.get("prompt", "")
    if not prompt.strip():
        return page(request, "search.html", {"edition": edition})
    try:
        address = Address(edition_of(edition).slug, "prompt", canonical_prompt(prompt), 1)
    except BabeliaError as error:
        context = {"error": error, "prompt": prompt, "edition": edition}
        return page(request, "search.html", context, status=400)
    return HttpResponseRedirect(address.path())


@require_safe
async def random(request: HttpRequest, edition: str | None = None) -> HttpResponseBase:
    """To a page that nobody chose."""
    try:
        response = HttpResponseRedirect(random_address(edition_of(edition or default_edition()).slug).path())
    except BabeliaError as error:
        return refusal(request, error)
    response["Cache-Control"] = "no-store"
    return response


# -- a page in its forms


@require_safe
@at_address("/")
async def show(request: HttpRequest, address: Address) -> HttpResponse:
    """The page: its picture where it is kept, else an empty frame that fills while the press works."""
    visitor = visitor_of(request)
    standing = await stand(address, visitor, starts=may_start_print(request))
    if standing.facts:
        await require_shown(address, standing.facts.mark)
        opened(standing)
    progress = standing.progress
    links = links_of(address)
    context = {
        "address": address,
        "edition": address.edition,
        "edition_title": edition_of(address.edition).title,
        "facts": standing.facts,
        "when": day_of(standing.facts.printed_at) if standing.facts else None,
        "progress": progress,
        "percent": round(100 * progress.step / progress.of) if progress.of else 0,
        "sentence": standing.sentence,
        "links": links,
        "mark_page": path_of(Address(address.edition, "mark", standing.facts.mark, None)) if standing.facts else None,
        "prompt": address.name if address.kind == "prompt" else "",
        "title": title_of(address),
        "words": words_of(address),
        "visitor": visitor,
        "veiled": standing.flagged and request.GET.get("show") != "1",
        "has_card": standing.flagged or not standing.kept,
        "card": request.build_absolute_uri(links.card if standing.flagged or not standing.kept else links.picture),
        "url": request.build_absolute_uri(links.page),
    }
    response = page(request, "page.html", context, status=503 if progress.state in ("busy", "failed") else 200)
    if progress.retry_after is not None:
        response["Retry-After"] = str(progress.retry_after)
    response["Cache-Control"] = "no-cache" if standing.kept else "no-store"
    return response


@require_safe
@at_address(".png")
async def picture(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The picture: at once where it is kept, else asked for and waited for, up to BABELIA_PICTURE_WAIT seconds."""
    found = await job_client().picture(address)
    progress = Progress("absent")
    if found is None and may_start_print(request):
        found, progress = await wait_for_picture(address, visitor_of(request), settings.PICTURE_WAIT)
    if found is not None:
        await require_shown(address, found.mark)
        return _cached(request, found.png, "image/png", found.digest, f"babelia-{found.mark}.png")
    if request.method == "HEAD":
        await require_known(address)
        return _of_unknown_length("image/png")
    if progress.state == "absent":
        return _uncached(HttpResponse(await asyncio.to_thread(card, address), content_type="image/png"))
    return await _not_there(request, address, progress, ".png")


@require_safe
@at_address("/with-key.png")
async def picture_with_key(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The picture with its whole key inside, for those who take it elsewhere. Starts nothing: the page offers it."""
    found = await job_client().picture(address)
    key = None if found is None else await asyncio.to_thread(held_key, address)
    if found is None or key is None:
        raise InputRefused("The picture or its key is not here yet.", hint="Open the page first.")
    await require_shown(address, found.mark)
    body = await asyncio.to_thread(with_key, found.png, key)
    return _cached(request, body, "image/png", f"{found.digest}-key", f"babelia-{found.mark}-with-key.png")


@require_safe
@at_address(".txt")
async def key_text(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The key as text; of a page whose key needs the text encoder, as soon as the press has made it."""
    await require_known(address)
    key = await asyncio.to_thread(held_key, address)
    progress = Progress("absent")
    if key is None and request.method == "HEAD":
        return _of_unknown_length("text/plain; charset=us-ascii")
    if key is None and may_start_print(request):
        _, progress = await wait_for_picture(address, visitor_of(request), settings.PICTURE_WAIT)
        key = await asyncio.to_thread(held_key, address)
    if key is None:
        return await _not_there(request, address, progress, ".txt")
    return _cached(request, key.format().encode(), "text/plain; charset=us-ascii", key.mark, f"babelia-{key.mark}.txt")


@require_safe
@at_address(".json")
async def facts_json(request: HttpRequest, address: Address) -> HttpResponseBase:
    """What is known of a page. Starts nothing."""
    standing = await stand(address, "", starts=False)
    await require_shown(address, standing.facts.mark if standing.facts else None)
    return _uncached(JsonResponse(described(standing), json_dumps_params={"ensure_ascii": False}))


@require_safe
@at_address("/thumbnail.webp")
async def thumbnail(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The small picture of a kept page, for walls."""
    mark = address.name if address.kind == "mark" else await asyncio.to_thread(store().find, address)
    small = None if mark is None else await asyncio.to_thread(store().thumbnail, address.edition, mark)
    if mark is None or small is None:
        raise AddressRefused("No picture of this page is kept at the moment.", hint="Open the page to print it.")
    await require_shown(address, mark)
    return _cached(request, small, "image/webp", f"{mark}-thumbnail", f"babelia-{mark}-small.webp")


@require_safe
@at_address("/card.png")
async def card_picture(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The card of a page that is not printed yet, for chat programs: drawn at once, starts nothing."""
    response = HttpResponse(await asyncio.to_thread(card, address), content_type="image/png")
    response["Cache-Control"] = _A_DAY
    return response


# -- a page while it is printed


@require_GET
@at_address("/events")
async def follow(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Server-sent events: where the page stands, until it is there."""
    await require_printable(address)
    last = request.headers.get("Last-Event-ID", "")
    known = int(last) if last.isascii() and last.isdigit() else None
    response = StreamingHttpResponse(
        events(address, visitor_of(request), known), content_type="text/event-stream; charset=utf-8"
    )
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


@require_safe
@at_address("/preview.webp")
async def preview(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The last preview of a page being printed, for pages without scripts."""
    found = await job_client().preview(address)
    if found is None:
        raise AddressRefused("There is no preview of this page at the moment.", hint="Open the page itself.")
    return _uncached(HttpResponse(found[1], content_type="image/webp"))


@own_form
@at_address("/leave")
async def leave(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The visitor no longer waits; others who do are not touched."""
    await job_client().leave(address, visitor_of(request))
    return _see_other("/")


@own_form
@at_address("/again")
async def again(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Ask once more for a page that could not be printed."""
    await stand(address, visitor_of(request), starts=True, again=True)
    return _see_other(path_of(address))


# -- neighbours


@require_GET
@at_address("/next-volume")
async def next_volume(request: HttpRequest, address: Address) -> HttpResponseBase:
    """To the next prompt that was opened here."""
    return await _neighbour(address, 1)


@require_GET
@at_address("/previous-volume")
async def previous_volume(request: HttpRequest, address: Address) -> HttpResponseBase:
    """To the previous prompt that was opened here."""
    return await _neighbour(address, -1)


async def _neighbour(address: Address, by: int) -> HttpResponseBase:
    if address.kind != "prompt":
        raise AddressRefused("Only the neighbours of prompts are looked up; the links of other pages are their own.")
    found = await ledger.neighbour_prompt(address, by)
    return _uncached(HttpResponseRedirect((found or address).path()))


@own_form
@at_address("/next-key")
async def next_key(request: HttpRequest, address: Address) -> HttpResponseBase:
    """To the key one above in numeric order, held from now on."""
    return await _moved(address, 1)


@own_form
@at_address("/previous-key")
async def previous_key(request: HttpRequest, address: Address) -> HttpResponseBase:
    """To the key one below in numeric order, held from now on."""
    return await _moved(address, -1)


async def _moved(address: Address, by: int) -> HttpResponseBase:
    await require_known(address)
    key = await asyncio.to_thread(held_key, address)
    if key is None or address.kind != "mark":
        raise InputRefused("The key of this page is not here, so its neighbours are not known.", hint="Open it first.")
    moved = key.next() if by > 0 else key.previous()
    mark = await asyncio.to_thread(store().keep_key, moved)
    return _see_other(Address(address.edition, "mark", mark, None).path())


# -- full keys


@require_safe
async def key_form(request: HttpRequest) -> HttpResponse:
    """Where a full key is pasted or its file chosen."""
    return page(request, "key.html", {})


@own_form
async def open_key(request: HttpRequest) -> HttpResponseBase:
    """A full key, pasted or in a file, or a picture printed here: held, and on to its page."""
    try:
        edition = request.POST.get("edition") or default_edition()
    except RequestDataTooBig:
        return refusal(
            request, TooLarge("What was sent is larger than any key."), ".json" if wants_json(request) else "/"
        )
    text = request.POST.get("key", "")
    try:
        edition = edition_of(edition).slug
        file = request.FILES.get("file")
        if file is None:
            address = await asyncio.to_thread(address_of_text, text, edition)
        elif file.size is not None and file.size > FILE_LIMIT:
            raise InputRefused(f"A picture file may have {FILE_LIMIT:,} bytes; this one has {file.size:,}.")
        else:
            address = await asyncio.to_thread(address_of_file, file.read(), edition)
    except BabeliaError as error:
        if wants_json(request):
            return JsonResponse(error_shape(error), status=status_of(error))
        hint = vars(error).get("hint")  # the class's own only repeats what the sentence says
        return page(request, "key.html", {"error": error, "hint": hint, "text": text}, status=status_of(error))
    if wants_json(request):
        return JsonResponse({"address": address.format(), "page": address.path()})
    return _see_other(address.path())


# -- around the library


@require_safe
async def robots(request: HttpRequest) -> HttpResponse:
    """Keep crawlers off the addresses: there is no end of them, and each would be printed."""
    body = "User-agent: *\nAllow: /$\nAllow: /about/\nAllow: /static/\nDisallow: /\n"
    return HttpResponse(body, content_type="text/plain; charset=utf-8")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 with a sentence: what is wrong with this address. In the form that was asked for."""
    path = request.path
    form = next((form for form in (".png", ".txt", ".json") if path.endswith(form)), "/")
    if path.startswith("/api/"):
        form = ".json"
    raw = getattr(request, "scope", {}).get("raw_path")
    try:
        if raw is not None:
            Address.parse_path(raw.split(b"?")[0].decode("ascii").removesuffix(form))
        else:
            Address.parse(path.removesuffix(form))
        error = AddressRefused("There is nothing at this address.")
    except AddressRefused as refused:
        error = refused
    return refusal(request, error, form)


def no_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What Django's check of forms refuses: 403 from another site, else 405, for forms of our own do not pass by it."""
    form = next((form for form in (".png", ".txt", ".json") if request.path.endswith(form)), "/")
    if reason.startswith("Origin checking failed"):
        return refusal(request, InputRefused("This form was sent by another site.", hint=""), form, status=403)
    error = InputRefused("Nothing can be sent to this address; it can only be opened.", hint="Ask for it with GET.")
    response = refusal(request, error, form, status=405)
    response["Allow"] = "GET, HEAD"
    return response


def broken(request: HttpRequest) -> HttpResponse:
    """500: a page of its own that needs neither database nor store."""
    return HttpResponseServerError(render_to_string("broken.html"))


# -- how answers are made


def _cached(request: HttpRequest, body: bytes, kind: str, tag: str, filename: str) -> HttpResponseBase:
    """Return what is kept for good: an ETag, a day of freshness (no more, so that a hidden page goes within a day)."""
    etag = f'"{tag}"'
    given = [value.strip().removeprefix("W/") for value in request.headers.get("If-None-Match", "").split(",")]
    response: HttpResponseBase
    response = HttpResponseNotModified() if etag in given or "*" in given else HttpResponse(body, content_type=kind)
    response["ETag"] = etag
    response["Cache-Control"] = _A_DAY
    if response.status_code == 200:
        response["Content-Disposition"] = f'inline; filename="{filename}"'
    return response


def _of_unknown_length(kind: str) -> HttpResponseBase:
    """Answer HEAD for what a GET would have printed first: its kind, and no length, since nobody knows it yet."""

    empty: tuple[bytes, ...] = ()

    async def nothing() -> AsyncIterator[bytes]:
        for part in empty:
            yield part

    response = StreamingHttpResponse(nothing(), content_type=kind)
    response["Cache-Control"] = "no-store"
    return response


def _uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


def _see_other(path: str) -> HttpResponse:
    response = HttpResponse(status=303)
    response["Location"] = path
    return response


async def _not_there(request: HttpRequest, address: Address, progress: Progress, form: str) -> HttpResponse:
    """Return 503: the page is in the queue or at the press, could not be printed, or was not taken any more."""
    retry_after = progress.retry_after or ceil(progress.seconds or 5)
    return refusal(request, await why_not(address, progress), form, retry_after=retry_after)
