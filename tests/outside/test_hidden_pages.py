"""A hidden page, on every surface of a real site with a real press: whichever of its names it was hidden by.

The routes are read from `gallery.urls` and from the OpenAPI document, so that a new one is walked or named here.
"""

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.urls import get_resolver

from gallery.api.routes import api
from tests.conftest import RunningPress, serving, wait_until
from tests.forked import commands
from tests.visitor import FORM, Answer, ask, fresh, printed
from worker.catalogue.address import Address, Kind
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.keys import derive_key
from worker.press import name_in_log
from worker.store.store import Store

OF_NO_PAGE = {
    "entrance": "its wall is looked at below",
    "entrance-card": "a drawing",
    "search": "leads to an address",
    "random": "leads to an address",
    "random-of-edition": "leads to an address",
    "key": "a form",
    "open-key": "is asked for below",
    "about": "tests/gallery/views/test_library.py hides one whose key it shows",
    "holds": "tests/gallery/holds/test_views.py hides one of its pages",
    "holds-picture": "looked at there",
    "robots": "words",
    "sitemap": "words",
    "room": "its wall is looked at below; tests/gallery/views/test_rooms.py hides its page of the day",
    "today": "leads to an address",
    "opened": "looked at below",
    "feed": "looked at below",
    "oembed": "is asked for below",
    "manifest": "words",
    "favicon": "a drawing",
    "touch-icon": "a drawing",
    "subjects": "tests/gallery/views/test_subjects.py hides one of its pages",
    "subject-picture": "looked at there",
    "completions": "words",
    "open-corridor": "leads to a link",
    "compare": "tests/gallery/views/test_anatomy.py hides one of its pages",
    "compare-draw": "looked at there",
    "difference": "looked at there",
    "shelf": "the visitor's browser fills it",
    "slideshow": "leads to pages",
    "find": "a form",
    **dict.fromkeys(
        (
            *("find-send", "find-search", "find-start", "find-events", "find-preview", "find-picture", "find-leave"),
            *("find-forget", "find-list"),
        ),
        "tests/gallery/finding/test_views.py hides what a search has found, and a copy",
    ),
    "volume": "tests/gallery/views/test_volumes.py hides one of its pages",
}
API_OF_NO_PAGE = {
    "post /api/key": "is asked for below",
    "post /api/find": "tests/gallery/finding/test_views.py hides a copy",
    "get /api/find/{name}": "tests/gallery/finding/test_views.py hides what a search has found",
    "get /api/find/{name}/events": "looked at there",
    "post /api/find/{name}/leave": "looked at there",
    "get /api/editions": "",
    "get /api/random": "leads to addresses",
    "get /api/recent": "looked at below",
    "get /api/opened": "looked at below",
    "get /api/search": "looked at below",
    "get /api/volume": "looked at below",
}
KINDS: tuple[Kind, ...] = ("prompt", "key", "stacks")
CORRIDORS = {"corridor", "corridor-webp", "corridor-mp4"}
POSTED = {"leave", "again", "ahead", "next-key", "previous-key", "send-report", "draw-again"}
GET_ALONE = {"events", "next-volume", "previous-volume"}


def hide(press: RunningPress, *addresses: Address, show: bool = False) -> None:
    """What somebody types."""
    words = ["hide", *(["--show"] if show else []), *(address.format() for address in addresses)]
    commands().manage(press.environment, *words)


def surfaces(site: str, address: Address) -> Iterator[tuple[str, Callable[[], Answer]]]:
    """Every way to ask for a page: each route with an address, each operation of the API with one."""
    for pattern in get_resolver("gallery.urls").url_patterns:
        route = str(pattern.pattern)
        if pattern.name in CORRIDORS:
            for link in corridors(address):
                yield f"{pattern.name}?{link}", lambda path=f"/{route}?{link}": ask(site, path)
                yield f"HEAD {pattern.name}?{link}", lambda path=f"/{route}?{link}": ask(site, path, "HEAD")
            continue
        if pattern.name == "oembed":
            link = quote(site + address.path(), safe="")
            yield pattern.name, lambda link=link: ask(site, f"/oembed?url={link}")
        if "<address:address>" not in route:
            assert pattern.name in OF_NO_PAGE, f"{pattern.name}: does it show a page?"
            continue
        path = route.replace("<address:address>", address.path()[:-1])
        if pattern.name == "page-without-slash":
            path += "/"  # it redirects to the other spelling, whatever stands there
        if pattern.name in POSTED:
            yield pattern.name, lambda path=path: ask(site, path, "POST", b"visitor=somebody", Content_Type=FORM)
        else:
            yield pattern.name, lambda path=path: ask(site, path)
            if pattern.name not in GET_ALONE:
                yield f"HEAD {pattern.name}", lambda path=path: ask(site, path, "HEAD")
    for path, operations in ask(site, "/api/openapi.json").json["paths"].items():  # type: ignore[attr-defined]
        for method, operation in operations.items():
            name = f"{method} {path}"
            parameters = {parameter["name"] for parameter in operation.get("parameters", [])}
            if name == "get /api/corridor":
                for link in corridors(address):
                    path_of_walk = f"{path}?{link.replace('from=', 'first=').replace('to=', 'last=')}"
                    yield f"{name}?{link}", lambda path=path_of_walk: ask(site, path)
            elif "address" in parameters:
                yield name, lambda path=path: ask(site, f"{path}?address={quote(address.format(), safe='')}&visitor=v")
            elif method == "post" and name not in API_OF_NO_PAGE:
                body = json.dumps({"address": address.format(), "visitor": "somebody"}).encode()
                yield name, lambda path=path, body=body: ask(site, path, "POST", body, Content_Type="application/json")
            else:
                assert name in API_OF_NO_PAGE, f"{name}: does it show a page?"


