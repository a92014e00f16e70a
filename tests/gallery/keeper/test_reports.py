"""gallery.keeper.reports: what is written down of what visitors report, and what makes room."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError

from gallery.keeper import reports
from gallery.keeper.reports import NOTE_LIMIT
from gallery.models import Report
from worker.catalogue.address import Address
from worker.errors import InputRefused, StoreUnavailable

ADDRESS = Address.parse("prompt/a dog/1")
pytestmark = pytest.mark.django_db(transaction=True)
report = async_to_sync(reports.report)


def test_a_page_that_many_report_is_one_row_with_what_was_written_last() -> None:
    report(ADDRESS, "", "explicit", "")
    report(ADDRESS, "numxaqqioe4lpfc6qxh46pi5yy", "explicit", "look\nat\x00 this " + 600 * "x")
    report(ADDRESS, "", "explicit", "")
    row = Report.objects.get()
    assert (row.address, row.times, row.reason, row.open) == (ADDRESS.format(), 3, "explicit", True)
    assert row.note.startswith("look at  this xxx") and len(row.note) == NOTE_LIMIT
    assert row.mark == "numxaqqioe4lpfc6qxh46pi5yy"


def test_a_report_that_was_dealt_with_is_opened_again_by_something_new_alone() -> None:
    report(ADDRESS, "", "explicit", "")
    for reason, note, opened in (("explicit", "", False), ("explicit", "read this", True), ("people", "", True)):
        Report.objects.update(open=False)
        report(ADDRESS, "", reason, note)
        assert Report.objects.get().open is opened, (reason, note)


def test_what_is_no_reason_is_refused() -> None:
    for reason in ("", "nonsense"):
        with pytest.raises(InputRefused, match="says what is wrong"):
            report(ADDRESS, "", reason, "")
    assert not Report.objects.exists()


def test_the_oldest_reports_make_room_first_those_that_were_dealt_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "KEPT", 3)
    pages = [ADDRESS.with_page(page) for page in range(1, 6)]
    for page in pages[:3]:
        report(page, "", "other", "")
    report(pages[0], "", "other", "")  # twice: it stays
    Report.objects.filter(digest=pages[2].digest).update(open=False)
    for page in pages[3:]:
        report(page, "", "other", "")
    assert set(Report.objects.values_list("digest", flat=True)) == {pages[n].digest for n in (0, 3, 4)}


def test_without_the_database_a_visitor_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(Report.objects, "aget_or_create", away)
    with pytest.raises(StoreUnavailable, match="could not be written down"):
        report(ADDRESS, "", "other", "")
