"""gallery.views.volumes: the sheet of a volume, its weight, and what it tells to whom."""

import base64
import gzip
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from django.test.utils import override_script_prefix
from django.utils import timezone

from gallery.models import Page
from tests.visitor import CHROME
from worker.catalogue.address import PAGES, Address
from worker.store import hidden

VOLUME = Address("pocket-1", "prompt", "a dog", 1)
SHEET = "/pocket-1/prompt/a dog/"


def mark_of(number: int) -> str:
    return base64.b32encode(number.to_bytes(16, "big")).decode().strip("=").lower()


@pytest.fixture
def library(settings: Any, tmp_path: Path) -> Path:
    """A library of this process, in which every page of the volume was opened and is kept."""
    settings.DATA_DIR = tmp_path
    settings.DISK_RESERVE = 0
    (tmp_path / "pages" / "pocket-1" / "aa").mkdir(parents=True)
    rows = []
    for number in range(1, PAGES + 1):
        address, mark = VOLUME.with_page(number), mark_of(number)
        where = {"edition": address.edition, "kind": address.kind, "name": address.name, "address": address.format()}
        rows.append(Page(digest=address.digest, mark=mark, steps=4, printed_at=timezone.now(), **where))
        for suffix in (".png", ".json"):
            (tmp_path / "pages" / "pocket-1" / "aa" / f"{mark}{suffix}").touch()
    Page.objects.bulk_create(rows)
    return tmp_path


def get(path: str, **headers: str) -> Any:
    return async_to_sync(AsyncClient().get)(path, headers={"User-Agent": CHROME} | headers)


@pytest.mark.django_db(transaction=True)
def test_a_full_sheet_is_light_and_shows_every_page_but_those_taken_down(library: Path) -> None:
    hidden.hide(library, {hidden.name_of_address(VOLUME.with_page(9))})
    answer = get(SHEET)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert len(answer.content) < 60_000
    assert len(gzip.compress(answer.content, 6)) < 10_000
    assert text.count("<li id=") == PAGES
    assert text.count('loading="lazy"') == text.count("/thumbnail.webp") == PAGES - 1
    assert re.search(r'<li id="9"><p><b>9</b> <small>taken down</small></p>', text)
    assert 'href="9/' not in text
    assert '<link rel="canonical" href="http://testserver/pocket-1/prompt/a%20dog/">' in text
    assert '<meta name="robots" content="nofollow">' in text, "of what the edition draws by name"
    assert '<meta name="robots" content="noindex, nofollow">' in get("/pocket-1/key/borges/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_sheet_has_nothing_drawn_for_programs(library: Path) -> None:
    assert "data-stream=" in get(SHEET).content.decode()
    bot = {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
    for headers in (bot, {"Sec-Purpose": "prefetch"}):
        text = get(SHEET, **headers).content.decode()
        assert "data-stream=" not in text and text.count("<li id=") == PAGES


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("prefix", ["/", "/library/"])
def test_a_number_opens_its_page_without_scripts(library: Path, prefix: str) -> None:
    with override_script_prefix(prefix):
        found = get(SHEET + "?page=7")
        assert (found.status_code, found["Location"]) == (302, f"{prefix}pocket-1/prompt/a%20dog/7/")
        refused = get(SHEET + f"?page={PAGES + 1}")
        assert refused.status_code == 400
        text = refused.content.decode()
        assert f"“{PAGES + 1}” is no picture here." in text and text.count("<li id=") == PAGES
        assert f'action="{prefix}pocket-1/prompt/a%20dog/"' in text


@pytest.mark.django_db(transaction=True)
def test_a_volume_has_one_spelling_and_an_edition_that_is_here(library: Path) -> None:
    for spelled in ("/pocket-1/prompt/A  Dog/", "/pocket-1/prompt/a dog//"):
        answer = get(quote(spelled) + "?page=7")
        assert (answer.status_code, answer["Location"]) == (301, "/pocket-1/prompt/a%20dog/?page=7"), spelled
    assert get("/atlantis/key/borges/").status_code == 404
    assert get("/pocket-1/key/borges/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_every_page_leads_to_its_volume(library: Path) -> None:
    own = "/pocket-1/prompt/24%2F7/1/volume"
    assert get("/pocket-1/prompt/24%2F7/3/volume")["Location"] == own
    text = get(own).content.decode()
    assert 'href="../410/"' in text and f'action="{own}"' in text
    assert get(own + "?page=2")["Location"] == "/pocket-1/prompt/24%2F7/2/"
    assert get("/pocket-1/prompt/a dog/3/volume")["Location"] == "/pocket-1/prompt/a%20dog/"
    assert get("/pocket-1/stacks/borges/3/volume").status_code == 404
