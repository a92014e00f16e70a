"""gallery.views.reports: how a visitor reports a page, over HTTP, without a script."""

import re

from tests.conftest import RunningPress
from tests.gallery.views.conftest import another_site, manage
from tests.visitor import ask, fresh, post
from worker.catalogue.address import Address


def rows(press: RunningPress) -> str:
    code = "from gallery.models import Report; print(*Report.objects.values_list('address', 'times', 'reason', 'note'))"
    return manage(press, "shell", "-v", "0", "-c", code)


def test_every_page_links_to_a_form_and_what_is_sent_is_there_for_the_keeper(
    site: str, press: RunningPress, kept: Address
) -> None:
    form = kept.path()[:-1] + "/report"
    for address in (kept, fresh("prompt")):
        assert f'href="{address.path()[:-1]}/report"' in ask(site, address.path()).text
    seen = ask(site, form)
    assert (seen.status, seen.headers["cache-control"]) == (200, "no-store")
    action = re.search(r'<form action="([^"]+send-report)" method="post">', seen.text)
    assert action and kept.name in seen.text
    sent = post(site, action[1], {"reason": "people", "note": "that is me"})
    assert (sent.status, sent.headers["location"]) == (303, f"{form}?sent=1")
    assert "Thank you" in ask(site, sent.headers["location"]).text
    assert f"({kept.format()!r}, 1, 'people', 'that is me')" in rows(press)


def test_a_report_without_a_reason_and_one_of_another_site_are_refused(site: str, kept: Address) -> None:
    path = kept.path()[:-1] + "/send-report"
    answer = post(site, path, {"note": "no reason"})
    assert (answer.status, "Choose one of the reasons" in answer.text) == (400, True)
    assert post(site, path, {"reason": "other"}, Origin="https://elsewhere.example").status == 403
    assert ask(site, path).status == 405


def test_one_visitor_reports_so_many_pages_a_minute(press: RunningPress, site: str) -> None:
    with another_site(press, BABELIA_VISITOR_LIMIT="25") as strict:
        statuses = [post(strict, fresh().path()[:-1] + "/send-report", {"reason": "other"}) for _ in range(4)]
        assert [answer.status for answer in statuses] == [303, 303, 303, 429]
        assert 1 <= int(statuses[-1].headers["retry-after"]) <= 60
