"""gallery.pages.colours: the colours of a kept page, by name."""

from pathlib import Path
from typing import Any

import numpy as np
from asgiref.sync import async_to_sync
from PIL import Image

from babelia.services import store
from gallery.pages.colours import colours_of
from tests import ROOT
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page

PICTURES = ROOT / "editions" / "pocket-1" / "repertoire"
"""What pocket-1 draws, as it comes with the edition: real pages of its own, made small."""


def picture(name: str) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    (file,) = PICTURES.rglob(f"{name}.webp")
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


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
