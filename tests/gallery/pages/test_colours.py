"""gallery.pages.colours: the colours of real pictures, by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from PIL import Image

from babelia.services import store
from gallery.pages.colours import colours_of, dominant_colours, in_words
from tests import ROOT
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page

PICTURES = ROOT / "editions" / "pocket-1" / "repertoire"
"""What pocket-1 draws, as it comes with the edition: real pages of its own, made small."""
NAMED = {
    **{f"a-robot-on-a-{colour}-background": colour for colour in ("blue", "green", "red", "pink", "purple", "yellow")},
    "a-robot-on-an-orange-background": "orange",
    "a-robot-on-a-grey-background": "grey",
    "a-robot-on-a-white-background": "white",
    "a-robot-on-a-black-background": "dark grey and black",
    "mountains-at-night": "dark blue and dark green",
    "a-meadow": "green and light blue",
    "a-beach": "light blue and beige",
    "a-forest": "olive, light blue and dark green",
}


def picture(name: str) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    (file,) = PICTURES.rglob(f"{name}.webp")
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", NAMED)
def test_a_real_picture_is_named_by_the_colours_that_people_see_in_it(name: str) -> None:
    assert in_words(dominant_colours(picture(name))).startswith(NAMED[name])


def test_colours_are_listed_as_people_list_them() -> None:
    assert in_words(["red"]) == "red"
    assert in_words(["dark blue", "orange"]) == "dark blue and orange"
    assert in_words(["green", "white", "brown"]) == "green, white and brown"


def test_of_many_colours_none_of_which_covers_much_the_first_is_named() -> None:
    rng = np.random.default_rng(1)
    assert len(dominant_colours(rng.integers(0, 256, (208, 320, 3), np.uint8))) == 1


def test_the_colours_of_a_kept_page_are_read_from_its_thumbnail(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.DISK_RESERVE = 0
    small = Image.fromarray(picture("a-robot-on-a-red-background"))
    pixels = np.asarray(small.resize((640, 416)))
    address, key = Address("pocket-1", "key", "borges", 1), stacks_key("colours", 1)
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition="pocket-1", rendition="by hand")
    record = store().keep(address, key, png, pixels, rendition="by hand", steps=4, seconds=1.0)
    assert async_to_sync(colours_of)(record) == "red"
    for file in tmp_path.rglob(f"{key.mark}.*"):
        file.unlink()
    assert async_to_sync(colours_of)(record) == "red", "it is remembered"
