"""worker.catalogue.comparison: how far two pictures are from each other, and where."""

import io

import numpy as np
import pytest
from PIL import Image

from worker.catalogue.comparison import MAP_SHAPE, compare, from_json, pixels_of, to_json
from worker.catalogue.png import PIXELS_SHAPE

FLAT = np.full(PIXELS_SHAPE, 100, np.uint8)


def test_the_same_pixels_are_identical() -> None:
    found = compare(FLAT, FLAT.copy())
    assert (found.identical, found.psnr, found.largest, found.differing) == (True, None, 0, 0)
    assert not any(found.map)


def test_one_changed_pixel_is_found_where_it_is_and_the_psnr_is_that_of_its_definition() -> None:
    other = FLAT.copy()
    other[17, 24, 1] = 90
    found = compare(FLAT, other)
    assert (found.identical, found.largest, found.differing) == (False, 10, 1)
    assert np.argwhere(np.frombuffer(found.map, np.uint8).reshape(MAP_SHAPE)).tolist() == [[2, 3]]
    assert found.psnr == pytest.approx(20 * np.log10(255 / np.sqrt(100 / FLAT.size)), abs=0.005)
    assert compare(np.zeros_like(FLAT), np.full_like(FLAT, 255)).psnr == 0


def test_a_difference_is_written_and_read_with_what_else_is_known() -> None:
    found = compare(FLAT, FLAT + np.uint8(3))
    assert from_json(to_json(found, rendition="by hand")) == (found, {"rendition": "by hand"})
    for damaged in (b"", b"[]", b"{}", to_json(found).replace(b"AwMD", b"AwM", 1), to_json(found)[:-9]):
        with pytest.raises(ValueError, match=r"difference|Expecting|Unterminated|padding"):
            from_json(damaged)


def test_the_pixels_of_a_file_are_the_pictures() -> None:
    file = io.BytesIO()
    Image.fromarray(FLAT).save(file, "PNG")
    assert np.array_equal(pixels_of(file.getvalue()), FLAT)
