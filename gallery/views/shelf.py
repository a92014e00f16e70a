"""What a visitor comes back to: the shelf, which is kept in the browser alone, and the slideshow."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from gallery.addresses import address_in_link, path_of
from gallery.answers import refusal, render_page, uncached
from gallery.editions import default_edition, edition_of, editions
from gallery.visits import may_start_print, visitor_of
from worker.errors import BabeliaError, InputRefused

LINK_CHARACTERS: Final = 8000
"""So long may a link be that holds a shelf, of about 370 random pages: what people send longer ones with cuts them."""


@require_safe
async def shelf(request: HttpRequest) -> HttpResponse:
    """The shelf and what was seen lately: the same page for everybody, which the visitor's browser fills."""
    return render_page(
        request, "shelf.html", {"link_limit": str(LINK_CHARACTERS), "editions_here": " ".join(editions())}
    )


@require_safe
async def slideshow(request: HttpRequest) -> HttpResponse:
    """Random pages of an edition (`?of=random`), the shelf (`?of=shelf`) or a volume (`?of=` a path of it)."""
    of = request.GET.get("of") or "random"
    try:
        slug = edition_of(request.GET.get("edition") or default_edition()).slug
        context = {"of": of, "edition": slug} if of in ("random", "shelf") else _volume_in(of)
    except BabeliaError as error:
        return refusal(request, error)
    own = {"may_draw": may_start_print(request), "visitor": visitor_of(request).tab}
    return uncached(render_page(request, "slideshow.html", context | own))


def _volume_in(link: str) -> dict[str, Any]:
    """Return what a slideshow is told of the volume that a link leads to, and of the page that it begins with."""
    first = address_in_link(link)
    if first is None or first.page is None:
        raise InputRefused("These pictures cannot be shown one after another.", hint="Open one of its pictures first.")
    return {
        "of": "volume",
        "edition": edition_of(first.edition).slug,
        "name": first.name,
        "number": first.page,
        "volume": path_of(first.with_page(1))[: -len("1/")],
        "first": path_of(first),
    }
