"""What visitors report: one row a page, however many report it, so that nobody can bury the list. Imports the models.

A visitor needs no account; how much one may send is bounded by `gallery.bounds`.
"""

from typing import Final

from django.db import Error as AnyDatabaseError
from django.db.models import F
from django.utils import timezone

from gallery.models import REASONS, Report
from worker.catalogue.address import Address
from worker.errors import InputRefused, StoreUnavailable

COST: Final = 10
"""A report counts as so many of what one visitor may ask for in a minute (BABELIA_VISITOR_LIMIT)."""
NOTE_LIMIT: Final = 500
KEPT: Final = 2000
"""Reports that are kept; beyond, those that came first and only once make room."""


async def report(address: Address, mark: str, reason: str, note: str) -> None:
    """Write down that a page was reported. Raises InputRefused for a reason that is none, StoreUnavailable."""
    if reason not in REASONS:
        raise InputRefused("A report says what is wrong with a page.", hint="Choose one of the reasons.")
    note = "".join(c if c.isprintable() else " " for c in note).strip()[:NOTE_LIMIT]
    now = timezone.now()
    fields = {"address": address.format(), "edition": address.edition, "mark": mark, "first_at": now, "last_at": now}
    try:
        row, new = await Report.objects.aget_or_create(
            digest=address.digest, defaults=fields | {"reason": reason, "note": note, "times": 0}
        )
        rows = Report.objects.filter(pk=row.pk)
        await rows.aupdate(times=F("times") + 1, last_at=now, mark=mark or row.mark)
        if note or reason != row.reason:  # something new: the keeper has not seen it yet
            await rows.aupdate(reason=reason, note=note or row.note, open=True)
        if new:
            await _make_room()
    except AnyDatabaseError as error:
        raise StoreUnavailable(
            "Your report could not be written down at the moment.", hint="Please send it again later."
        ) from error


async def _make_room() -> None:
    """Forget the oldest reports beyond `KEPT`: first those that were dealt with, then those that came only once."""
    over = await Report.objects.acount() - KEPT
    if over > 0:
        oldest = Report.objects.order_by("open", "times", "last_at").values_list("pk", flat=True)[:over]
        await Report.objects.filter(pk__in=[pk async for pk in oldest]).adelete()
