"""gallery.views.walks: the sheet near a page and the corridor, over HTTP: links, strips, films, what is refused."""

import io
import re
from typing import Any
from urllib.parse import urlencode

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.conftest import RunningPress
from tests.gallery.views.conftest import manage
from tests.visitor import Answer, ask, fresh, post, printed
from worker.catalogue.address import Address
from worker.catalogue.walks import WHOLE, key_between, nearby_key
from worker.store.store import Store
from worker.store.upkeep import trim


def tiles_of(answer: Answer) -> list[str]:
    """The pages that a sheet or a strip leads to, in their order; "" for a place without one."""
    sheet = answer.text.partition("<ol ")[2].partition("</ol>")[0]
    return [(re.search(r'<a href="([^"]+)"', tile) or ["", ""])[1] for tile in sheet.split("<li ")[1:]]


def link(first: Address, last: Address, **more: str) -> str:
    return "/corridor/?" + urlencode({"from": first.format(), "to": last.format(), **more})


def picture_of(site: str, path: str) -> np.ndarray[Any, Any]:
    answer = ask(site, path[:-1] + ".png")
    assert answer.status == 200, answer.text
    with Image.open(io.BytesIO(answer.body)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def ends(site: str) -> tuple[Address, Address]:
    """Two pages that are kept."""
    pages = fresh("prompt"), fresh("prompt")
    for page in pages:
        printed(site, page)
    return pages


# -- near a page


def test_the_eight_around_a_page_are_links_that_open_for_ever(site: str, press: RunningPress, kept: Address) -> None:
    found = tiles_of(ask(site, kept.path() + "nearby/?strength=far"))
    store = Store(press.data)
    key = store.key(store.find(kept) or "")
    assert key is not None
    around = [nearby_key(key, "latents", "far", direction).mark for direction in range(1, 9)]
    assert found == [
        *(f"/tiny/mark/{mark}/" for mark in around[:4]),
        kept.path(),
        *(f"/tiny/mark/{mark}/" for mark in around[4:]),
    ]
    assert not [mark for mark in around if store.key(mark)], "none of their bits is kept"
    picture_of(site, found[0])
    assert f"{found[0]}thumbnail.webp" in ask(site, kept.path() + "nearby/?strength=far").text
    for answer in (ask(site, "/").text, ask(site, "/api/recent?limit=100").text):
        assert around[1] not in answer


def test_another_choice_leads_to_other_pictures_and_nearby_goes_on(site: str, kept: Address) -> None:
    sheets = {
        choice: tiles_of(ask(site, kept.path() + f"nearby/?{choice}"))
        for choice in ("", "strength=little&of=latents", "strength=far", "of=words", "strength=hardly&of=words")
    }
    assert sheets[""] == sheets["strength=little&of=latents"]
    assert len({tuple(tiles) for tiles in sheets.values()}) == 4
    further = ask(site, sheets["of=words"][0] + "nearby/")
    assert len(set(tiles_of(further)) - {""}) == 9


def test_a_page_that_was_never_drawn_is_drawn_before_what_lies_near_it(site: str) -> None:
    address = fresh("prompt")
    sheet = ask(site, address.path() + "nearby/")
    assert tiles_of(sheet) == [address.path()]
    assert "What lies around it is known as soon as it is drawn" in sheet.text
    stacks = fresh("stacks")
    assert len(tiles_of(ask(site, stacks.path() + "nearby/"))) == 9, "its key is known before anything is drawn"


def test_whoever_makes_link_cards_has_nothing_written_down(site: str, press: RunningPress) -> None:
    address = fresh("stacks")
    robot = {"User_Agent": "Twitterbot/1.0"}
    found = ask(site, address.path() + "nearby/", **robot)
    assert [tile for tile in tiles_of(found) if tile] == [address.path()]
    assert "Show the pictures around it" in found.text
    again = (re.search(r'href="(\?strength=[^"]+visitor=[^"]+)"', found.text) or ["", ""])[1].replace("&amp;", "&")
    assert len([tile for tile in tiles_of(ask(site, address.path() + f"nearby/{again}", **robot)) if tile]) == 9


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("strength=wild", "“wild” is no strength of this sheet; there are hardly, little, clearly, far."),
        ("of=pixels", "“pixels” is no of of this sheet; there are latents, words."),
    ],
)
def test_a_choice_that_is_none_is_refused(site: str, kept: Address, query: str, said: str) -> None:
    answer = ask(site, f"{kept.path()}nearby/?{query}")
    assert answer.status == 400
    assert said in answer.text and "<html" in answer.text


