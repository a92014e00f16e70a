"""gallery.pages.repertoire: what is shown of what an edition can draw, with whose pictures."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import async_to_sync

from babelia.services import store
from gallery import editions
from gallery.editions import edition_of
from gallery.pages import repertoire as module
from gallery.pages.repertoire import TILES, completions_of, picture_of, repertoire_context, tiles_of_day
from tests.conftest import write_edition
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page
from worker.errors import AddressRefused

pytestmark = pytest.mark.django_db(transaction=True)
DAY = date(2026, 11, 28)


@pytest.fixture(autouse=True)
def library(settings: Any, tmp_path: Path) -> Iterator[None]:
    """A library of its own; what is remembered of editions for some seconds is forgotten before and after."""
    settings.DATA_DIR = tmp_path
    settings.DISK_RESERVE = 0
    write_edition(tmp_path, "own", "nowhere")
    forget()
    yield
    forget()


def forget() -> None:
    editions._read_shelf.cache.clear()
    editions.known_of.cache.clear()
    module._kept.clear()


def keep(address: Address) -> None:
    pixels = np.zeros((416, 640, 3), np.uint8)
    key = stacks_key(address.name, 1)
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition=address.edition, rendition="by hand")
    store().keep(address, key, png, pixels, rendition="by hand", steps=4, seconds=1.0)


def shown(slug: str) -> dict[str, Any]:
    found: dict[str, Any] = async_to_sync(repertoire_context)(edition_of(slug))
    return found


def test_the_shipped_edition_shows_everything_with_its_own_pictures() -> None:
    context = shown("pocket-1")
    assert context["listed"] and context["fits"]
    tiles = {tile.prompt: tile for group in context["groups"] for tile in group["tiles"]}
    assert len(tiles) > 180
    dog = tiles["a dog"]
    assert (dog.page, dog.picture) == ("/pocket-1/prompt/a%20dog/1/", "/pocket-1/subjects/a-dog.webp")
    assert (dog.also, dog.width, dog.height) == ("puppy, hound", 240, 156)
    assert {tile.picture is None for tile in tiles.values()} == {False}
    assert "balloon" in context["coloured"] and "dog" not in context["coloured"]


def test_with_other_weights_it_shows_the_words_and_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editions, "weights_here", lambda edition: "0" * 64)
    keep(Address.parse("prompt/a dog/1"))
    context = shown("pocket-1")
    assert context["listed"] and not context["fits"]
    pictures = {tile.picture for group in context["groups"] for tile in group["tiles"]}
    assert pictures == {None, "/pocket-1/prompt/a%20dog/1/thumbnail.webp"}
    with pytest.raises(AddressRefused):
        async_to_sync(picture_of)(edition_of("pocket-1"), "a-dog")
    assert async_to_sync(tiles_of_day)("pocket-1", DAY) == []


def test_an_edition_without_one_shows_its_lexicon_and_what_is_kept() -> None:
    keep(Address.parse("own/prompt/a boat/1"))
    context = shown("own")
    assert not context["listed"]
    assert [(group["title"], len(group["tiles"])) for group in context["groups"]] == [("Subjects", 4), ("Settings", 3)]
    pictures = {tile.prompt: tile.picture for group in context["groups"] for tile in group["tiles"]}
    assert {prompt for prompt, picture in pictures.items() if picture} == {"a boat"}
    assert completions_of(edition_of("own"))["prompts"] == ["a dog", "a cat", "a tower", "a boat"]


def test_the_tiles_are_a_dozen_the_same_all_day_and_others_on_other_days() -> None:
    days = [async_to_sync(tiles_of_day)("pocket-1", DAY + timedelta(days=later)) for later in range(20)]
    assert {len(tiles) for tiles in days} == {TILES}
    assert async_to_sync(tiles_of_day)("pocket-1", DAY) == days[0]
    assert len({tile.prompt for tiles in days for tile in tiles}) > 100
    assert {tile.picture is None for tiles in days for tile in tiles} == {False}


def test_a_prompt_is_completed_from_what_the_edition_draws() -> None:
    found = completions_of(edition_of("pocket-1"))
    assert {"a dog", "an umbrella", "grapes"} <= set(found["prompts"])
    assert {"foxes", "red", "two"} <= set(found["words"])
    assert {"in the snow", "at night", "with a rainbow"} <= set(found["places"])
    assert sum(len(word) for words in found.values() for word in words) < 6000, "a few kB"
