"""What is answered where no view is reached: 400, 404, 405 and 403, 500. Named in babelia.urls and settings."""

import logging

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, HttpResponseServerError
from django.template.loader import render_to_string
from django.urls import reverse

from gallery.addresses import path_meant, raw_path
from gallery.answers import ForeignSite, nothing_at_path, refusal, require_own_site, uncached, wants_json
from worker.catalogue.address import Address
from worker.errors import AddressRefused, BabeliaError, InputRefused

_log = logging.getLogger(__name__)
_foreign_hosts: set[str] = set()
FOREIGN_HOSTS = 20
"""So many names that are not ours are logged by a process, each once: anybody can make up more."""


def unreadable(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 with a sentence: a host that is not ours, or a request that Django cannot read. In the form asked for."""
    if not isinstance(exception, DisallowedHost):
        return refusal(request, InputRefused("This request cannot be read.", hint=""), _form_of(request), status=400)
    host = request.META.get("HTTP_HOST", "")[:100]
    if host not in _foreign_hosts and len(_foreign_hosts) < FOREIGN_HOSTS:
        _foreign_hosts.add(host)
        _log.warning("Refused: BABELIA_HOSTS does not name the host %r, as which this site was visited.", host)
    error = InputRefused(
        f"This library does not answer to the name “{host}”.",
        hint="Its keeper lists the names that it answers to in the setting BABELIA_HOSTS.",
    )
    return refusal(request, error, _form_of(request), status=400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """On to what was meant, where that can be told; else 404 with a sentence, in the form that was asked for.

    The way on is not for ever: an edition or a volume may come to have a page of its own.
    """
    form, raw = _form_of(request), raw_path(request)
    meant = path_meant(request.path_info, form) if request.method in ("GET", "HEAD") else None
    if meant is not None:
        query = request.META.get("QUERY_STRING")
        return uncached(HttpResponseRedirect(meant + (f"?{query}" if query else "")))
    if _is_of_api(request):
        return refusal(request, nothing_at_path(), form)
    try:
        if raw is not None:
            Address.parse_path(raw.removesuffix(form))
        else:
            Address.parse(request.path_info.removesuffix(form))
        error = AddressRefused("There is nothing at this address.")
    except AddressRefused as refused:
        error = refused
    return refusal(request, error, form)


def no_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What Django's check of forms refuses: 403 to a form of another site, else 405, for our forms never get here."""
    form = _form_of(request)
    try:
        require_own_site(request)
    except ForeignSite as foreign:
        return refusal(request, foreign, form)
    if request.path_info.startswith(f"/{settings.KEEPER_PATH}"):  # the one place whose forms carry a token
        stale = InputRefused("This form is too old, or your browser keeps no cookies.", hint="Open its page again.")
        return refusal(request, stale, form, status=403)
    error = InputRefused("Nothing can be sent to this address; it can only be opened.", hint="Ask for it with GET.")
    response = refusal(request, error, form, status=405)
    response["Allow"] = "GET, HEAD"
    return response


def broken(request: HttpRequest) -> HttpResponse:
    """500, in the form asked for: as a page, one of its own that needs neither database nor store."""
    form = _form_of(request)
    if form == "/" and not wants_json(request):
        return HttpResponseServerError(render_to_string("broken.html"))
    error = BabeliaError("Something went wrong on our side.", hint="It was logged; try again in a moment.")
    return refusal(request, error, form, status=500)


def _is_of_api(request: HttpRequest) -> bool:
    """Say whether a path is one of the API's."""
    return request.path.startswith(reverse("api:api-root"))


def _form_of(request: HttpRequest) -> str:
    """Return the form of a page that a path asks for: its suffix, `.json` for the API, else HTML's "/"."""
    if _is_of_api(request):
        return ".json"
    return next((form for form in (".png", ".webp", ".npz", ".txt", ".json") if request.path.endswith(form)), "/")
