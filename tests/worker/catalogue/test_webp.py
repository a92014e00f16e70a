"""The WebP of a page: near to its picture, small, with its address inside, which is read from whatever is brought."""

import io

import numpy as np
import pytest
from PIL import Image

from tests import ROOT
from worker.catalogue.key_files import KeyFile, parse_key_file
from worker.catalogue.webp import AIM, METHOD, QUALITIES, encode_page, is_webp, read_texts
from worker.errors import KeyRefused

MARK = "numxaqqioe4lpfc6qxh46pi5yy"
GRADIENT = np.stack(
    np.broadcast_arrays(
        np.linspace(0, 255, 640)[None, :], np.linspace(0, 255, 416)[:, None], np.linspace(255, 0, 640)[None, :]
    ),
    axis=-1,
).astype(np.uint8)  # (416, 640, 3)


@pytest.mark.parametrize("address", ["pocket-1/key/borges/1", "tiny/prompt/夜 \"x\" <é> & '100%'/7", "a/prompt/%41/1"])
def test_the_file_is_near_the_picture_and_names_its_page(address: str) -> None:
    data = encode_page(GRADIENT, address=address, mark=MARK)
    assert is_webp(data)
    assert read_texts(data) == (address, MARK)
    assert parse_key_file(data) == KeyFile(True, mark=MARK, address=address)
    with Image.open(io.BytesIO(data)) as image:
        error = np.asarray(image.convert("RGB")).astype(float) - GRADIENT
    assert 10 * np.log10(255**2 / (error**2).mean()) > 40, "dB: not seen beside the original"
    assert len(data) < 20_000


def test_a_picture_full_of_things_has_as_many_bytes_as_a_page_leaves_it() -> None:
    small = sorted((ROOT / "editions" / "pocket-1" / "repertoire").glob("*.webp"))[:200:10]
    sheet = Image.new("RGB", (640, 416))
    for number, file in enumerate(small):  # twenty pictures in one
        with Image.open(file) as image:
            sheet.paste(image.resize((128, 104)), (number % 5 * 128, number // 5 * 104))
    assert len(small) >= 15
    assert len(encode_page(np.asarray(sheet), address="pocket-1/key/a/1", mark=MARK)) <= AIM


def test_a_picture_of_many_bytes_is_written_in_a_lower_quality() -> None:
    noise = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (416, 640, 3), dtype=np.uint8)
    data = encode_page(noise, address="pocket-1/key/a/1", mark=MARK)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "WEBP", quality=QUALITIES[0], method=METHOD)
    assert AIM < len(data) < 0.7 * file.tell(), "no quality makes noise small, and the last one is taken"


def test_another_webp_says_nothing_and_a_damaged_one_breaks_nothing() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "WEBP")
    whole = encode_page(GRADIENT, address="pocket-1/key/a/1", mark=MARK)
    for data in (file.getvalue(), whole[:40], b"RIFF\0\0\0\0WEBP", b"RIFF....WEBP" + b"\0" * 5000):
        assert read_texts(data) == (None, None)
        with pytest.raises(KeyRefused, match="is a WebP picture"):
            parse_key_file(data)
    assert read_texts(whole.replace(b"XMP ", b"XMPX")) == (None, None)
