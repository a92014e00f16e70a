"""Looking a picture up among the kept pages: copies are found whatever was done to them, others are not, and the index
is a convenience that may be missing, damaged or read-only.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.worker.finding.test_registration import scene
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page
from worker.finding.copies import FILE, Copies
from worker.finding.fitting import fit_picture
from worker.store.hidden import hide, name_of_key
from worker.store.store import Store

KEPT = 12
Pixels = npt.NDArray[np.uint8]


def keep(store: Store, number: int, pixels: Pixels | None = None) -> str:
    """Keep a picture as page `number` of a volume of the stacks; returns its mark."""
    pixels = np.asarray(scene(number)) if pixels is None else pixels
    address, key = Address("tiny", "stacks", "copies", number), stacks_key("copies", number)
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition="tiny", rendition="r")
    store.keep(address, key, png, pixels, rendition="r", steps=2, seconds=1.0)
    return key.mark


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with pages 1 … 12, read only."""
    store = Store(tmp_path_factory.mktemp("data"), reserve=0)
    for number in range(1, KEPT + 1):
        keep(store, number)
    return store


def jpeg(image: Image.Image) -> bytes:
    return saved(image, "JPEG", quality=60)


def webp(image: Image.Image) -> bytes:
    return saved(image, "WEBP", quality=60)


def screenshot(image: Image.Image) -> bytes:
    return saved(image.resize((960, 624), Image.Resampling.BILINEAR), "PNG")


def cut(image: Image.Image) -> bytes:
    return saved(image.crop((16, 11, 624, 406)), "PNG")


def cut_at_one_side(image: Image.Image) -> bytes:
    return saved(image.crop((32, 0, 640, 416)), "JPEG", quality=80)


def saved(image: Image.Image, kind: str, **more: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


@pytest.mark.parametrize("change", [jpeg, webp, screenshot, cut, cut_at_one_side])
def test_a_copy_leads_to_its_page_whatever_was_done_to_it(kept: Store, change: Callable[[Image.Image], bytes]) -> None:
    copies = Copies(kept)
    for number in (1, 5, KEPT):
        found = copies.find(fit_picture(change(scene(number))).pixels)
        assert [copy.address for copy in found] == [Address("tiny", "mark", stacks_key("copies", number).mark, None)]
        assert 24 < found[0].decibels < 60
        assert not found[0].exact
        assert found[0].edition == "tiny"


def test_the_very_pixels_are_said_to_be_so_and_other_pictures_are_not_found(kept: Store) -> None:
    copies = Copies(kept)
    (exact,) = copies.find(np.asarray(scene(3)))
    assert exact.exact
    assert exact.decibels == 100
    for number in range(100, 110):
        assert copies.find(np.asarray(scene(number))) == []


def test_a_flat_picture_is_found_only_as_one_of_its_own_colour(tmp_path: Path) -> None:
    store = Store(tmp_path, reserve=0)
    mark = keep(store, 1, np.full((416, 640, 3), 90, np.uint8))
    near, far = (np.full((416, 640, 3), value, np.uint8) for value in (91, 97))
    assert [copy.address.name for copy in Copies(store).find(near)] == [mark]
    assert Copies(store).find(far) == []


def test_a_hidden_page_is_not_found(tmp_path: Path) -> None:
    store = Store(tmp_path, reserve=0)
    mark = keep(store, 1)
    assert Copies(store).find(np.asarray(scene(1)))
    hide(store.data, {name_of_key(mark)})
    assert Copies(store).find(np.asarray(scene(1))) == []


def test_an_index_that_is_missing_damaged_or_torn_is_made_again(tmp_path: Path) -> None:
    store, index = Store(tmp_path, reserve=0), tmp_path / FILE
    keep(store, 1)
    keep(store, 2)
    copies = Copies(store)
    assert len(copies.complete()) == 2
    sound = index.read_bytes()
    for broken in (None, sound[:-5], b"\xff" * 40 + sound[40:], b"no index", sound + sound[:50]):
        if broken is None:
            index.unlink()
        else:
            index.write_bytes(broken)
        assert copies.find(np.asarray(scene(2)))[0].exact
        assert sorted(index.read_bytes()) == sorted(sound)


def test_it_grows_as_pictures_are_kept_and_forgets_those_that_made_room(tmp_path: Path) -> None:
    store = Store(tmp_path, reserve=0)
    copies = Copies(store)
    marks = [keep(store, number) for number in (1, 2, 3)]
    for number, mark in enumerate(marks, start=1):
        copies.note("tiny", mark, np.asarray(scene(number)))
    noted = (tmp_path / FILE).read_bytes()
    assert len(copies.complete()) == 3
    assert (tmp_path / FILE).read_bytes() == noted  # nothing was lacking
    for mark in marks[:2]:
        (tmp_path / "pages" / "tiny" / mark[:2] / f"{mark}.png").unlink()
    assert [row["mark"].decode() for row in copies.complete()] == marks[2:]
    assert copies.find(np.asarray(scene(1))) == []


def test_an_index_that_cannot_be_written_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path, reserve=0)
    mark = keep(store, 1)
    (tmp_path / "finding").write_text("a file where a folder belongs", encoding="ascii")
    copies = Copies(store)
    copies.note("tiny", mark, np.asarray(scene(1)))
    assert "could not be written" in caplog.text
    assert copies.find(np.asarray(scene(1)))[0].exact
