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
    data = png_with(chunk(b"tEXt", b"Babelia-Mark\0one"), chunk(b"iTXt", b"Babelia-Mark\0\0\0\0\0two"))
    assert png.read_chunks(data) == {"Babelia-Mark": "one"}


def test_it_refuses_what_is_no_png() -> None:
    for data in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\r", b"A" * 189_436):
        with pytest.raises(InputRefused, match="no PNG"):
            png.read_chunks(data)


def test_it_refuses_a_png_cut_short_anywhere_before_its_pixels() -> None:
    data = png_with(chunk(b"tEXt", b"Babelia-Mark\0one"))
    whole = len(data) - len(chunk(b"IDAT", b"never looked at"))
    for length in range(8, whole):
        with pytest.raises(InputRefused):
            png.read_chunks(data[:length])


def test_it_refuses_a_text_with_one_bit_changed() -> None:
    data = bytearray(png_with(chunk(b"tEXt", b"Babelia-Mark\0one")))
    data[data.index(b"one")] ^= 1
    with pytest.raises(InputRefused, match="checksum"):
        png.read_chunks(bytes(data))


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        (b"zTXt", b"Babelia-Mark\0\0" + zlib.compress(b"A" * 1000)[:-6], "is cut short"),
        (b"zTXt", b"Babelia-Mark\0\0nonsense", "cannot be decompressed"),
        (b"zTXt", b"Babelia-Mark\0\1" + zlib.compress(b"A"), "compressed in an unknown way"),
        (b"iTXt", b"Babelia-Mark\0\0\0\0\0\xff", "is not UTF-8"),
        (b"iTXt", b"Babelia-Mark\0\0", "not laid out as an iTXt chunk"),
        (b"tEXt", b"Babelia-Mark\0" + b"A" * 1_100_000, "longer than 1,048,576 bytes"),
    ],
)
def test_a_text_is_read_completely_or_refused(kind: bytes, content: bytes, sentence: str) -> None:
    with pytest.raises(InputRefused, match=sentence):
        png.read_chunks(png_with(chunk(kind, content)))


def test_a_small_text_that_stands_for_gigabytes_is_not_unpacked() -> None:
    bomb = zlib.compress(b"A" * 50_000_000)
    for kind, head in ((b"zTXt", b"\0\0"), (b"iTXt", b"\0\1\0\0\0")):
        data = png_with(chunk(kind, b"Babelia-Key" + head + bomb))
        tracemalloc.start()
        with pytest.raises(InputRefused, match="longer than"):
            png.read_chunks(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5_000_000


def test_more_chunks_than_a_picture_has_are_not_walked_over() -> None:
    many = chunk(b"tIME", b"\0" * 7) * 100_001
    with pytest.raises(InputRefused, match="chunks"):
        png.read_chunks(png_with(many))
    assert png.read_chunks(png_with(chunk(b"tEXt", b"Babelia-Mark\0abc"), many)) == {"Babelia-Mark": "abc"}


@pytest.mark.parametrize(
    "foreign",
    [
        chunk(b"tEXt", b"Comment\0" + b"A" * 1_800_000),
        chunk(b"tEXt", b"Comment\0one")[:-4] + b"\0\0\0\0",
        chunk(b"zTXt", b"Comment\0\0nonsense"),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"A" * 50_000_000)),
        chunk(b"iTXt", b"Comment\0\0\0\0\0\xff"),
        chunk(b"iTXt", b"Comment\0\1\7"),
        chunk(b"tEXt", b"a" * 80 + b"\0one"),
        chunk(b"tEXt", b""),
        chunk(b"eXIf", b"nonsense")[:-4] + b"\0\0\0\0",
        chunk(b"\0\xff\0\xff", b"no kind of chunk"),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_not_ours_cannot_refuse_a_picture_whatever_its_state(foreign: bytes) -> None:
    ours = chunk(b"tEXt", b"Babelia-Mark\0abc")
    for data in (png_with(foreign, ours), png_with(ours, foreign)):
        assert png.read_chunks(data) == {"Babelia-Mark": "abc"}
    assert png.read_chunks(png_with(foreign) + chunk(b"IEND", b"")) == {}


def test_texts_are_read_wherever_they_stand() -> None:
    after = png_with() + chunk(b"zTXt", b"Babelia-Mark\0\0" + zlib.compress(b"abc")) + chunk(b"IEND", b"")
    assert png.read_chunks(after) == {"Babelia-Mark": "abc"}
    assert png.read_chunks(png_with() + chunk(b"IEND", b"") + chunk(b"tEXt", b"Babelia-Mark\0abc")) == {}


def test_utf_8_where_latin_1_should_be_is_read_as_utf_8() -> None:
    def read(raw: bytes) -> str:
        plain = chunk(b"tEXt", b"Babelia-Address\0" + raw)
        packed = chunk(b"zTXt", b"Babelia-Address\0\0" + zlib.compress(raw))
        texts = [png.read_chunks(png_with(data))[png.ADDRESS] for data in (plain, packed)]
        assert texts[0] == texts[1]
        return texts[0]

    assert read("tiny/prompt/ein Bär/1".encode()) == "tiny/prompt/ein Bär/1"
    assert read("tiny/prompt/ein Bär/1".encode("latin-1")) == "tiny/prompt/ein Bär/1"
    assert read("tiny/prompt/犬/1".encode()) == "tiny/prompt/犬/1"
    assert read(b"tiny/prompt/a dog/1") == "tiny/prompt/a dog/1"


def test_what_is_written_here_is_no_latin_1_that_could_be_misread() -> None:
    for address in ("tiny/prompt/Ã©/1", "tiny/prompt/ein Bär/1"):
        assert png.read_chunks(png.encode_page(pixels(), **FACTS | {"address": address}))[png.ADDRESS] == address


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


def written(mode: str, size: tuple[int, int] = (640, 416), kind: str = "PNG") -> bytes:
    """Random pixels of a page, as another program may write them."""
    drawn = np.random.Generator(np.random.PCG64(7)).integers(0, 4, png.PIXELS_SHAPE, dtype=np.uint8) * 85
    file = io.BytesIO()
    Image.fromarray(drawn).resize(size, Image.Resampling.NEAREST).convert(mode).save(file, kind)
    return file.getvalue()


def test_the_pixels_of_a_page_are_known_however_they_are_written() -> None:
    page = np.asarray(Image.open(io.BytesIO(written("RGB"))))
    for data in (
        written("RGB"),
        written("RGBA"),
        png.encode_page(page, **FACTS),
        png.encode_page(page, **FACTS)[:-12] + b"\0\0\0\4tEXtABCD" + b"\0" * 4,
    ):
        assert png.pixel_digest_of_file(data) == png.pixel_digest(page)


@pytest.mark.parametrize(
    "data",
    [
        written("RGB", (320, 208)),
        written("RGB", kind="JPEG"),
        written("RGB")[:5000],
        written("RGB").replace(b"IDAT", b"IDAX"),
        b"",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_a_file_without_the_pixels_of_a_page_has_no_digest(data: bytes) -> None:
    assert png.pixel_digest_of_file(data) is None


def test_a_picture_that_lets_something_shine_through_is_no_page() -> None:
    file = io.BytesIO()
    image = Image.open(io.BytesIO(written("RGBA")))
    image.putalpha(128)
    image.save(file, "PNG")
    assert png.pixel_digest_of_file(file.getvalue()) is None
