"""The API as a whole, described by OpenAPI at `/api/docs` and in words at `/api/`: the site's own functions.

Nothing here needs an account. Whoever only reads may do so from anywhere (babelia.web.reading); what pages of other
sites have a visitor's browser send is refused, so that nobody's pages are printed at somebody else's cost. Every path
that takes GET takes HEAD, which starts no print (babelia.middleware.Methods). Imports ninja.
"""

from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, path
from ninja import NinjaAPI
from ninja.operation import Operation

from gallery.answers import require_own_site
from gallery.api import finding, guide, keys, library, opened, pages, volumes, walks
from gallery.api.refusals import answer_in_shape


class _Api(NinjaAPI):
    """An API whose operations are called what they were called when they stood in one file."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return the name by which programs that were made from the description know an operation."""
        return f"gallery_api_{operation.view_func.__name__}"


def _ours(request: HttpRequest) -> bool:
    """Let in what no page of another site sent. Ninja calls this before each operation; raises ForeignSite."""
    if request.method == "POST":
        require_own_site(request)
    return True


api = _Api(
    auth=_ours,
    title="Babelia",
    version="1",
    description=(
        "The library of all pictures, for programs. Ask for a page by an address or a key, follow it while it is "
        "printed, fetch its picture, key and facts. An address looks like key/borges/1, prompt/a dog/1, "
        "stacks/borges/1 or mark/ and 26 characters, with or without its edition before it."
    ),
    docs_url="/docs",
    openapi_url="/openapi.json",
    urls_namespace="api",
)
answer_in_shape(api)
for _router in (  # a module's operations; the page at `/api/` lists them under their tags
    pages.router,
    keys.router,
    finding.router,
    volumes.router,
    walks.router,
    library.router,
    opened.router,
):
    api.add_router("", _router)

_operations, _application, _namespace = api.urls
urls: tuple[list[URLResolver | URLPattern], str, str] = (
    [path("", guide.page_of(api), name="guide"), *_operations],
    _application,
    _namespace,
)
"""What babelia.urls includes: the API's own page, then every operation."""
