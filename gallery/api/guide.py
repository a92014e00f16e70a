"""The API's own page, `/api/`: what it gives, examples filled in with this library's address, errors, limits, paging.

Every operation that is described is listed there, for the list is read from the description itself. Imports ninja.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, reverse
from django.views.decorators.http import require_safe
from ninja import NinjaAPI

from gallery.answers import View, refusal, render_page
from gallery.api.library import AT_ONCE
from gallery.editions import default_edition, edition_of
from worker.errors import EditionRefused

TAGS: Final = {
    "page": "A page",
    "key": "A full key",
    "find": "A picture of yours",
    "volume": "A volume",
    "walk": "Nearby, and between two",
    "library": "The library",
}
"""The headings under which operations are listed, in their order; what has another tag comes last, under its own."""


class Operation(NamedTuple):
    """One line of the list."""

    method: str
    path: str
    parameters: str
    """What has to be named, as a query: `?address=…`; empty where nothing has to."""
    summary: str


def page_of(api: NinjaAPI) -> View:
    """Return the view of the page that tells of an API."""

    @lru_cache(maxsize=16)
    def operations(prefix: str) -> list[tuple[str, list[Operation]]]:
        """Return the operations under their headings, below a script prefix."""
        found: dict[str, list[Operation]] = {heading: [] for heading in TAGS.values()}
        for path, methods in api.get_openapi_schema(path_prefix=f"{prefix}api/")["paths"].items():
            for method, each in methods.items():
                asked = [named for named in each.get("parameters", []) if named["in"] == "query" and named["required"]]
                query = "?" + "&".join(f"{named['name']}=…" for named in asked) if asked else ""
                tag = each["tags"][0]
                heading = TAGS.get(tag, tag.capitalize())
                found.setdefault(heading, []).append(Operation(method.upper(), path, query, each["summary"]))
        return list(found.items())

    @require_safe
    async def show(request: HttpRequest) -> HttpResponse:
        """The API in words; its examples are of the edition that a query names, else of the default one."""
        try:
            edition = edition_of(request.GET.get("edition") or default_edition()).slug
        except EditionRefused as error:
            return refusal(request, error)
        context = {"edition": edition, "default": default_edition(), "operations": operations(get_script_prefix())}
        return render_page(request, "api.html", context | examples(request, edition) | limits())

    return show


def examples(request: HttpRequest, edition: str) -> dict[str, str]:
    """Return what the examples are filled in with: this library's own address, and a page of an edition."""
    address = f"{edition}/prompt/a dog/1"
    return {
        "site": request.build_absolute_uri("/")[:-1],
        "library": request.build_absolute_uri(reverse("entrance")),
        "address": address,
        "quoted": quote(address, safe=""),
        "volume": quote(f"{edition}/prompt/a dog", safe=""),
    }


def limits() -> dict[str, str]:
    """Return the numbers that the page states, as texts; empty where there is no limit."""
    return {
        "gone": str(int(HTTPStatus.GONE)),
        "pages_a_minute": f"{settings.VISITOR_LIMIT:,}" if settings.VISITOR_LIMIT else "",
        "pages_waiting": f"{settings.VISITOR_WAITING:,}" if settings.VISITOR_WAITING else "",
        "searches": f"{settings.SEARCH_LIMIT:,}",
        "picture_wait": f"{settings.PICTURE_WAIT:,}",
        "at_once": str(AT_ONCE),
    }
