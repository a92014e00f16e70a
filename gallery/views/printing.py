"""A page while it is printed: its events, its preview, leaving it, having it drawn by the press of a button."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from babelia.services import job_client
from gallery.addresses import path_of
from gallery.answers import at_address, of_unknown_length, require_own_post, see_other, uncached
from gallery.bounds import require_patience
from gallery.pages.events import event_stream
from gallery.pages.status import page_status, preview_of
from gallery.visits import asks_head, names_a_machine, visitor_of
from worker.catalogue.address import Address
from worker.errors import AddressRefused
from worker.jobs.preview import CONTENT_TYPE


@require_safe
@at_address("/events")
async def follow(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Server-sent events: the status of the page, until it is there."""
    if asks_head(request):
        return of_unknown_length("text/event-stream")
    return await event_stream(request, address)


@require_safe
@at_address("/preview.webp")
async def preview(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The last preview of a page being printed, for pages without scripts."""
    found = await preview_of(address)
    if found is None:
        raise AddressRefused("There is no preview of this page at the moment.", hint="Open the page itself.")
    return uncached(HttpResponse(found, content_type=CONTENT_TYPE))


@require_own_post
@at_address("/leave")
async def leave(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The visitor no longer waits; others who do are not touched."""
    await job_client().leave(address, visitor_of(request))
    return see_other(reverse("entrance"))


@require_own_post
@at_address("/again")
async def again(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Draw a page because somebody pressed the button for it: whoever that is, and also after it failed."""
    require_patience(request)
    visitor = visitor_of(request)
    await page_status(address, visitor, starts=True, again=True)
    return see_other(path_of(address) + (f"?visitor={visitor}" if names_a_machine(request) else ""))
