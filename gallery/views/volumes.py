"""A volume: the sheet of all its pages, and the way to one of them by its number."""

import asyncio

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.views.decorators.http import require_safe

from gallery.addresses import path_of, path_of_volume, text_of_volume
from gallery.answers import at_address, refusal, render_page, status_of, uncached
from gallery.editions import edition_of
from gallery.pages.repertoire import subject_volumes
from gallery.pages.volumes import number_in, sheet_context
from gallery.visits import may_start_print, visitor_of
from worker.catalogue.address import Address
from worker.errors import AddressRefused, BabeliaError, InputRefused


@require_safe
async def show(request: HttpRequest, volume: Address) -> HttpResponseBase:
    """The sheet of a volume, at its one spelling."""
    if request.path_info != f"/{text_of_volume(volume)}/":
        query = request.META.get("QUERY_STRING")
        return HttpResponsePermanentRedirect(f"{path_of_volume(volume)}" + (f"?{query}" if query else ""))
    try:
        edition_of(volume.edition)
        return await _answer(request, volume, "")
    except BabeliaError as error:
        return refusal(request, error)


@require_safe
@at_address("/volume")
async def of_page(request: HttpRequest, address: Address) -> HttpResponseBase:
    """From a page to the sheet of its volume; of a prompt whose sheet has no path of its own, the sheet itself."""
    path = path_of_volume(address)
    if path is None:
        raise AddressRefused("There is no sheet for this picture.", hint="Pictures of prompts and of names have one.")
    if path != path_of(address, "/volume"):
        return uncached(HttpResponseRedirect(path))
    return await _answer(request, address, "../")


async def _answer(request: HttpRequest, volume: Address, base: str) -> HttpResponse:
    """Answer with a page that was asked for by its number (`?page=7`), else with the sheet."""
    refused = None
    if "page" in request.GET:
        try:
            return uncached(HttpResponseRedirect(path_of(volume.with_page(number_in(request.GET["page"])))))
        except InputRefused as error:
            refused = error
    subjects = await asyncio.to_thread(subject_volumes, edition_of(volume.edition))
    context = await sheet_context(volume, base=base) | {
        "error": refused,
        "url": request.build_absolute_uri(path_of_volume(volume)),
        "may_draw": may_start_print(request),  # else none of it is: a crawler may run scripts
        "visitor": visitor_of(request).tab,
        "for_search_engines": volume.with_page(1) in subjects,
    }
    return uncached(render_page(request, "volume.html", context, status=status_of(refused) if refused else 200))
