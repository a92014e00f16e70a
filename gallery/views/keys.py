"""Full keys as visitors bring them: pasted, in a file, inside a picture that was printed here."""

import asyncio

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_safe

from gallery import ledger
from gallery.addresses import address_of_link, path_of
from gallery.answers import (
    TooLarge,
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
from gallery.keys import address_of_file, address_of_text, place_to_read
from worker.catalogue.address import Address
from worker.errors import BabeliaError, LibraryBusy


@require_safe
async def key_form(request: HttpRequest) -> HttpResponse:
    """Where a full key is pasted or its file chosen."""
    return render_page(request, "key.html", {})


@require_own_post
async def open_key(request: HttpRequest) -> HttpResponseBase:
    """A full key, pasted or in a file, or a picture printed here: held, and on to its page."""
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
        context = {"error": error, "hint": hint, "text": request.POST.get("key", "")}
        return waiting(render_page(request, "key.html", context, status=status_of(error)), error)
    if wants_json(request):
        return JsonResponse({"address": address.format(), "page": path_of(address)})
    return see_other(path_of(address))


async def _sent_address(request: HttpRequest) -> Address:
    """Return the page of the key that was sent, held from now on. Raises RequestDataTooBig and what refuses a key."""
    require_patience(request)
    edition = edition_of(request.POST.get("edition") or default_edition()).slug
    file = request.FILES.get("file")
    if file is None and "link" in request.POST:
        return address_of_link(request.POST["link"])
    if file is None:
        return await asyncio.to_thread(address_of_text, request.POST.get("key", ""), edition)
    require_size(file.size or 0)
    async with place_to_read():
        return await asyncio.to_thread(lambda: address_of_file(file.read(), edition))
