"""What is answered where no view is reached: 404, 405 and 403 for forms, 500. Named in babelia.urls and settings."""

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.template.loader import render_to_string
from django.urls import reverse

from gallery.addresses import raw_path
from gallery.answers import refusal
from worker.catalogue.address import Address
from worker.errors import AddressRefused, InputRefused


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 with a sentence: what is wrong with this address. In the form that was asked for."""
    form, raw = _form_of(request), raw_path(request)
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
    if reason.startswith("Origin checking failed"):
        return refusal(request, InputRefused("This form was sent by another site.", hint=""), form, status=403)
    error = InputRefused("Nothing can be sent to this address; it can only be opened.", hint="Ask for it with GET.")
    response = refusal(request, error, form, status=405)
    response["Allow"] = "GET, HEAD"
    return response


def broken(request: HttpRequest) -> HttpResponse:
    """500: a page of its own that needs neither database nor store."""
    return HttpResponseServerError(render_to_string("broken.html"))


def _form_of(request: HttpRequest) -> str:
    """Return the form of a page that a path asks for: its suffix, `.json` for the API, else HTML's "/"."""
    if request.path.startswith(reverse("api:api-root")):
        return ".json"
    return next((form for form in (".png", ".txt", ".json") if request.path.endswith(form)), "/")
