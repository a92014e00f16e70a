"""gallery.views.rooms: the reading room, the page of the day and the wall, over a library of this process."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from gallery.pages import walls
from gallery.pages.walls import address_of_day
from tests.gallery.views.conftest import InProcess
from worker.catalogue.address import Address
from worker.store import hidden

pytestmark = pytest.mark.django_db(transaction=True)


def tiles(html: str) -> list[str]:
    """The paths of the pages on the wall."""
    return re.findall(r'<li><a href="([^"]+)" rel="nofollow"><span class="pane">', html)


def test_the_room_has_a_box_doors_what_can_be_drawn_and_what_was_opened(library: InProcess) -> None:
    library.opened("pocket-1/prompt/a dog/3", "tiny/key/elsewhere/1")
    room = library.get("/pocket-1/")
    text = room.content.decode()
    assert room.status_code == 200
    assert 'role="search"' in text and 'href="/pocket-1/random/"' in text and 'href="/pocket-1/today/"' in text
    assert text.count('src="/pocket-1/subjects/') == 12
    assert tiles(text) == ["/pocket-1/prompt/a%20dog/3/"]
    assert re.search(r'<path fill="#[0-9a-f]{6}"', text), "the colour before the thumbnail"
    assert 'href="/pocket-1/opened/?kind=mine"' in text
    assert library.asked_redis == 0, "it starts no print, and needs no Redis"


def test_the_page_of_the_day_is_named_by_the_date_and_shown_once_it_is_kept(library: InProcess) -> None:
    day = datetime.now(UTC).date()
    address = address_of_day("pocket-1", day)
    answer = library.get("/pocket-1/today/")
    assert (answer.status_code, answer["Location"]) == (302, f"/pocket-1/key/{day.isoformat()}/1/")
    assert "no-store" in answer["Cache-Control"]
    thumbnail = f'src="/pocket-1/key/{day.isoformat()}/1/thumbnail.webp"'
    empty = library.get("/pocket-1/").content.decode()
    assert thumbnail not in empty and "Be the first to open it" in empty
    library.keep(address.format())
    assert thumbnail in library.get("/pocket-1/").content.decode()
    hidden.hide(library.data, [hidden.name_of_address(address)])
    gone = library.get("/pocket-1/").content.decode()
    assert thumbnail not in gone and "Page of the day" not in gone


def test_a_flagged_page_of_the_day_is_not_shown_beside_the_box(library: InProcess) -> None:
    address = address_of_day("pocket-1", datetime.now(UTC).date())
    library.keep(address.format(), flagged=True)
    assert "thumbnail.webp" not in library.get("/pocket-1/").content.decode()


def test_a_path_of_one_part_that_names_no_edition_is_no_room(library: InProcess) -> None:
    for path in ("/atlantis/", "/abuot/"):
        answer = library.get(path)
        assert answer.status_code == 404 and "is no address" in answer.content.decode()
    assert library.get("/atlantis/today/").status_code == library.get("/atlantis/opened/").status_code == 404


def test_the_numbers_show_the_same_pages_whatever_is_opened_meanwhile(
    library: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walls, "ON_A_WALL", 3)
    library.opened(*(f"pocket-1/key/v{n}/1" for n in range(5)))
    first = library.get("/pocket-1/opened/").content.decode()
    assert len(tiles(first)) == 3
    older = re.search(r'href="(\?page=2&amp;upto=\d+)" rel="next', first)
    assert older
    library.opened("pocket-1/key/newer/1")
    second = library.get("/pocket-1/opened/" + older[1].replace("&amp;", "&")).content.decode()
    assert tiles(second) == ["/pocket-1/key/v1/1/", "/pocket-1/key/v0/1/"]
    assert tiles(library.get("/pocket-1/opened/").content.decode())[0] == "/pocket-1/key/newer/1/"
    assert library.get("/pocket-1/opened/?page=3").status_code == 404


def test_the_wall_is_filtered_and_never_shows_what_is_hidden(library: InProcess) -> None:
    library.opened("pocket-1/prompt/a/1", "pocket-1/key/b/1", "pocket-1/stacks/c/1", "pocket-1/prompt/d/1")
    hidden.hide(library.data, [hidden.name_of_address(Address.parse("pocket-1/prompt/d/1"))])
    of: dict[str, Any] = {
        kind: [path.split("/")[3] for path in tiles(library.get(f"/pocket-1/opened/?kind={kind}").content.decode())]
        for kind in ("all", "prompts", "random", "mine")
    }
    assert of == {"all": ["c", "b", "a"], "prompts": ["a"], "random": ["c", "b"], "mine": []}
    mine = library.get("/pocket-1/opened/?kind=mine").content.decode()
    assert "This browser runs none here." in mine, "without scripts a sentence"
    assert library.get("/pocket-1/opened/?kind=x").status_code == 404


def test_a_page_of_the_wall_on_which_everything_is_hidden_says_so_and_leads_on(
    library: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walls, "ON_A_WALL", 3)
    library.opened(*(f"pocket-1/key/v{n}/1" for n in range(4)))
    hidden.hide(library.data, [hidden.name_of_address(Address.parse("pocket-1/key/v0/1"))])
    second = library.get("/pocket-1/opened/?page=2").content.decode()
    assert "What stood here is hidden." in second and 'rel="prev nofollow"' in second