def corridors(address: Address) -> list[str]:
    """The links of two corridors: from a page, and to it."""
    other = Address("tiny", "stacks", "the-other-end", 1)
    ends = ((address, other), (other, address))
    return [urlencode({"from": one.format(), "to": last.format(), "frames": "3"}) for one, last in ends]


def test_no_route_is_left_out_of_the_walk() -> None:
    """Whatever answers a path is of the site's or of the API's, and what the API does not describe shows no page."""
    parts = {str(part.pattern): part for part in get_resolver().url_patterns}
    assert parts.keys() == {"-/keeper/", "api/", ""}, "a part of the site that no test of this file walks"
    # The keeper's desk shows hidden pages to the keeper: tests.gallery.keeper looks at who gets in.
    assert {str(found.pattern) for found in parts[""].url_patterns} == {  # type: ignore[union-attr]
        str(found.pattern) for found in get_resolver("gallery.urls").url_patterns
    }
    routed = {f"/api/{found.pattern}".replace("<", "{").replace(">", "}") for found in parts["api/"].url_patterns}  # type: ignore[union-attr]
    assert routed - set(api.get_openapi_schema()["paths"]) == {"/api/", "/api/docs", "/api/openapi.json"}
    views = [view for _, router in api._routers for view in router.path_operations.values()]
    undescribed = [operation for view in views for operation in view.operations if not operation.include_in_schema]
    assert views
    assert not undescribed


def require_gone(site: str, *addresses: Address) -> None:
    """Ask for a page on every surface, by each of its addresses, once."""
    for address in addresses:
        for name, visit in surfaces(site, address):
            answer = visit()
            assert answer.status == 410, f"{name} of {address.format()}: {answer.status} {answer.text[:300]}"


def mark_of(press: RunningPress, address: Address) -> str:
    return derive_key(address, press.data).mark


def by_mark(mark: str) -> Address:
    return Address("tiny", "mark", mark, None)


def prints_of(press: RunningPress, *addresses: Address) -> int:
    log = press.log.read_text(encoding="utf-8")
    return sum(log.count(f"Printed {name_in_log(address)} in ") for address in addresses)


@pytest.mark.parametrize("hidden_by", ["address", "mark"])
def test_a_printed_page_is_gone_by_every_name_from_the_first_request_on(
    site: str, press: RunningPress, hidden_by: str
) -> None:
    addresses = [fresh(kind) for kind in KINDS]
    for address in addresses:
        printed(site, address)
        ask(site, address.path())
    marks = [by_mark(mark_of(press, address)) for address in addresses]
    for name, visit in surfaces(site, addresses[0]):
        assert visit().status in (200, 204, 302, 303, 400, 404), f"{name}: it is shown before"
    hide(press, *(addresses if hidden_by == "address" else marks))
    require_gone(site, *addresses, *marks)
    paths = ("/", "/tiny/", "/tiny/opened/", "/feed.atom", "/api/recent?limit=100", "/api/opened?limit=100")
    lists = {path: ask(site, path).text for path in (*paths, "/api/search?words=fresh&limit=100")}
    for address, mark in zip(addresses, marks, strict=True):
        assert [path for path, text in lists.items() if address.path()[:-1] in text or mark.name in text] == []
        volume = quote(address.format().rpartition("/")[0], safe="")
        assert ask(site, f"/api/volume?volume={volume}").json["kept"] == []


def test_a_page_hidden_before_it_was_ever_printed_is_gone_by_its_mark_too(site: str, press: RunningPress) -> None:
    addresses = [fresh(kind) for kind in KINDS]
    hide(press, *addresses)
    require_gone(site, *addresses, *(by_mark(mark_of(press, address)) for address in addresses))
    assert prints_of(press, *addresses) == 0


