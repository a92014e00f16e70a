"""Reporting a page: a form without an account, for whoever finds something wrong with what he sees."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import at_address, render_page, require_own_post, see_other, uncached
from gallery.bounds import require_patience
from gallery.keeper.reports import COST, NOTE_LIMIT, report
from gallery.models import REASONS
from gallery.pages.sentences import alt_text
from worker.catalogue.address import Address


@require_safe
@at_address("/report")
async def report_form(request: HttpRequest, address: Address) -> HttpResponse:
    """What can be said of a page; once it is sent, that it was."""
    context = {
        "page": path_of(address),
        "words": alt_text(address),
        "send": path_of(address, "/send-report"),
        "reasons": REASONS,
        "note_limit": NOTE_LIMIT,
        "sent": request.GET.get("sent") == "1",
    }
    return uncached(render_page(request, "report.html", context))


@require_own_post
@at_address("/send-report")
async def send_report(request: HttpRequest, address: Address) -> HttpResponseBase:
    """A report, written down for the keeper."""
    require_patience(request, COST)
    mark = ledger.known_mark(address) or ""
    await report(address, mark, request.POST.get("reason", ""), request.POST.get("note", ""))
    return see_other(path_of(address, "/report") + "?sent=1")
