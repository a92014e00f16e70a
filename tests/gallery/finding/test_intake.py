"""gallery.finding.intake: what is brought becomes a search that is put ready, without HTTP."""

import asyncio
import io

import numpy as np
import pytest
from PIL import Image

from babelia.services import job_client
from gallery.finding.intake import COPIES_SHOWN, bring, copies_of, to_png, way_of
from tests.gallery.finding.conftest import Library, keep, picture
from worker.catalogue.comparison import pixels_of
from worker.catalogue.png import pixel_digest
from worker.errors import InputRefused
from worker.jobs.progress import SEARCH_PICTURE_BYTES

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_picture_is_named_by_its_fitted_pixels_and_held_without_loss(library: Library) -> None:
    async def brought() -> tuple[bytes | None, str]:
        search = await bring(picture(1), "fill", "tiny")
        return await job_client().picture_of(search), search.pixels

    png, digest = asyncio.run(brought())
    assert png is not None
    pixels = pixels_of(png)
    assert pixel_digest(pixels) == digest
    assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(picture(1)))))


def test_noise_which_cannot_be_made_smaller_is_within_the_bound() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (416, 640, 3), np.uint8)
    assert len(to_png(noise)) <= SEARCH_PICTURE_BYTES


def test_what_is_no_picture_is_refused(library: Library) -> None:
    with pytest.raises(InputRefused, match="was expected"):
        asyncio.run(bring(b"words", "fill", "tiny"))
    assert [way_of(text) for text in ("fit", "stretch", "", "nonsense")] == ["fit", "stretch", "fill", "fill"]


def test_copies_are_named_by_their_own_address_and_few(library: Library) -> None:
    for number in range(COPIES_SHOWN + 1):
        keep(f"tiny/stacks/same-{number}/1", 3)
    found = asyncio.run(copies_of(picture(3)))
    assert len(found) == COPIES_SHOWN
    assert all(copy.decibels is None and copy.page.startswith("/tiny/stacks/same-") for copy in found)
    assert asyncio.run(copies_of(picture(4))) == []