# -- a corridor


def test_a_corridor_is_a_link_whose_ends_are_the_very_pages(
    site: str, press: RunningPress, ends: tuple[Address, Address]
) -> None:
    first, last = ends
    sent = post(site, "/corridor/open", {"from": first.name, "to": last.path(), "frames": "5", "edition": "tiny"})
    assert (sent.status, sent.headers["location"]) == (303, link(first, last, frames="5"))
    found = tiles_of(ask(site, sent.headers["location"]))
    assert (found[0], found[-1], len(found)) == (first.path(), last.path(), 5)
    store = Store(press.data)
    one, other = (store.key(store.find(end) or "") for end in ends)
    assert one and other
    between = [key_between(one, other, WHOLE * index // 4) for index in range(1, 4)]
    assert found[1:-1] == [f"/tiny/mark/{key.mark}/" for key in between]
    back = tiles_of(ask(site, link(last, first, frames="5")))
    assert back == found[::-1], "both take as many steps, so that the way back is the same"


@pytest.mark.parametrize("kind", ["webp", "mp4"])
def test_a_corridor_that_is_drawn_is_a_film(site: str, ends: tuple[Address, Address], kind: str) -> None:
    query = link(*ends, frames="4").replace("/corridor/", "")
    early = ask(site, f"/corridor.{kind}{link(*ends, frames='60').replace('/corridor/', '')}")
    assert early.status == 400 and "2 of 60 pictures are drawn" in early.text
    pictures = [picture_of(site, path) for path in tiles_of(ask(site, f"/corridor/{query}"))]
    film = ask(site, f"/corridor.{kind}{query}")
    circle = ask(site, f"/corridor.{kind}{query}&closed=1")
    assert (film.status, circle.status) == (200, 200)
    for answer, order in ((film, [0, 1, 2, 3]), (circle, [0, 1, 2, 3, 2, 1])):
        shown = frames_of(answer.body, kind)
        assert len(shown) == len(order)
        apart = [[float(np.abs(one.astype(int) - pictures[number]).mean()) for number in range(4)] for one in shown]
        assert [int(np.argmin(row)) for row in apart] == order
    again = ask(site, f"/corridor.{kind}{query}", If_None_Match=film.headers["etag"])
    assert again.status == 304


def frames_of(film: bytes, kind: str) -> list[np.ndarray[Any, Any]]:
    if kind == "mp4":
        with av.open(io.BytesIO(film)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with Image.open(io.BytesIO(film)) as moving:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(moving)]


def test_an_even_corridor_is_drawn_at_equal_steps_and_then_moved(site: str, ends: tuple[Address, Address]) -> None:
    equal = tiles_of(ask(site, link(*ends, frames="5")))
    even = link(*ends, frames="5", even="1")
    first_look = ask(site, even)
    if "data-goes-on" in first_look.text:  # no other test has drawn them
        assert tiles_of(first_look) == equal
    for path in equal:
        picture_of(site, path)
    moved = ask(site, even)
    assert "data-goes-on" not in moved.text
    assert tiles_of(moved)[0] == equal[0] and tiles_of(moved)[-1] == equal[-1]
    assert tiles_of(moved) == tiles_of(ask(site, even)), "it stays"
    assert len(set(tiles_of(moved))) == 5


def test_ends_that_were_never_drawn_are_drawn_first(site: str) -> None:
    ends = fresh("prompt"), fresh("prompt")
    found = ask(site, link(*ends, frames="3"))
    assert tiles_of(found) == [ends[0].path(), "", ends[1].path()]
    assert "data-goes-on" in found.text
    for end in ends:
        printed(site, end)
    assert "" not in tiles_of(ask(site, link(*ends, frames="3")))


def test_other_spellings_of_a_corridor_lead_to_its_link(site: str, ends: tuple[Address, Address]) -> None:
    first, last = ends
    for asked in (
        {"from": first.name.upper(), "to": last.format(), "frames": "24", "edition": "tiny"},
        {"from": first.path(), "to": last.format()},
        {"to": last.format(), "from": first.format(), "frames": "24", "closed": ""},
    ):
        answer = ask(site, "/corridor/?" + urlencode(asked))
        assert (answer.status, answer.headers["location"]) == (302, link(first, last, frames="24")), asked


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"frames": "2"}, 400, "3 to 60 pictures; 2 were asked for"),
        ({"frames": "61"}, 400, "3 to 60 pictures; 61 were asked for"),
        ({"frames": "many"}, 400, "3 to 60 pictures, and “many” is none"),
        ({"to": "{first}"}, 400, "Both ends are the same picture"),
        ({"to": "pocket-1/prompt/a dog/1"}, 400, "by different models, tiny and pocket-1"),
        ({"to": "aaaaaaaaaaaaaaaaaaaaaaaaaa"}, 404, "this library has not seen that key yet"),
        ({"edition": "nowhere", "from": "a dog"}, 404, "no model named “nowhere”"),
    ],
)
def test_a_corridor_that_leads_nowhere_is_said_in_its_form(
    site: str, ends: tuple[Address, Address], change: dict[str, str], status: int, said: str
) -> None:
    named = {"from": ends[0].format(), "to": ends[1].format(), "frames": "24"}
    named |= {name: value.format(first=ends[0].format()) for name, value in change.items()}
    for answer in (ask(site, "/corridor/?" + urlencode(named)), post(site, "/corridor/open", named)):
        while answer.status in (302, 303):
            answer = ask(site, answer.headers["location"])
        assert answer.status == status, answer.text
        assert said in answer.text
        assert 'name="from"' in answer.text, "the form is there again"


