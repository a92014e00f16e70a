"""Find my picture: the form, the picture before its search, the search while it lasts, what it found.

A search is named by what is searched for, so that whoever has the link sees the same picture and progress. None
of these pages is for search engines, and none starts a search but by the button.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from babelia.services import job_client
from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import (
    TooLarge,
    back_to,
    moved,
    refusal,
    render_page,
    require_own_post,
    require_size,
    see_other,
    status_of,
    uncached,
    waiting,
)
from gallery.bounds import require_patience
from gallery.description import links_of
from gallery.editions import default_edition, edition_of
from gallery.finding.intake import WAYS_SAID, bring, copies_of, way_of
from gallery.finding.searches import (
    DEPTHS_SAID,
    SearchStatus,
    deeper,
    depths_of,
    nearness,
    result_of,
    search_named,
    search_status,
    start,
)
from gallery.finding.stream import search_stream
from gallery.keys import address_inside, place_to_read
from gallery.visits import asks_head, is_away, is_named, may_start_print, patience_of, visitor_of
from worker.catalogue.address import Address
from worker.errors import AddressRefused, BabeliaError, InputRefused, LibraryBusy, StoreUnavailable, TooMany
from worker.jobs.preview import CONTENT_TYPE
from worker.jobs.progress import Search

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def at_search(form: str = "/") -> Callable[[View], View]:
    """Decorate the view of one search, by its name in the URL; refusals are answered in a form.

    The name of a search that became another one leads there; what is sent to it acts on the other.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def answer(request: HttpRequest, name: str) -> HttpResponseBase:
            try:
                search = await search_named(name)
                if search.id != name and request.method in ("GET", "HEAD"):
                    return moved(request, name, search.id)
                return await view(request, search)
            except BabeliaError as error:
                return refusal(request, error, form)

        return answer

    return decorate


@require_safe
async def form(request: HttpRequest) -> HttpResponse:
    """Where a picture is dropped, pasted or chosen, and how it is brought to a page's size."""
    return render_page(request, "find.html", _form_context(request.GET.get("fit", "")))


def _form_context(fit: str) -> dict[str, Any]:
    return {"ways": WAYS_SAID, "way": way_of(fit), "searches": f"{settings.SEARCH_LIMIT:,}"}


@back_to("find")
@require_own_post
async def send(request: HttpRequest) -> HttpResponseBase:
    """A picture, put ready for ten minutes; on to the page that shows what would be searched for.

    One that carries a key or an address is a page of the library by its own word: on to that.
    """
    try:
        require_patience(request)
        edition = edition_of(request.POST.get("edition") or default_edition()).slug
        found = await bring_sent(request, request.POST.get("fit", ""), edition)
        if isinstance(found, Address):
            await ledger.require_shown(found)
            return see_other(path_of(found))
    except RequestDataTooBig:
        return refusal(request, TooLarge("What was sent is larger than any picture file that is read here."))
    except (StoreUnavailable, TooMany, LibraryBusy) as later:
        return refusal(request, later)
    except BabeliaError as error:
        context = _form_context(request.POST.get("fit", "")) | {"error": error}
        return waiting(render_page(request, "find.html", context, status=status_of(error)), error)
    return see_other(reverse("find-search", args=[found.id]))


async def bring_sent(request: HttpRequest, fit: str, edition: str) -> Search | Address:
    """Put the picture of a form's `file` ready for a search, or return the page that stands inside it.

    Raises InputRefused, LibraryBusy, StoreUnavailable.
    """
    file = request.FILES.get("file")
    if file is None:
        raise InputRefused("No picture was sent.", hint="Choose a file, or drop or paste a picture.")
    require_size(file.size or 0)
    async with place_to_read():
        try:
            data = await asyncio.to_thread(file.read)
            page = await asyncio.to_thread(address_inside, data, edition)
            return page or await bring(data, way_of(fit), edition)
        except BabeliaError as error:  # the frames of its traceback would hold the file until a garbage collection
            raise error.with_traceback(None) from None


@require_safe
@at_search()
async def show(request: HttpRequest, search: Search) -> HttpResponse:
    """A search: what would be searched for, how far it is, or what it found. Goes on for whoever waits by name."""
    visitor = visitor_of(request)
    waits = request.method == "GET" and is_named(request) and may_start_print(request)
    status = await search_status(
        search, visitor if waits else None, patience=patience_of(request), follows=is_away(request)
    )
    context = await _context(status, visitor.tab, opened="opened" in request.GET)
    code = 503 if status.progress.state in ("busy", "failed") else 200
    response = uncached(render_page(request, "search_for.html", context, status=code))
    response["X-Robots-Tag"] = "noindex, nofollow"
    if status.progress.retry_after is not None:
        response["Retry-After"] = str(status.progress.retry_after)
    return response


