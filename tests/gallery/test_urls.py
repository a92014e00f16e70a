"""gallery.urls and every link on the site: routes by name, also where the site lies below a path of its host."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncClient, RequestFactory
from django.test.utils import override_script_prefix
from django.urls import get_resolver, reverse

from babelia.services import store
from gallery.addresses import is_canonical, path_of, raw_path
from tests import ROOT
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page

PREFIX = "/library/"
ADDRESS = Address("pocket-1", "prompt", "it's (a) dog/cat", 2)
LINK = re.compile(r"""(?:href|src|action|data-[a-z]+)="([^"]*)\"""")


@pytest.fixture
def kept_here(settings: Any, tmp_path: Path) -> Address:
    """A page kept in a library of this process."""
    settings.DATA_DIR = tmp_path
    settings.DISK_RESERVE = 0
    pixels = np.zeros((416, 640, 3), np.uint8)
    key = stacks_key("urls", 1)
    png = encode_page(pixels, address=ADDRESS.format(), mark=key.mark, edition="pocket-1", rendition="by hand")
    store().keep(ADDRESS, key, png, pixels, rendition="by hand", steps=4, seconds=1.0)
    return ADDRESS


@pytest.fixture
def below_a_path() -> Iterator[None]:
    with override_script_prefix(PREFIX):
        yield


def get(path: str) -> Any:
    return async_to_sync(AsyncClient().get)(path)


def own_links(html: str) -> list[str]:
    """The paths of this site that a page links to, static files apart: Django knows their prefix by STATIC_URL."""
    paths = [urlsplit(link).path for link in LINK.findall(html) if not link.startswith(("#", "?", "data:"))]
    return [path for path in paths if path.startswith("/") and not path.startswith("/static/")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "page",
    [
        *("entrance", "about", "key", "search", "page", "mark", "refused", "subjects", "room", "opened", "api:guide"),
        *("shelf", "slideshow", "holds", "sheet"),
    ],
)
def test_every_link_lies_below_the_path_of_the_site(below_a_path: None, kept_here: Address, page: str) -> None:
    paths = {
        "page": f"/{kept_here.format()}/",
        "mark": f"/pocket-1/mark/{stacks_key('urls', 1).mark}/",
        "refused": "/nothing/here/",
        "subjects": "/pocket-1/subjects/",
        "holds": "/about/holds/",
        "room": "/pocket-1/",
        "opened": "/pocket-1/opened/",
        "sheet": "/pocket-1/prompt/a dog/",
    }
    answer = get(paths[page] if page in paths else "/" + reverse(page).removeprefix(PREFIX))
    assert answer.status_code == (404 if page == "refused" else 200)
    links = own_links(answer.content.decode())
    assert len(links) >= 7, "the head, the foot, and what is between"
    assert [link for link in links if not link.startswith(PREFIX)] == []


@pytest.mark.django_db(transaction=True)
def test_redirects_and_json_lie_below_the_path_of_the_site(below_a_path: None, kept_here: Address) -> None:
    assert get("/search/?prompt=a%20dog&edition=pocket-1")["Location"] == "/library/pocket-1/prompt/a%20dog/1/"
    assert get("/pocket-1/random/")["Location"].startswith("/library/pocket-1/key/")
    assert get("/pocket-1/key/borges/1")["Location"] == "/library/pocket-1/key/borges/1/"
    links = get(f"/{kept_here.format()}.json").json()["links"]
    assert {path[: len(PREFIX)] for path in links.values() if path} == {PREFIX}
    assert "See /library/api/docs" in get("/api/page").json()["hint"]
    assert "Allow: /library/about/\n" in get("/robots.txt").content.decode()


def test_a_request_below_a_path_is_canonical_whether_its_proxy_takes_the_path_off_or_not(below_a_path: None) -> None:
    request = RequestFactory().get("/")
    assert path_of(ADDRESS) == "/library/pocket-1/prompt/it%27s%20%28a%29%20dog%2Fcat/2/"
    for raw in (path_of(ADDRESS), path_of(ADDRESS).removeprefix("/library")):
        request.scope = {"raw_path": raw.encode()}
        assert raw_path(request) == ADDRESS.path()
        request.path_info = unquote(ADDRESS.path())
        assert is_canonical(request, ADDRESS, "/")


def test_every_route_has_a_name_of_its_own() -> None:
    names = [pattern.name for pattern in get_resolver("gallery.urls").url_patterns]
    assert None not in names and len(set(names)) == len(names)


def test_no_view_is_longer_than_25_lines() -> None:
    long = [
        f"{file.name}: {node.name}"
        for file in (*(ROOT / "gallery" / "views").glob("*.py"), *(ROOT / "gallery" / "api").glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 25
    ]
    assert not long


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("edition", ["Foo%20Bar", "atlantis", "%2F..%2F", "."])
def test_a_search_in_an_edition_that_cannot_be_is_still_a_page(kept_here: Address, edition: str) -> None:
    empty = get(f"/search/?prompt=&edition={edition}")
    assert empty.status_code == 200 and b'href="/pocket-1/random/"' in empty.content
    refused = get(f"/search/?prompt=a%20dog&edition={edition}")
    assert refused.status_code == 400 and "There is no model named" in refused.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("taken_off", [False, True])
def test_a_site_below_a_path_answers_as_django_serves_it(
    below_a_path: None, kept_here: Address, settings: Any, taken_off: bool
) -> None:
    settings.FORCE_SCRIPT_NAME = "/library"

    async def ask(raw: str) -> tuple[int, dict[bytes, bytes]]:
        raw = raw if taken_off else f"/library{raw}"
        scope = {
            "type": "http",
            "method": "GET",
            "path": unquote(raw),
            "raw_path": raw.encode(),
            "query_string": b"",
            "headers": [(b"host", b"testserver")],
            "http_version": "1.1",
        }
        communicator = ApplicationCommunicator(ASGIHandler(), scope)
        await communicator.send_input({"type": "http.request", "body": b""})
        start = await communicator.receive_output(5)
        while (await communicator.receive_output(5)).get("more_body"):
            pass
        await communicator.wait(5)
        return start["status"], dict(start["headers"])

    status, _ = async_to_sync(ask)(kept_here.path())
    assert status == 200
    status, headers = async_to_sync(ask)(kept_here.path().replace("%20dog", "%20%20dog"))
    assert (status, headers[b"Location"].decode()) == (
        301,
        f"/library{kept_here.path()}",
    )
    status, _ = async_to_sync(ask)("/nothing/here/")
    assert status == 404