def test_a_key_hidden_before_it_was_ever_printed_is_never_printed_nor_told(site: str, press: RunningPress) -> None:
    """The site cannot know the key of a prompt: the press works it out, and stops before it tells of it."""
    addresses = [fresh(kind) for kind in KINDS]
    marks = [mark_of(press, address) for address in addresses]
    waited_for = {form: fresh("prompt") for form in (".png", ".txt", "picture", "key")}
    hide(press, *map(by_mark, marks), *(by_mark(mark_of(press, address)) for address in waited_for.values()))
    for address, mark in zip(addresses, marks, strict=True):
        told = ask(site, address.path()[:-1] + "/events")
        if told.status == 200:
            assert "The keeper of this library has taken this picture down." in told.text
            assert "data:image" not in told.text and mark not in told.text
    require_gone(site, *addresses, *map(by_mark, marks))
    assert prints_of(press, *addresses, *map(by_mark, marks)) == 0
    assert not [mark for mark in marks if Store(press.data).find(by_mark(mark))]

    # The picture and the key of a page are waited for, in vain.
    for form in (".png", ".txt"):
        assert ask(site, waited_for[form].path()[:-1] + form).status == 410, form
    for operation in ("picture", "key"):
        asked = quote(waited_for[operation].format(), safe="")
        answer = ask(site, f"/api/page/{operation}?address={asked}")
        assert (answer.status, answer.json["code"]) == (410, "page_hidden"), operation


def test_a_hidden_key_that_somebody_brings_is_not_opened(site: str, press: RunningPress) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    hide(press, by_mark(key.mark))
    text = key.format().encode()
    assert ask(site, "/key/open", "POST", b"edition=tiny&key=" + text, Content_Type=FORM).status == 410
    assert ask(site, "/api/key?edition=tiny", "POST", text, Content_Type="text/plain").status == 410
    assert ask(site, "/api/key", "POST", text, Content_Type="text/plain").status == 410, "in every edition"


def test_a_page_that_is_shown_again_is_printed_again(site: str, press: RunningPress) -> None:
    address = fresh("prompt")
    hide(press, by_mark(mark_of(press, address)))
    assert ask(site, address.path()[:-1] + ".png").status == 410
    hide(press, address, show=True)
    wait_until(lambda: ask(site, address.path()[:-1] + ".png").status == 200, 20, "it is printed")


def test_a_print_that_goes_on_while_its_page_is_hidden_shows_nothing_more(site: str, press: RunningPress) -> None:
    data = bytearray(stacks_key(secrets.token_hex(8), 1).data)
    data[0] = (data[0] & 3) | (29 << 2)  # 60 steps
    mark = by_mark(Store(press.data, reserve=0).keep_key(Key(bytes(data))))
    base = mark.path()[:-1]
    ask(site, mark.path() + "?visitor=somebody")
    wait_until(lambda: ask(site, base + "/preview.webp").status == 200, 30, "there is a preview")
    hide(press, mark)
    require_gone(site, mark)


@pytest.mark.parametrize("damage", ["missing", "garbage", "no table"])
def test_a_site_that_starts_without_its_database_shows_nothing_that_was_hidden(
    site: str, press: RunningPress, tmp_path: Path, damage: str
) -> None:
    address, other = fresh("prompt"), fresh("prompt")
    printed(site, address)
    printed(site, other)
    mark = by_mark(mark_of(press, address))
    hide(press, mark)
    database = tmp_path / "library.sqlite3"
    if damage == "missing":
        database = tmp_path / "nowhere" / "library.sqlite3"
    elif damage == "garbage":
        database.write_bytes(b"no database " * 1000)
    else:
        sqlite3.connect(database).close()
    with serving(press.environment | {"DATABASE_URL": f"sqlite:///{database}"}) as here:
        require_gone(here, address, mark)
        assert ask(here, other.path()[:-1] + ".png").status == 200, "the files say that it is not hidden"


def test_a_site_that_never_knew_what_is_hidden_shows_no_page(press: RunningPress, tmp_path: Path) -> None:
    """The first start over an older library, whose database is away: nothing can tell what was hidden there."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("editions", "pages", "links", "keys"):
        if (press.data / name).exists():
            (data / name).symlink_to(press.data / name)
    own = {"BABELIA_DATA": str(data), "DATABASE_URL": f"sqlite:///{tmp_path}/nowhere/library.sqlite3"}
    with serving(press.environment | own) as here:
        for name, visit in surfaces(here, fresh("prompt")):
            answer = visit()
            assert answer.status == 503, f"{name}: {answer.status}"
            assert name.startswith("HEAD") or "Which pages are hidden cannot be read" in answer.text, name
            assert str(tmp_path) not in answer.text
