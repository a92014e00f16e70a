"""A page while it is printed: its events, its preview, leaving it, having it drawn by a button or ahead of time."""

from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from babelia.services import job_client
from gallery.addresses import path_of
from gallery.answers import at_address, of_unknown_length, require_own_post, see_other, uncached
from gallery.bounds import require_patience
from gallery.pages.events import event_stream
from gallery.pages.status import page_status, preview_of, print_ahead
from gallery.visits import asks_head, is_machine, visitor_of
from worker.catalogue.address import Address
from worker.errors import AddressRefused
from worker.jobs.preview import CONTENT_TYPE


@require_safe
@at_address("/events")
async def follow(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Server-sent events: the status of the page, until it is there; `few`: as one of a sheet, or of a walk.

    The sheet of a volume shows again what was printed for it. Whoever walks has not chosen the pictures on the way.
    """
    if asks_head(request):
        return of_unknown_length("text/event-stream")
    few = request.GET.get("few")
    return await event_stream(request, address, few=few is not None, noted=few != "walk")


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
    """The tab no longer waits; others who do are not touched. A page that is left says so itself (`unseen`)."""
    await job_client().leave(address, visitor_of(request).tab)
    return _nothing() if "unseen" in request.POST else see_other(reverse("entrance"))


@require_own_post
@at_address("/again")
async def again(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Draw a page because somebody pressed the button for it: whoever that is, and also after it failed."""
    require_patience(request)
    visitor = visitor_of(request)
    await page_status(address, visitor, starts=True, again=True)
    return see_other(path_of(address) + (f"?visitor={visitor.tab}" if is_machine(request) else ""))


@require_own_post
@at_address("/ahead")
async def ahead(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Have a page printed that the visitor may turn to, where the presses have nothing else to do."""
    if settings.PRINT_AHEAD and not is_machine(request):
        await print_ahead(address, visitor_of(request, ahead=True))
    return _nothing()


def _nothing() -> HttpResponse:
    """Answer a script that asks for no answer."""
    return uncached(HttpResponse(status=HTTPStatus.NO_CONTENT))
