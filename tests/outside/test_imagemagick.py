"""Pictures that ImageMagick has written again: its texts stand after the pixels, in UTF-8 where Latin-1 should be."""

import contextlib
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from babelia.services import store
from gallery.keys import SaysNothing, address_of_file, with_key
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key_files import parse_key_file, read_key_file
from worker.catalogue.png import PIXELS_SHAPE, encode_page, pixel_digest_of_file
from worker.errors import KeyRefused

KEY = stacks_key("borges", 1)
PROMPTS = ["a dog", "ein bär über dem fluß", "犬と猫", "собака", "ã©"]


def page(prompt: str) -> bytes:
    address = Address("pocket-1", "prompt", prompt, 7).format()
    ramp = np.arange(np.prod(PIXELS_SHAPE), dtype=np.uint32).astype(np.uint8).reshape(PIXELS_SHAPE)
    return encode_page(ramp, address=address, mark=KEY.mark, edition="pocket-1", rendition="none")


@cache
def imagemagick() -> str:
    """Where ImageMagick's `convert` is; another program may go by that name in front of it."""
    for path in (shutil.which("convert"), "/usr/bin/convert"):
        with contextlib.suppress(OSError):
            if path and b"ImageMagick" in subprocess.run([path, "-version"], capture_output=True).stdout:
                return path
    raise AssertionError("These tests need ImageMagick: `apt-get install imagemagick`.")


def converted(data: bytes, folder: Path, suffix: str, *options: str) -> Path:
    """A picture, as ImageMagick writes it into a file of another name."""
    convert = imagemagick()
    before, after = folder / "before.png", folder / f"after.{suffix}"
    before.write_bytes(data)
    subprocess.run([convert, str(before), *options, str(after)], check=True, timeout=300)
    return after


@pytest.fixture(autouse=True)
def library(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path / "data"


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize(
    "options", [(), ("-resize", "50%"), ("-interlace", "PNG", "-set", "comment", "mine " * 20_000)]
)
def test_a_picture_that_was_written_again_opens_its_own_page(
    prompt: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    after = converted(page(prompt), tmp_path, "png", *options)
    assert address_of_file(after.read_bytes(), "tiny") == Address("pocket-1", "prompt", prompt, 7)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_it_opens_under_its_own_name_also_where_its_key_is_known(prompt: str, tmp_path: Path) -> None:
    address = Address("pocket-1", "prompt", prompt, 7)
    store().link(address, KEY)
    store().keep_key(KEY)
    after = converted(page(prompt), tmp_path, "png").read_bytes()
    assert address_of_file(after, "tiny") == address
    assert address_of_file(with_key(after, KEY), "tiny") == address


def test_a_picture_whose_texts_were_stripped_is_known_by_its_pixels(tmp_path: Path) -> None:
    before = page("a dog")
    after = converted(before, tmp_path, "png", "-strip", "-interlace", "PNG").read_bytes()
    with pytest.raises(SaysNothing, match="has lost its address"):
        address_of_file(after, "pocket-1")
    assert pixel_digest_of_file(after) == pixel_digest_of_file(before) is not None


def test_a_key_inside_a_picture_that_was_written_again_is_the_same_key(tmp_path: Path) -> None:
    after = converted(with_key(page("a dog"), KEY), tmp_path, "png")
    assert read_key_file(after) == KEY
    assert address_of_file(after.read_bytes(), "pocket-1") == Address("pocket-1", "mark", KEY.mark, None)
    assert store().key(KEY.mark) == KEY


@pytest.mark.parametrize(
    ("suffix", "name"),
    [("jpg", "a JPEG picture"), ("gif", "a GIF picture"), ("tiff", "a TIFF picture"), ("bmp", "a BMP picture")],
)
def test_a_picture_of_another_kind_is_named_with_what_to_do(suffix: str, name: str, tmp_path: Path) -> None:
    after = converted(page("a dog"), tmp_path, suffix)
    with pytest.raises(KeyRefused, match=f"is {name}") as refused:
        parse_key_file(after.read_bytes())
    assert "ask for the link" in refused.value.hint