def test_steps_that_differ_are_said(site: str) -> None:
    one, other = fresh("stacks"), fresh("stacks")
    while True:
        answer = ask(site, link(one, other, frames="3"))
        if "there may be a jump before the last" in answer.text:
            break
        other = fresh("stacks")
    assert "What lies between takes" in answer.text


def test_the_form_is_there_without_both_ends(site: str) -> None:
    answer = ask(site, "/corridor/?from=tiny/prompt/a+%22dog%22/1")
    assert answer.status == 200
    assert 'action="/corridor/open"' in answer.text
    assert 'value="tiny/prompt/a &quot;dog&quot;/1"' in answer.text
    refused = post(site, "/corridor/open", {"from": "a dog", "to": " "})
    assert refused.status == 400 and "The second picture is missing" in refused.text


# -- what is hidden


def test_a_hidden_picture_is_left_out_and_nothing_is_made_near_it(
    site: str, press: RunningPress, ends: tuple[Address, Address]
) -> None:
    first, last = ends
    strip = link(first, last, frames="6")
    marks = tiles_of(ask(site, strip))
    for path in marks:
        picture_of(site, path)
    hidden = Address.parse_path(marks[2])
    manage(press, "hide", hidden.format())
    found = ask(site, strip)
    assert tiles_of(found) == [*marks[:2], "", *marks[3:]]
    assert "1 of its pictures has been taken down" in found.text
    assert len(frames_of(ask(site, "/corridor.webp" + strip.removeprefix("/corridor/")).body, "webp")) == 5
    for path in (hidden.path() + "nearby/", link(hidden, last, frames="3"), link(first, hidden, frames="3")):
        assert ask(site, path).status == 410, path


def test_a_frame_shows_the_same_pixels_after_its_key_has_made_room(
    site: str, press: RunningPress, ends: tuple[Address, Address]
) -> None:
    path = tiles_of(ask(site, link(*ends, frames="7")))[3]
    before = picture_of(site, path)
    mark = Address.parse_path(path).name
    printed(site, fresh("key"))  # the page that was opened last stays, however small the budget
    store = Store(press.data, budget=1)
    trim(store)
    assert (store.key(mark), store.has("tiny", mark)) == (None, False)
    assert (picture_of(site, path) == before).all()
