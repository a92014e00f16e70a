"""gallery.pages.drawings.numbers: a pixel for each number, in signed colours; histograms that count all of them."""

import io
import re

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from gallery.pages.drawings.numbers import (
    CURVE,
    GAP,
    GLOW,
    LATENTS_LIMIT,
    SIGNED,
    css,
    difference_picture,
    embedding_histogram,
    embedding_limit,
    embedding_picture,
    latents_histogram,
    latents_picture,
    map_picture,
)
from worker.catalogue.comparison import compare
from worker.catalogue.expansion import page_latents
from worker.catalogue.key import CONSTANTS, EMBEDDING_SHAPE, Key

EMBEDDING = np.random.Generator(np.random.PCG64(3)).normal(-0.2, 1.1, EMBEDDING_SHAPE)
EMBEDDING.put(list(CONSTANTS), list(CONSTANTS.values()))
KEY = Key.pack(20, EMBEDDING, page_latents("key", "borges", 1))


def pixels(data: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def test_each_latent_has_its_pixel_blue_below_zero_and_red_above() -> None:
    shown = pixels(latents_picture(KEY)).astype(int)
    assert shown.shape == (2 * 52 + GAP, 2 * 80 + GAP, 3)
    for channel, (top, left) in enumerate([(0, 0), (0, 80 + GAP), (52 + GAP, 0), (52 + GAP, 80 + GAP)]):
        part, values = shown[top : top + 52, left : left + 80], KEY.latents[channel].astype(float)
        assert (part[values < -0.5][:, 2] > part[values < -0.5][:, 0]).all()
        assert (part[values > 0.5][:, 0] > part[values > 0.5][:, 2]).all()
        assert (part[values > LATENTS_LIMIT] == SIGNED[-1]).all()
    assert (shown[52, :] == SIGNED[2]).all(), "between the channels there is nothing"


def test_the_embedding_is_a_row_for_each_token() -> None:
    assert pixels(embedding_picture(KEY)).shape == (77, 768, 3)
    within = np.abs(KEY.embedding.astype(float)) <= embedding_limit(KEY)
    assert 0.985 < within.mean() < 0.995


@pytest.mark.parametrize("drawn", [latents_histogram, embedding_histogram])
def test_a_histogram_counts_every_number_and_its_normal_density_fits(drawn: object) -> None:
    found = drawn(KEY)  # type: ignore[operator]
    assert found.count in (4 * 52 * 80, 77 * 768 - len(CONSTANTS))
    heights = CURVE[1] - np.array([float(each) for each in re.findall(r"V([\d.]+)H", found.values)])
    line = CURVE[1] - np.array([float(each) for each in re.findall(r"[\d.]+ ([\d.]+)", found.normal)])
    assert len(heights) == len(line) == 96
    assert np.abs(heights[1:-1] - line[1:-1]).max() < 0.25 * heights.max(), "of numbers that are normal, it is near"
    assert abs(heights.sum() - line.sum()) < 0.02 * line.sum()


def test_where_two_pictures_differ_is_bright() -> None:
    flat = np.full((416, 640, 3), 9, np.uint8)
    other = flat.copy()
    other[80:88, 160:168] = 200
    blocks = pixels(map_picture(compare(flat, other))).astype(int)
    assert blocks.shape == (52, 80, 3)
    assert blocks[10, 20].sum() > 500 and (np.delete(blocks.reshape(-1, 3), 10 * 80 + 20, axis=0) == GLOW[0]).all()
    whole = pixels(difference_picture(flat, other)).astype(int)
    assert whole[84, 164].sum() > 500 > 100 > whole[300, 300].sum()


def test_a_legend_has_the_scales_own_colours() -> None:
    assert css(SIGNED)[0] == ("0%", "#17528b") and css(SIGNED)[-1] == ("100%", "#962418")
