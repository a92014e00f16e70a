"""What visitors bring: a full key, pasted, in a file or inside a picture; links; and whatever else the box takes."""

import asyncio

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import (
    TooLarge,
    back_to,
    error_shape,
    refusal,
    render_page,
    require_own_post,
    require_size,
    see_other,
    status_of,
    waiting,
    wants_json,
)
from gallery.bounds import require_patience
from gallery.editions import default_edition, edition_of
from gallery.finding.intake import bring
from gallery.keys import SaysNothing, address_of_link, address_of_text, address_of_typed, open_file, place_to_read
from worker.catalogue.address import Address
from worker.catalogue.png import is_png
from worker.errors import BabeliaError, InputRefused, KeyRefused, LibraryBusy, StoreUnavailable
from worker.jobs.progress import Search


@require_safe
async def key_form(request: HttpRequest) -> HttpResponse:
    """Where anything is pasted or its file chosen."""
    return render_page(request, "key.html", {})


@back_to("key")
@require_own_post
async def open_key(request: HttpRequest) -> HttpResponseBase:
    """Whatever opens a page: a full key, which is held from now on, a picture, a link, words. On to that page.

    A picture that names no page is one to be found: on to the page that shows what would be searched for.
    """
    try:
        found = await _sent(request)
        if isinstance(found, Address):
            await ledger.require_shown(found)
    except RequestDataTooBig:
        error = TooLarge("What was sent is larger than any key.")
        return refusal(request, error, ".json" if wants_json(request) else "/")
    except LibraryBusy as busy:  # with the time to come back
        return refusal(request, busy, ".json" if wants_json(request) else "/")
    except BabeliaError as error:
        if wants_json(request):
            return waiting(JsonResponse(error_shape(error), status=status_of(error)), error)
        hint = vars(error).get("hint")  # the class's own only repeats what the sentence says
        context = {"error": error, "hint": hint, "text": request.POST.get("key") or request.POST.get("prompt", "")}
        return waiting(render_page(request, "key.html", context, status=status_of(error)), error)
    if isinstance(found, Search):
        page, address = f"{reverse('find-search', args=[found.id])}?opened=1", None
    else:
        page, address = path_of(found), found.format()
    return JsonResponse({"address": address, "page": page}) if wants_json(request) else see_other(page)


async def _sent(request: HttpRequest) -> Address | Search:
    """Return the page of what was sent, or the search for a picture that names none; a key is held from now on.

    Raises RequestDataTooBig and what is refused.

    A file (`file`), the text of a key (`key`), a link (`link`), or anything (`prompt`).
    """
    require_patience(request)
    edition = edition_of(request.POST.get("edition") or default_edition()).slug
    file = request.FILES.get("file")
    if file is not None:
        require_size(file.size or 0)
        async with place_to_read():
            try:
                return await _open_or_find(await asyncio.to_thread(file.read), edition)
            except BabeliaError as error:  # the frames of its traceback would hold the file until a garbage collection
                raise error.with_traceback(None) from None
    if "link" in request.POST:
        return address_of_link(request.POST["link"])
    if "key" in request.POST:
        return await asyncio.to_thread(address_of_text, request.POST["key"], edition)
    if not request.POST.get("prompt", "").strip():
        raise InputRefused("Nothing was sent.", hint="Paste a link, a short name, a key or words, or choose a file.")
    return await asyncio.to_thread(address_of_typed, request.POST["prompt"], edition)


async def _open_or_find(data: bytes, edition: str) -> Address | Search:
    """Return the page that a file opens, or the search for a picture that names none. Raises what `open_file` does."""
    try:
        return await open_file(data, edition)
    except (SaysNothing, KeyRefused) as error:
        if is_png(data) and not isinstance(error, SaysNothing):  # it has a key, which is damaged
            raise
        try:
            return await bring(data, "fill", edition)
        except (InputRefused, StoreUnavailable):  # no picture, or nothing to hold it: what was said of the key counts
            raise error from None
