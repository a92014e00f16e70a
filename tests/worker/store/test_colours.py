"""worker.store.colours: the colour that a picture has most of, and the colours of real pictures by name."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests import ROOT
from worker.store.colours import dominant_colour, in_words, name_of_colour, named_colours
from worker.store.store import _thumbnail

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
    "a-forest": "light blue and green",
}


def picture(*stripes: tuple[int, tuple[int, int, int]]) -> npt.NDArray[np.uint8]:
    """(416, 640, 3) of stripes, each some rows high."""
    return np.concatenate([np.full((rows, 640, 3), colour, np.uint8) for rows, colour in stripes])


def real_picture(name: str) -> npt.NDArray[np.uint8]:
    (file,) = PICTURES.rglob(f"{name}.webp")
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("stripes", "about"),
    [
        (((416, (255, 255, 255)),), (255, 255, 255)),
        (((416, (0, 0, 0)),), (0, 0, 0)),
        (((260, (40, 90, 200)), (156, (220, 190, 120))), (40, 90, 200)),  # the sky, and not the mean with the sand
        (((150, (200, 30, 30)), (116, (30, 160, 60)), (150, (205, 34, 34))), (202, 32, 32)),  # shades of one red
    ],
)
def test_it_is_the_colour_of_most_of_the_picture(
    stripes: tuple[tuple[int, tuple[int, int, int]], ...], about: tuple[int, int, int]
) -> None:
    found = dominant_colour(_thumbnail(picture(*stripes)))
    assert found is not None and len(found) == 7
    channels = [int(found[place : place + 2], 16) for place in (1, 3, 5)]
    assert np.abs(np.subtract(channels, about)).max() <= 6, "a lossy WebP moves a colour by a little"


@pytest.mark.parametrize("damaged", [b"", b"no picture", b"RIFF0000WEBPVP8 "])
def test_what_is_no_thumbnail_has_no_colour(damaged: bytes) -> None:
    assert dominant_colour(damaged) is None


def test_only_thumbnails_are_read() -> None:
    out = io.BytesIO()
    Image.new("RGB", (32, 20), "red").save(out, "PNG")
    assert dominant_colour(out.getvalue()) is None


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        *(("#000000", "black"), ("#ffffff", "white"), ("#808080", "grey"), ("#ff0000", "red"), ("#ffa500", "orange")),
        *(
            ("#ffff00", "yellow"),
            ("#008000", "green"),
            ("#0000ff", "blue"),
            ("#40e0d0", "turquoise"),
            ("#87ceeb", "light blue"),
        ),
        *(("#800080", "purple"), ("#8040c0", "purple"), ("#ff69b4", "pink"), ("#8b5a2b", "brown"), ("#f00010", "red")),
    ],
)
def test_a_colour_has_an_everyday_name(colour: str, name: str) -> None:
    assert name_of_colour(colour) == name


def test_every_colour_has_a_name() -> None:
    steps = (0, 51, 102, 153, 204, 255)
    names = {name_of_colour(f"#{r:02x}{g:02x}{b:02x}") for r in steps for g in steps for b in steps}
    assert len(names) == 23, "each of the palette’s names is some colour’s"


@pytest.mark.parametrize("name", NAMED)
def test_a_real_picture_is_named_by_the_colours_that_people_see_in_it(name: str) -> None:
    assert in_words(named_colours(real_picture(name))).startswith(NAMED[name])


def test_colours_are_listed_as_people_list_them() -> None:
    assert in_words(["red"]) == "red"
    assert in_words(["dark blue", "orange"]) == "dark blue and orange"
    assert in_words(["green", "white", "brown"]) == "green, white and brown"


def test_of_many_colours_none_of_which_covers_much_the_first_is_named() -> None:
    rng = np.random.default_rng(1)
    assert len(named_colours(rng.integers(0, 256, (208, 320, 3), np.uint8))) == 1
