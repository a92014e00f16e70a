"""gallery.pages.walks: what stands on a sheet and in a strip, what is written down for it, and what is not."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from babelia.services import store
from gallery.pages import status, walks
from gallery.pages.walks import corridor_between, film_of, sheet_near
from tests.worker.store import EDITION, key_of, stacks
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.catalogue.png import encode_page
from worker.catalogue.walks import WHOLE, Nearby, even_places, key_between, nearby_key, places
from worker.errors import AddressRefused, InputRefused, PageHidden
from worker.store import hidden

ONE, OTHER = stacks(1, "walks"), stacks(2, "walks")
pytestmark = pytest.mark.django_db(transaction=True)  # it is asked what is hidden


@pytest.fixture(autouse=True)
def a_library(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR, settings.DISK_RESERVE = tmp_path, 0
    status._records.clear()
    walks._known.clear()


def sheet(*asked: Any, **more: Any) -> walks.Sheet:
    return asyncio.run(sheet_near(*asked, **more))


def corridor(*asked: Any, **more: Any) -> walks.Corridor:
    return asyncio.run(corridor_between(*asked, **more))


def film(*asked: Any, **more: Any) -> tuple[bytes, str]:
    return asyncio.run(film_of(*asked, **more))


def by_mark(key: Key) -> Address:
    return Address(EDITION, "mark", key.mark, None)


def frames(count: int) -> list[Key]:
    return [key_between(key_of(ONE), key_of(OTHER), place) for place in places(count)]


def keep_all(keys: list[Key]) -> None:
    """Have every frame of a corridor drawn, the first black and each further from the one before it."""
    for number, key in enumerate(keys):
        address = {0: ONE, len(keys) - 1: OTHER}.get(number, by_mark(key))
        pixels = np.full((416, 640, 3), number * number, np.uint8)
        png = encode_page(pixels, address=address.format(), mark=key.mark, edition=EDITION, rendition="r")
        store().keep(address, key, png, pixels, rendition="r", steps=key.steps, seconds=1.0)
    status._records.clear()


def test_a_sheet_has_eight_neighbours_and_writes_down_how_they_are_made() -> None:
    found = sheet(ONE, "latents", "far")
    expected = [nearby_key(key_of(ONE), "latents", "far", direction) for direction in range(1, 9)]
    assert [tile.address for tile in found.around] == [by_mark(key) for key in expected]
    assert found.middle.address == ONE
    origin = store().origin(expected[2].mark)
    assert origin == Nearby(key_of(ONE).mark, "latents", "far", 3)
    assert store().origin(key_of(ONE).mark) == ONE, "what they are made from can be resolved too"
    assert not list(store().data.rglob("*.key"))


def test_a_sheet_that_is_only_read_writes_nothing() -> None:
    read = sheet(ONE, "words", "far", opens=False)
    assert {tile.address for tile in read.around} == {None}
    assert not list(store().data.rglob("*.origin"))
    opened = sheet(ONE, "words", "far")
    again = sheet(ONE, "words", "far", opens=False)
    assert again == opened, "what opens is shown to everybody"


def test_a_page_without_a_known_key_has_its_middle_alone() -> None:
    assert sheet(Address(EDITION, "prompt", "a dog", 1), "latents", "far").around == ()
    with pytest.raises(AddressRefused, match="has not seen the key"):
        sheet(Address(EDITION, "mark", "aaaaaaaaaaaaaaaaaaaaaaaaaa", None), "latents", "far")


def test_what_is_hidden_has_no_neighbours_and_no_place_in_a_strip() -> None:
    middle = frames(3)[1]
    corridor(ONE, OTHER, 3)
    hidden.hide(store().data, [hidden.name_of_key(middle.mark), hidden.name_of_key(key_of(OTHER).mark)])
    with pytest.raises(PageHidden):
        sheet(by_mark(middle), "latents", "far")
    for ends in ((ONE, OTHER), (OTHER, ONE), (by_mark(middle), ONE)):
        with pytest.raises(PageHidden):
            corridor(*ends, 3)
    hidden.show(store().data, [hidden.name_of_key(key_of(OTHER).mark)])
    found = corridor(ONE, OTHER, 3)
    assert [tile.address for tile in found.tiles] == [ONE, None, OTHER]
    assert [tile.hidden for tile in found.tiles] == [False, True, False]
    assert len(found.shown) == 2


def test_a_corridor_begins_and_ends_with_the_pages_themselves() -> None:
    found = corridor(ONE, OTHER, 5)
    keys = frames(5)
    assert [tile.address for tile in found.tiles] == [ONE, *map(by_mark, keys[1:-1]), OTHER]
    assert (found.drawn, found.settled, found.complete) == (0, True, False)
    one, other = key_of(ONE), key_of(OTHER)
    assert found.steps == ((one.steps, other.steps) if one.steps != other.steps else None)
    keep_all(keys)
    drawn = corridor(ONE, OTHER, 5)
    assert (drawn.drawn, drawn.complete) == (5, True)


def test_an_even_corridor_waits_for_the_pictures_that_say_where_its_frames_are() -> None:
    keys = frames(5)
    first = corridor(ONE, OTHER, 5, even=True)
    assert not first.settled
    assert first.tiles == (corridor(ONE, OTHER, 5)).tiles
    keep_all(keys)  # shades 0, 1, 4, 9, 16
    even = corridor(ONE, OTHER, 5, even=True)
    expected = even_places(places(5), [1, 3, 5, 7], 5)
    assert even.settled and not even.complete
    moved = [key_between(key_of(ONE), key_of(OTHER), place) for place in expected]
    assert [tile.address for tile in even.tiles] == [ONE, *map(by_mark, moved[1:-1]), OTHER]
    assert expected[1] > WHOLE // 4


@pytest.mark.parametrize("kind", [".webp", ".mp4"])
def test_a_film_is_made_of_a_corridor_that_is_drawn(kind: str) -> None:
    with pytest.raises(InputRefused, match="0 of 3 pictures are drawn"):
        film(corridor(ONE, OTHER, 3), kind, closed=False)
    keep_all(frames(3))
    found = corridor(ONE, OTHER, 3)
    once, digest = film(found, kind, closed=False)
    circle, other = film(found, kind, closed=True)
    assert once and circle
    assert digest != other


@pytest.mark.parametrize(
    ("last", "count", "said"),
    [(OTHER, 2, "3 to 60"), (OTHER, 61, "3 to 60"), (ONE, 3, "the same picture")],
)
def test_what_is_no_corridor_is_refused(last: Address, count: int, said: str) -> None:
    with pytest.raises(InputRefused, match=said):
        corridor(ONE, last, count)
    with pytest.raises(InputRefused, match="by different models, tiny and pocket-1"):
        corridor(ONE, Address("pocket-1", "stacks", "walks", 2), 3)
