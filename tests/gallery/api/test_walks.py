"""gallery.api.walks: what lies near a page and between two, asked of a real site with a real press."""

from urllib.parse import urlencode

import pytest

from tests.conftest import RunningPress
from tests.gallery.views.conftest import manage
from tests.visitor import ask, fresh, printed


def walk(kind: str, **named: object) -> str:
    return f"/api/{kind}?{urlencode(named)}"


def test_what_lies_near_a_page_opens_by_its_marks(site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    sheet = ask(site, walk("nearby", address=address.format(), strength="hardly")).json
    assert (sheet["middle"]["address"], sheet["middle"]["kept"]) == (address.format(), True)  # type: ignore[call-overload]
    around = sheet["around"]
    assert isinstance(around, list) and len({tile["address"] for tile in around}) == 8
    assert not any(tile["kept"] or tile["hidden"] for tile in around)
    assert ask(site, around[0]["picture"]).status == 200
    again = ask(site, walk("nearby", address=address.format(), strength="hardly")).json["around"]
    assert [tile["kept"] for tile in again] == [True] + 7 * [False]  # type: ignore[union-attr]
    assert ask(site, walk("nearby", address=address.format(), of="words")).json["around"] != again


def test_a_corridor_leads_from_one_page_to_the_other_and_leaves_out_what_is_hidden(
    site: str, press: RunningPress
) -> None:
    ends = fresh("prompt"), fresh("prompt")
    for end in ends:
        printed(site, end)
    path = walk("corridor", first=ends[0].format(), last=ends[1].format(), frames=4)
    frames = ask(site, path).json["frames"]
    assert isinstance(frames, list) and ask(site, path).json["settled"] is True
    assert [frames[0]["address"], frames[-1]["address"]] == [end.format() for end in ends]
    manage(press, "hide", frames[1]["address"])
    after = ask(site, path).json["frames"]
    assert [tile["hidden"] for tile in after] == [False, True, False, False]  # type: ignore[union-attr]
    assert after[1]["address"] is None and after[1]["picture"] is None  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (walk("nearby", address="tiny/key/borges/1", strength="much"), 400),
        (walk("nearby", address="atlantis/key/borges/1"), 404),
        (walk("corridor", first="tiny/stacks/borges/1", last="tiny/stacks/borges/1"), 400),
        (walk("corridor", first="tiny/key/borges/1", last="pocket-1/key/borges/1"), 400),
        (walk("corridor", first="tiny/key/borges/1", last="tiny/key/borges/2", frames=61), 400),
    ],
)
def test_what_is_no_walk_is_refused(site: str, path: str, status: int) -> None:
    answer = ask(site, path)
    assert answer.status == status and answer.json["message"]
