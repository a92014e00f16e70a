"""The reading room of an edition, the page of the day, and the wall of what was opened."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from gallery.answers import refusal, render_page, uncached
from gallery.editions import edition_of
from gallery.pages.walls import page_of_day_path, read_asked, room_context, wall_context
from worker.errors import BabeliaError


@require_safe
async def room(request: HttpRequest, edition: str) -> HttpResponse:
    """The box, a random door, the page of the day, what can be drawn, what was opened lately. Starts no print."""
    context = await room_context(edition)
    url = request.build_absolute_uri(reverse("room", args=[edition]))
    return render_page(request, "room.html", context | {"url": url})


@require_safe
async def today(request: HttpRequest, edition: str) -> HttpResponseBase:
    """To the page of the day."""
    try:
        path = page_of_day_path(edition_of(edition).slug)
    except BabeliaError as error:
        return refusal(request, error)
    return uncached(HttpResponseRedirect(path))


@require_safe
async def opened(request: HttpRequest, edition: str) -> HttpResponse:
    """The wall, one numbered page of it: all, prompts or random ones; those of this browser are shown by a script."""
    try:
        edition_of(edition)
        context = await wall_context(edition, read_asked(request.GET))
    except BabeliaError as error:
        return refusal(request, error)
    return render_page(request, "opened.html", context)