async def _context(status: SearchStatus, tab: str, opened: bool) -> dict[str, Any]:
    """Return what the page of a search shows; `opened`: its picture was brought as one that names a page."""
    search, progress, result = status.search, status.progress, status.result
    picture = await job_client().picture_of(search) if status.parked else None
    return {
        "search": search,
        "status": status,
        "state": progress.state if status.waits or result else "absent",
        "edition": search.edition,
        "edition_title": edition_of(search.edition).title,
        "depth_said": DEPTHS_SAID[search.depth][0],
        "chosen": search.depth if result is None else deeper(search.depth),
        "depths": await depths_of(search.edition) if status.has_picture else [],
        "copies": await copies_of(picture) if picture is not None else [],
        "result": result,
        "result_links": None if result is None else links_of(result.address),
        "nearness": "" if result is None else nearness(result.decibels),
        "gain": None if result is None else result.gain,
        "percent": round(100 * progress.step / progress.of) if progress.of else 0,
        "visitor": tab,
        "opened": opened,
        "own": {
            name: reverse(f"find-{name}", args=[search.id])
            for name in ("search", "start", "events", "preview", "picture", "leave", "forget", "list")
        },
    }


@require_own_post
@at_search()
async def begin(request: HttpRequest, search: Search) -> HttpResponseBase:
    """The button: have the picture searched for, in a depth, near some words, from a key that was found before."""
    require_patience(request)
    visitor = visitor_of(request)
    earlier = await result_of(search) if "onwards" in request.POST else None
    wanted, progress = await start(
        search,
        visitor,
        depth=request.POST.get("depth", "good"),
        prompt=request.POST.get("prompt", ""),
        begin="" if earlier is None else earlier.address.name,
    )
    if progress.state == "busy":
        busy = LibraryBusy("So many pictures are searched for already that no more are taken right now.")
        busy.retry_after = progress.retry_after
        raise busy
    return see_other(f"{reverse('find-search', args=[wanted.id])}?{urlencode({'visitor': visitor.tab})}")


@require_safe
@at_search("/events")
async def follow(request: HttpRequest, search: Search) -> HttpResponseBase:
    """Server-sent events of a search that somebody has asked for: starts none."""
    if asks_head(request):
        return HttpResponse(content_type="text/event-stream", headers={"Cache-Control": "no-store"})
    return await search_stream(request, search)


@require_safe
@at_search(".webp")
async def preview(request: HttpRequest, search: Search) -> HttpResponseBase:
    """What the search has come to, for pages without scripts."""
    found = await job_client().preview(search)
    if found is None:
        raise AddressRefused("There is no preview of this search at the moment.", hint="Open its page.")
    return _private(found[1], CONTENT_TYPE)


@require_safe
@at_search(".png")
async def picture(request: HttpRequest, search: Search) -> HttpResponseBase:
    """The picture that is searched for, to whoever has the link, as long as it is here."""
    found = await job_client().picture_of(search)
    if found is None:
        raise AddressRefused("The picture of this search is gone.", hint="Bring it again.")
    return _private(found, "image/png")


def _private(body: bytes, kind: str) -> HttpResponse:
    """Return a picture that nobody keeps and no search engine takes."""
    response = uncached(HttpResponse(body, content_type=kind))
    response["X-Robots-Tag"] = "noindex, noimageindex"
    return response


@require_own_post
@at_search()
async def leave(request: HttpRequest, search: Search) -> HttpResponseBase:
    """The tab no longer waits. Cancelled, the picture goes unless others wait; a page that is left says `unseen`."""
    await job_client().leave(search, visitor_of(request).tab)
    if "unseen" in request.POST:
        return uncached(HttpResponse(status=HTTPStatus.NO_CONTENT))
    await job_client().forget(search)
    return see_other(reverse("find"))


@require_own_post
@at_search()
async def forget(request: HttpRequest, search: Search) -> HttpResponseBase:
    """Let go of a picture, and of what its search has found but the page, now and not in a while."""
    await job_client().forget(search)
    return see_other(reverse("find"))


@require_own_post
@at_search()
async def put_on_lists(request: HttpRequest, search: Search) -> HttpResponseBase:
    """Let the page that was found stand on the wall, because its visitor says so."""
    require_patience(request)
    result = await result_of(search)
    if result is None:
        raise AddressRefused("What this search has found is not known any more.", hint="Open its page by its name.")
    await ledger.put_on_lists(result.record)
    return see_other(path_of(result.address))
