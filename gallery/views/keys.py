"""What visitors bring: a full key, pasted, in a file or inside a picture; links; and whatever else the box takes."""

import asyncio

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
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
from gallery.keys import address_of_link, address_of_text, address_of_typed, open_file, place_to_read
from worker.catalogue.address import Address
from worker.errors import BabeliaError, InputRefused, LibraryBusy


@require_safe
async def key_form(request: HttpRequest) -> HttpResponse:
    """Where anything is pasted or its file chosen."""
    return render_page(request, "key.html", {})


@back_to("key")
@require_own_post
async def open_key(request: HttpRequest) -> HttpResponseBase:
    """Whatever opens a page: a full key, which is held from now on, a picture, a link, words. On to that page."""
    try:
        address = await _sent_address(request)
        await ledger.require_shown(address)
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
    if wants_json(request):
        return JsonResponse({"address": address.format(), "page": path_of(address)})
    return see_other(path_of(address))


async def _sent_address(request: HttpRequest) -> Address:
    """Return the page of what was sent; a key is held from now on. Raises RequestDataTooBig and what is refused.

    A file (`file`), the text of a key (`key`), a link (`link`), or anything (`prompt`).
    """
    require_patience(request)
    edition = edition_of(request.POST.get("edition") or default_edition()).slug
    file = request.FILES.get("file")
    if file is not None:
        require_size(file.size or 0)
        async with place_to_read():
            try:
                return await open_file(await asyncio.to_thread(file.read), edition)
            except BabeliaError as error:  # the frames of its traceback would hold the file until a garbage collection
                raise error.with_traceback(None) from None
    if "link" in request.POST:
        return address_of_link(request.POST["link"])
    if "key" in request.POST:
        return await asyncio.to_thread(address_of_text, request.POST["key"], edition)
    if not request.POST.get("prompt", "").strip():
        raise InputRefused("Nothing was sent.", hint="Paste a link, a short name, a key or words, or choose a file.")
    return await asyncio.to_thread(address_of_typed, request.POST["prompt"], edition)
