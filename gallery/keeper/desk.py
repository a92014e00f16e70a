"""The keeper's desk: Django's admin with what was reported and what was opened, each with its picture and a button.

The accounts are made by `manage.py createsuperuser`; visitors have none. Hiding and showing is `gallery.keeper.hiding`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from babelia.services import store
from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import refusal
from gallery.bounds import require_patience
from gallery.keeper.hiding import hide, show
from gallery.models import Page, Report
from worker.catalogue.address import Address
from worker.errors import BabeliaError, TooMany
from worker.store import hidden
from worker.store.store import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

LOGIN_COST: Final = 6
"""A password counts as so many of what one visitor may ask for in a minute (BABELIA_VISITOR_LIMIT)."""


class Desk(admin.AdminSite):
    """Django's admin, for whoever keeps this library."""

    site_title = site_header = "The keeper’s desk"
    index_title = "Babelia"
    enable_nav_sidebar = False  # two lists need none, and their rows are wide

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """As Django's, with the way to the library wherever it lies."""
        return super().each_context(request) | {"site_url": reverse("entrance")}

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """As Django's, so many times a minute for each visitor."""
        if request.method == "POST":
            try:
                require_patience(request, LOGIN_COST)
            except TooMany as error:
                return refusal(request, error)
        return super().login(request, extra_context)


desk = Desk(name="desk")


class _PageRows(_ModelAdmin):
    """A list of pages: thumbnail, link, and a button that hides or shows each. Nothing is typed here."""

    heading = ""

    list_per_page = 50
    list_display_links = None
    show_full_result_count = False
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Rows are written by the library."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """What a row remembers is needed."""
        return False

    def get_urls(self) -> list[URLPattern | URLResolver]:  # type: ignore[override]  # Django's own are patterns alone
        """Beside Django's: what the buttons are sent to, and the thumbnails."""
        return [
            path("<int:pk>/hide/", self._button(self._hide), name=self._name("hide")),
            path("<int:pk>/show/", self._button(self._show), name=self._name("show")),
            path("<int:pk>/thumbnail.webp", self.admin_site.admin_view(self._thumbnail), name=self._name("thumbnail")),
            *super().get_urls(),
        ]

    # -- columns

    @admin.display(description="Picture")
    def picture(self, row: Any) -> SafeString | str:
        """The thumbnail, also of a page that is hidden."""
        if not self._mark(row):
            return "not printed"
        url = reverse(f"desk:{self._name('thumbnail')}", args=[row.pk])
        size = (THUMBNAIL_WIDTH // 2, THUMBNAIL_HEIGHT // 2)
        return format_html('<img src="{}" width="{}" height="{}" alt="" loading="lazy">', url, *size)

    @admin.display(description="Page", ordering="address")
    def page(self, row: Any) -> SafeString:
        """Its address, as a link."""
        return format_html('<a href="{}">{}</a>', path_of(Address.parse(row.address)), row.address)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """As Django's, under a heading of ours."""
        return super().changelist_view(request, {"title": self.heading} | (extra_context or {}))

    @admin.display(description="Is it seen?")
    def seen(self, row: Any) -> SafeString:
        """Whether it is hidden, and the button that changes that."""
        gone = hidden.is_hidden(store().data, Address.parse(row.address), self._mark(row))
        state, verb, label = ("Hidden", "show", "Show it again") if gone else ("Shown", "hide", "Hide it")
        return format_html("{} {}", state, self._as_button(row, verb, label))

    def _as_button(self, row: Any, verb: str, label: str) -> SafeString:
        url = reverse(f"desk:{self._name(verb)}", args=[row.pk])
        return format_html('<button class="button" type="submit" formaction="{}">{}</button>', url, label)

    # -- what they do

    def _button(self, act: Callable[[Any], str]) -> Callable[..., HttpResponseBase]:
        """Return the view of a button: does it, says so, and leads back to the list."""

        def view(request: HttpRequest, pk: int) -> HttpResponse:
            if not self.has_change_permission(request):
                raise PermissionDenied
            try:
                messages.success(request, f"Done: {act(get_object_or_404(self.model, pk=pk))}")
            except BabeliaError as error:
                messages.error(request, f"{error} {error.hint}".strip())
            return HttpResponseRedirect(reverse(f"desk:{self._name('changelist')}"))

        guarded: Callable[..., HttpResponseBase] = self.admin_site.admin_view(require_POST(view))
        return guarded

    def _hide(self, row: Any) -> str:
        said = hide(Address.parse(row.address), lambda _: self._mark(row))
        if self._mark(row):
            return said
        return f"{said} Its key is worked out by: manage.py hide “{row.address}”"

    def _show(self, row: Any) -> str:
        return show(Address.parse(row.address), lambda _: self._mark(row))

    def _thumbnail(self, request: HttpRequest, pk: int) -> HttpResponse:  # noqa: ARG002
        row = get_object_or_404(self.model, pk=pk)
        small = store().thumbnail(row.edition, self._mark(row)) if self._mark(row) else None
        if small is None:
            raise Http404
        return HttpResponse(small, content_type="image/webp", headers={"Cache-Control": "private, no-store"})

    @staticmethod
    def _mark(row: Any) -> str:
        """The mark of a row's page; "" where it is not known."""
        return row.mark or ledger.known_mark(Address.parse(row.address)) or ""

    def _name(self, what: str) -> str:
        return f"gallery_{self.model._meta.model_name}_{what}"


@admin.register(Report, site=desk)
class Reports(_PageRows):
    """What visitors have reported, what is still open first."""

    heading = "What visitors have reported"
    list_display = ("picture", "page", "times", "last_at", "seen", "done")
    list_filter = ("open", "reason")
    search_fields = ("address", "note")
    ordering = ("-open", "-last_at")

    def get_urls(self) -> list[URLPattern | URLResolver]:  # type: ignore[override]
        """Beside those: the button that closes a report."""
        close = path("<int:pk>/close/", self._button(self._close), name=self._name("close"))
        return [close, *super().get_urls()]

    @admin.display(description="Page", ordering="address")
    def page(self, row: Report) -> SafeString:
        """Its address, and what is said of it."""
        said = (super().page(row), row.get_reason_display(), row.note)
        return format_html("{}<br><b>{}</b><br>{}", *said)

    @admin.display(description="Is it open?")
    def done(self, row: Report) -> SafeString | str:
        """Whether it waits for the keeper, and the button for what may stay as it is."""
        return format_html("Open {}", self._as_button(row, "close", "Leave it as it is")) if row.open else "Closed"

    def _close(self, row: Report) -> str:
        _closed(Report.objects.filter(pk=row.pk))
        return f"The report of {row.address} is closed."

    def _hide(self, row: Report) -> str:
        said = super()._hide(row)
        _closed(Report.objects.filter(pk=row.pk))
        return said


@admin.register(Page, site=desk)
class Pages(_PageRows):
    """What was opened here, and what is hidden."""

    heading = "What was opened here"
    list_display = ("picture", "page", "opened", "printed_at", "listed", "flagged", "seen")
    list_filter = ("hidden", "listed", "flagged", "kind", "edition")
    search_fields = ("address", "mark")
    ordering = ("-printed_at", "-pk")


def _closed(rows: "QuerySet[Report, Report]") -> None:
    rows.update(open=False)
