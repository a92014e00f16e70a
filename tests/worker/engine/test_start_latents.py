"""Initial latents from patterns, colours and pictures: on the key's grid, and the same every time."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import LATENTS_SHAPE
from worker.engine.start_latents import SOURCES, blob, fixed_generator, latents_from, pure_colour, read_picture
from worker.errors import InputRefused


def encode(pictures: np.ndarray) -> np.ndarray:
    """A stand-in for the autoencoder with its shapes: means of 8×8 pixels and their grey value."""
    small = pictures.reshape(len(pictures), 52, 8, 80, 8, 3).mean((2, 4)) / 127.5 - 1.0
    return np.concatenate([small, small.mean(3, keepdims=True)], 3).transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "key"])
def test_every_source_gives_the_same_latents_on_the_grid_each_time(source: str) -> None:
    picture = np.full((416, 640, 3), 99, np.uint8) if source == "image" else None
    first = latents_from(source, 2, encode, picture)
    assert (first.shape, first.dtype) == (LATENTS_SHAPE, np.float16)
    assert np.array_equal(LATENTS.snap(first), first)
    assert np.array_equal(latents_from(source, 2, encode, picture), first)


def test_what_the_grid_cannot_hold_becomes_its_nearest_value() -> None:
    """So that the page printed from these latents is the page of the key that they are packed into."""
    for value, held in ((100.0, LATENTS.largest), (0.0, LATENTS.smallest), (-1e-9, -LATENTS.smallest)):
        found = latents_from("black", 0, lambda pictures, value=value: np.full((1, *LATENTS_SHAPE), value))
        assert (found == held).all()


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputRefused, match=r"fixed-generator, blob, black, colour, image, not from 'noise'"):
        latents_from("noise", 0, encode)


def test_the_fixed_generator_gives_normal_numbers_that_never_change() -> None:
    """The digest was taken from this code once; another one means that fixed series print other pages."""
    latents = fixed_generator(0)
    assert hashlib.sha256(latents.tobytes()).hexdigest() == FIXED_DIGEST
    wide = latents.astype(np.float64)
    assert abs(wide.mean()) < 0.03
    assert abs(wide.std() - 1) < 0.02
    assert not np.array_equal(fixed_generator(1), latents)


FIXED_DIGEST = "c8802fe509fc4b003fa92af612094e9aa8554b4b8f557e83d0b7b0452fd445ea"


def test_the_blob_lights_one_channel_a_place_and_fades_from_the_centre() -> None:
    values = np.abs(blob(0).astype(np.float64))
    lit = values > 1e-4
    near = np.s_[:, 20:32, 30:50]
    assert (lit[near].sum(0) == 1).all()
    assert (lit[near].sum((1, 2)) == 60).all()
    brightest = values.max(0)
    assert brightest[26, 40] > 3.4
    assert brightest[26, 40] > brightest[26, 50] > brightest[26, 60] > brightest[26, 75]
    assert brightest[26, 40] > brightest[32, 40] > brightest[40, 40] > brightest[50, 40]
    assert not np.array_equal(blob(1), blob(0))


def test_black_is_what_the_autoencoder_makes_of_black() -> None:
    assert (latents_from("black", 0, encode) == -1).all()


def test_colours_begin_with_the_pure_ones_and_never_repeat() -> None:
    assert [pure_colour(index) for index in range(6)] == [
        *((255, 0, 0), (0, 255, 0), (0, 0, 255)),
        *((255, 255, 0), (0, 255, 255), (255, 0, 255)),
    ]
    assert len({pure_colour(index) for index in range(410)}) == 410


@given(st.integers(0, 409))
def test_a_pure_colour_is_fully_saturated(index: int) -> None:
    colour = pure_colour(index)
    assert max(colour) == 255
    assert min(colour) == 0


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_is_filled_and_cropped_around_its_centre(suffix: str, tmp_path: Path) -> None:
    wide = np.zeros((416, 1280, 3), np.uint8)
    wide[:, 320:960] = (0, 200, 0)
    path = tmp_path / f"wide.{suffix}"
    Image.fromarray(wide).save(path, quality=95)
    found = read_picture(path)
    assert (found.shape, found.dtype) == ((416, 640, 3), np.uint8)
    assert np.abs(found[:, 8:-8].astype(int) - [0, 200, 0]).max() <= 4


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    sideways = np.zeros((640, 416, 3), np.uint8)
    sideways[:, 208:] = 255  # turned by a quarter to the right, the light half lies below
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(sideways).save(tmp_path / "sideways.png", exif=exif)
    found = read_picture(tmp_path / "sideways.png")
    assert found[:200].max() == 0
    assert found[216:].min() == 255


@pytest.mark.parametrize("content", [b"", b"GIF89a" + b"\0" * 50, b"\x89PNG\r\n\x1a\n", b"just text"])
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputRefused, match="no PNG, JPEG or WebP"):
        read_picture(path)


def test_a_picture_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "large.png")
    with pytest.raises(InputRefused):
        read_picture(tmp_path / "large.png")


def test_a_missing_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="No such file"):
        read_picture(tmp_path / "nowhere.png")
