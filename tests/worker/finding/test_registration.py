"""Laying one picture on another: what a screenshot, a cut or another shape did to it is found again."""

import numpy as np
import pytest
from PIL import Image

from worker.finding.registration import Place, register, warp

SIZE = (640, 416)


def scene(seed: int) -> Image.Image:
    """Soft blots of any colour, and sharp ones on them."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (7, 10, 3), np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    for _ in range(30):
        x, y, wide, high = (int(v) for v in rng.integers((0, 0, 10, 10), (600, 380, 90, 70)))
        soft.paste(tuple(int(v) for v in rng.integers(0, 256, 3)), (x, y, x + wide, y + high))
    return soft


@pytest.mark.parametrize(
    "box",
    [(0, 0, 640, 416), (32, 0, 640, 416), (0, 0, 608, 396), (16, 20, 624, 396), (0, 10, 640, 416)],
)
def test_a_cut_is_found_where_it_was_taken_from(box: tuple[int, int, int, int]) -> None:
    page = scene(1)
    cut = page.crop(box).resize(SIZE, Image.Resampling.LANCZOS)
    place = register(np.asarray(page), np.asarray(cut))
    wanted = Place((box[2] - box[0]) / 640, (box[3] - box[1]) / 416, box[0] / 640, box[1] / 416)
    assert place is not None
    assert np.abs(np.array(place) - np.array(wanted)).max() < 0.001
    laid, covered = warp(np.asarray(page), place, (416, 640))
    assert covered.mean() > 0.99
    assert np.abs(laid - np.asarray(cut))[covered].mean() < 3


def test_another_picture_does_not_fit_and_a_flat_one_cannot_be_laid_on_anything() -> None:
    page = np.asarray(scene(1))
    place = register(page, np.asarray(scene(2)))
    if place is not None:
        laid, covered = warp(page, place, (416, 640))
        assert np.abs(laid - np.asarray(scene(2)))[covered].mean() > 20
    assert register(np.full_like(page, 90), page) is None
