"""gallery.views.shelf: the shelf's page and the slideshow's, as the site sends them; what scripts make of them is seen
in tests/gallery/test_shelf_browser.py."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from django.test.utils import override_script_prefix

from tests.visitor import CHROME
from worker.catalogue.address import Address


def get(path: str, **headers: str) -> Any:
    return async_to_sync(AsyncClient().get)(path, headers={"User-Agent": CHROME} | headers)


def test_the_shelf_is_the_same_page_for_everybody_and_holds_no_page() -> None:
    text = get("/shelf/").content.decode()
    assert "<noscript><p>A shelf in your browser takes scripts" in text
    assert "/thumbnail.webp" not in text
    assert re.sub(r"\s+", " ", text) == re.sub(r"\s+", " ", get("/shelf/?of=somebody").content.decode())
    assert 'data-root="/"' in text and 'data-pages="410"' in text


@pytest.mark.parametrize("prefix", ["/", "/library/"])
def test_a_slideshow_is_of_chance_the_shelf_or_a_volume(prefix: str) -> None:
    with override_script_prefix(prefix):
        assert f'data-of="random" data-memory="{prefix}static/js/memory.js' in get("/slideshow/").content.decode()
        assert f'data-random="{prefix}pocket-1/random/"' in get("/slideshow/?of=random").content.decode()
        assert f'data-random="{prefix}sd-1.5/random/"' in get("/slideshow/?edition=sd-1.5").content.decode()
        assert 'data-of="shelf"' in get("/slideshow/?of=shelf").content.decode()
        for name in ("a dog", "24/7", "50% + 1"):
            first = f"{prefix[:-1]}{Address('pocket-1', 'prompt', name, 3).path()}"
            text = get(f"/slideshow/?of={quote(first, safe='')}").content.decode()
            assert f'data-volume="{first[: -len("3/")]}" data-number="3"' in text, name
        assert 'data-number="1"' in get("/slideshow/?of=/pocket-1/key/borges/").content.decode()


@pytest.mark.parametrize(
    "of", ["javascript:alert(1)", "//example.org/", "https://example.org/key/borges/1", "/atlantis/key/borges/1/", "7"]
)
def test_a_slideshow_of_nothing_is_refused_with_a_sentence(of: str) -> None:
    answer = get(f"/slideshow/?of={quote(of, safe='')}")
    assert answer.status_code in (400, 404)
    assert "These pictures cannot be shown one after another." in answer.content.decode()
    assert get("/slideshow/?edition=atlantis").status_code == 404


def test_a_mark_is_no_volume_and_a_link_of_another_library_is_one_of_this() -> None:
    assert get("/slideshow/?of=/pocket-1/mark/numxaqqioe4lpfc6qxh46pi5yy/").status_code == 400
    elsewhere = quote("https://other.example/babelia/pocket-1/key/borges/7/", safe="")
    assert 'data-volume="/pocket-1/key/borges/"' in get(f"/slideshow/?of={elsewhere}").content.decode()


def test_a_program_gets_no_slideshow_and_a_page_without_scripts_leads_to_a_picture() -> None:
    text = get("/slideshow/").content.decode()
    assert re.search(r"<noscript><p>A slideshow takes scripts.*href=\"/pocket-1/random/\"", text)
    crawler = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    assert "data-of=" not in get("/slideshow/", **{"User-Agent": crawler}).content.decode()
