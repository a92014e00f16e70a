"""Pages as PNG: what goes in comes out, and nothing that is dropped on the site can harm it."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from worker.catalogue import png
from worker.catalogue.expansion import stacks_key
from worker.errors import InputRefused

FACTS = {
    "address": "pocket-1/prompt/a dog/1",
    "mark": "numxaqqioe4lpfc6qxh46pi5yy",
    "edition": "pocket-1",
    "rendition": "pocket-1 float32",
}


def pixels() -> np.ndarray:
    ramp = np.arange(np.prod(png.PIXELS_SHAPE), dtype=np.uint32) * 2654435761 >> 13
    return ramp.astype(np.uint8).reshape(png.PIXELS_SHAPE)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(*chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", png.WIDTH, png.HEIGHT, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", b"never looked at")


def test_the_pixels_come_back_exactly() -> None:
    page = pixels()
    data = png.encode_page(page, **FACTS)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (640, 416))
        assert np.array_equal(np.asarray(image), page)


def test_the_same_page_gives_the_same_bytes() -> None:
    assert png.encode_page(pixels(), **FACTS) == png.encode_page(pixels(), **FACTS)


def test_the_facts_come_back_under_their_names() -> None:
    texts = png.read_chunks(png.encode_page(pixels(), **FACTS))
    assert texts == {
        "Babelia-Address": FACTS["address"],
        "Babelia-Mark": FACTS["mark"],
        "Babelia-Edition": FACTS["edition"],
        "Babelia-Rendition": FACTS["rendition"],
    }


@settings(max_examples=20)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=500))
def test_a_prompt_of_any_script_comes_back(prompt: str) -> None:
    blank = np.zeros(png.PIXELS_SHAPE, np.uint8)
    address = f"pocket-1/prompt/{prompt}/1"
    data = png.encode_page(blank, **{**FACTS, "address": address})
    assert png.read_chunks(data)[png.ADDRESS] == address


def test_the_whole_key_comes_back_on_request_and_only_then() -> None:
    key = stacks_key("borges", 1)
    assert png.read_chunks(png.encode_page(pixels(), **FACTS, key=key))[png.KEY] == key.format()
    assert png.KEY not in png.read_chunks(png.encode_page(pixels(), **FACTS))


def test_reading_never_looks_at_the_pixels() -> None:
    data = png_with(chunk(b"tEXt", b"Babelia-Mark\0abc"))
    assert png.read_chunks(data) == {"Babelia-Mark": "abc"}
    assert png.read_chunks(data[:-19]) == {"Babelia-Mark": "abc"}


def test_the_first_of_two_texts_of_one_name_counts() -> None:
    data = png_with(chunk(b"tEXt", b"a\0one"), chunk(b"iTXt", b"a\0\0\0\0\0two"))
    assert png.read_chunks(data) == {"a": "one"}


def test_it_refuses_what_is_no_png() -> None:
    for data in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\r", b"A" * 189_436):
        with pytest.raises(InputRefused, match="no PNG"):
            png.read_chunks(data)


def test_it_refuses_a_png_cut_short_anywhere_before_its_pixels() -> None:
    data = png_with(chunk(b"tEXt", b"a\0one"))
    for length in range(8, data.index(b"IDAT") + 4):
        with pytest.raises(InputRefused):
            png.read_chunks(data[:length])


def test_it_refuses_a_text_with_one_bit_changed() -> None:
    data = bytearray(png_with(chunk(b"tEXt", b"a\0one")))
    data[data.index(b"one")] ^= 1
    with pytest.raises(InputRefused, match="checksum"):
        png.read_chunks(bytes(data))


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        (b"zTXt", b"a\0\0" + zlib.compress(b"A" * 1000)[:-6], "is cut short"),
        (b"zTXt", b"a\0\0nonsense", "cannot be decompressed"),
        (b"zTXt", b"a\0\1" + zlib.compress(b"A"), "compressed in an unknown way"),
        (b"iTXt", b"a\0\0\0\0\0\xff", "is not UTF-8"),
        (b"iTXt", b"a\0\0", "not laid out as an iTXt chunk"),
        (b"tEXt", b"a\0" + b"A" * 1_100_000, "longer than 1,048,576 bytes"),
        (b"tEXt", b"a" * 80 + b"\0one", "no name of 1 to 79 characters"),
    ],
)
def test_a_text_is_read_completely_or_refused(kind: bytes, content: bytes, sentence: str) -> None:
    with pytest.raises(InputRefused, match=sentence):
        png.read_chunks(png_with(chunk(kind, content)))


def test_a_small_text_that_stands_for_gigabytes_is_not_unpacked() -> None:
    bomb = zlib.compress(b"A" * 50_000_000)
    for content in (b"a\0\0" + bomb, b"a\0\1\0\0\0" + bomb):
        kind = b"zTXt" if content[2:3] == b"\0" else b"iTXt"
        data = png_with(chunk(kind, content))
        tracemalloc.start()
        with pytest.raises(InputRefused, match="longer than"):
            png.read_chunks(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5_000_000


def test_many_texts_together_are_bounded_too() -> None:
    texts = [chunk(b"tEXt", b"name%d\0" % i + b"A" * 900_000) for i in range(3)]
    with pytest.raises(InputRefused, match="together"):
        png.read_chunks(png_with(*texts))
    with pytest.raises(InputRefused, match="chunks"):
        png.read_chunks(png_with(*[chunk(b"tIME", b"\0" * 7)] * 1001))


@given(st.binary(max_size=200))
def test_whatever_follows_the_signature_gives_texts_or_a_sentence(tail: bytes) -> None:
    for data in (b"\x89PNG\r\n\x1a\n" + tail, png_with(chunk(b"iTXt", tail)), png_with(chunk(b"zTXt", tail))):
        try:
            texts = png.read_chunks(data)
        except InputRefused:
            continue
        assert all(isinstance(text, str) for text in texts.values())


def test_the_digest_is_of_the_pixels_row_by_row() -> None:
    import hashlib

    page = pixels()
    assert png.pixel_digest(page) == hashlib.sha256(page.tobytes()).hexdigest()
    assert png.pixel_digest(page[::-1]) == hashlib.sha256(page[::-1].tobytes()).hexdigest()
