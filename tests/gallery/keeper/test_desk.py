"""gallery.keeper.desk: what the keeper sees and does there, who gets in, and that visitors have none of it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import AsyncClient, Client

from babelia.services import store
from gallery import bounds, ledger
from gallery.keeper.reports import report
from gallery.models import Page, Report
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page
from worker.store import hidden

ADDRESS = Address("pocket-1", "prompt", "a <b>dog</b>", 1)
KEY = stacks_key("desk", 1)
DESK = "/-/keeper/"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def library(settings: Any, tmp_path: Path) -> Iterator[None]:
    """A library with one page that is kept, opened and reported."""
    settings.DATA_DIR, settings.DISK_RESERVE, settings.VISITOR_LIMIT = tmp_path, 0, 0
    pixels = np.zeros((416, 640, 3), np.uint8)
    png = encode_page(pixels, address=ADDRESS.format(), mark=KEY.mark, edition="pocket-1", rendition="by hand")
    record = store().keep(ADDRESS, KEY, png, pixels, rendition="by hand", steps=4, seconds=1.0)
    async_to_sync(ledger.write)(ADDRESS, record, 1)
    async_to_sync(report)(ADDRESS, KEY.mark, "people", "this is <script>me</script>")
    bounds._counts.clear()
    yield


@pytest.fixture
def keeper() -> Client:
    """A browser in which the keeper has signed in; forms are checked as in a real one."""
    User.objects.create_superuser("keeper", password="a long password")
    client = Client(enforce_csrf_checks=True)
    page = client.get(f"{DESK}login/")
    sent = {"username": "keeper", "password": "a long password", "csrfmiddlewaretoken": token(page), "next": DESK}
    assert client.post(f"{DESK}login/", sent).status_code == 302
    return client


def token(page: Any) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert found, page.content.decode()
    return found[1]


def press_button(keeper: Client, listing: str, label: str) -> str:
    """Press a button of a list's only row; what the desk says of it."""
    page = keeper.get(listing)
    found = re.search(rf'formaction="([^"]+)">{label}</button>', page.content.decode())
    assert found, page.content.decode()
    answer = keeper.post(found[1], {"csrfmiddlewaretoken": token(page)}, follow=True)
    said = re.search(r'<li class="success">(.*?)</li>', answer.content.decode(), re.DOTALL)
    assert said, answer.content.decode()
    return said[1]


@pytest.mark.parametrize("listing", [f"{DESK}gallery/report/", f"{DESK}gallery/page/"])
def test_a_page_is_hidden_and_shown_again_in_one_click_with_its_picture_beside_it(
    keeper: Client, listing: str, tmp_path: Path
) -> None:
    seen = keeper.get(listing).content.decode()
    thumbnail = re.search(r'<img src="([^"]+/thumbnail\.webp)"', seen)
    assert thumbnail and "<b>dog" not in seen and "<script>me" not in seen
    mark = Address("another", "mark", KEY.mark, None)
    assert f"by every address of its key {KEY.mark}" in press_button(keeper, listing, "Hide it")
    assert hidden.is_hidden(tmp_path, mark, KEY.mark), "in every edition, as by the command"
    small = keeper.get(thumbnail[1])
    assert small["Content-Type"] == "image/webp" and "no-store" in small["Cache-Control"], "also while it is hidden"
    assert "is shown again" in press_button(keeper, listing, "Show it again")
    assert not hidden.is_hidden(tmp_path, mark, KEY.mark)


def test_a_report_is_closed_by_hiding_its_page_or_by_leaving_it(keeper: Client) -> None:
    listing = f"{DESK}gallery/report/"
    seen = keeper.get(listing).content.decode()
    assert "shows or names a real person" in seen and "this is &lt;script&gt;" in seen
    assert "is closed" in press_button(keeper, listing, "Leave it as it is")
    assert not Report.objects.get().open
    Report.objects.update(open=True)
    press_button(keeper, listing, "Hide it")
    assert not Report.objects.get().open
    assert keeper.get(f"{listing}?open__exact=1").content.decode().count("formaction") == 0


def test_a_page_that_was_never_drawn_is_hidden_by_its_address_and_the_rest_is_said(keeper: Client) -> None:
    Report.objects.all().delete()
    other = Address.parse("prompt/never drawn/1")
    async_to_sync(report)(other, "", "other", "")
    said = press_button(keeper, f"{DESK}gallery/report/", "Hide it")
    assert "by this address alone" in said and "manage.py hide" in said
    assert Page.objects.get(digest=other.digest).hidden


def test_nobody_else_gets_in_and_no_button_works_by_a_link(keeper: Client) -> None:
    for client, path in ((Client(), f"{DESK}gallery/report/"), (Client(), f"{DESK}gallery/page/1/thumbnail.webp")):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, f"{DESK}login/")
    row = Report.objects.get()
    url = f"{DESK}gallery/report/{row.pk}/hide/"
    assert Client().post(url).status_code == 302
    assert keeper.get(url).status_code == 405
    assert keeper.post(url).status_code == 403, "a form without its token"
    User.objects.create_user("clerk", password="a long password", is_staff=True)
    clerk = Client()
    assert clerk.login(username="clerk", password="a long password")
    assert clerk.post(url).status_code == 403
    assert not Page.objects.filter(hidden=True).exists()


def test_nothing_can_be_added_changed_or_deleted_by_hand(keeper: Client) -> None:
    for path in ("gallery/report/add/", "gallery/page/add/", f"gallery/page/{Page.objects.get().pk}/delete/"):
        assert keeper.get(DESK + path).status_code == 403, path


def test_passwords_are_tried_so_many_times_a_minute(settings: Any) -> None:
    settings.VISITOR_LIMIT = 12
    client = Client()
    sent = {"username": "keeper", "password": "wrong"}
    assert [client.post(f"{DESK}login/", sent).status_code for _ in range(4)] == [200, 200, 429, 429]


def test_visitors_have_neither_session_nor_cookie() -> None:
    async def visit() -> list[HttpResponse]:
        client = AsyncClient()
        return [await client.get(path) for path in ("/about/", ADDRESS.path(), f"{ADDRESS.path()[:-1]}/report")]

    for answer in asyncio.run(visit()):
        assert answer.status_code == 200
        assert not answer.cookies
