"""Files in which people bring keys are read strictly, and what is no key is refused with the place."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from worker.catalogue.expansion import stacks_key
from worker.catalogue.key_files import KeyFile, parse_key_file, read_key_file
from worker.catalogue.png import PIXELS_SHAPE, encode_page
from worker.errors import InputRefused, KeyRefused

KEY = stacks_key("borges", 1)
TEXT = KEY.format()
FACTS = {"address": "pocket-1/stacks/borges/1", "mark": KEY.mark, "edition": "pocket-1", "rendition": "none"}


@pytest.mark.parametrize(
    "text", [TEXT, TEXT + "\n", "\ufeff" + TEXT, "\r\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76))]
)
def test_a_keys_text_is_read_with_or_without_line_ends(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_bytes(text.encode())
    assert read_key_file(path) == KEY


def test_a_png_that_carries_its_key_is_as_good_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **FACTS, key=KEY))
    assert read_key_file(path) == KEY


def test_a_png_without_a_key_is_refused_with_the_address_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **FACTS))
    with pytest.raises(KeyRefused, match="PNG without a key") as refused:
        read_key_file(path)
    assert FACTS["address"] in refused.value.hint


@pytest.mark.parametrize(
    ("content", "sentence", "position", "length"),
    [
        (TEXT[:-1].encode(), "189,435, 1 too few", None, 189_435),
        ((TEXT + "A").encode(), "189,437, 1 too many", None, 189_437),
        ((TEXT[:999] + "?" + TEXT[1000:]).encode(), "Character 1,000 of this key is “\\?”", 1000, None),
        ((TEXT[:4] + "é" + TEXT[5:]).encode(), "Character 5 .* “é”", 5, None),
        (b"", "is empty", None, 0),
        (bytes(range(128, 256)), "its byte 1 is no text", 1, None),
        (b"A" * 300_000, "has 300,000 bytes", None, 300_000),
    ],
)
def test_what_is_no_key_is_refused_with_the_place(
    content: bytes, sentence: str, position: int | None, length: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "key.txt"
    path.write_bytes(content)
    with pytest.raises(KeyRefused, match=sentence) as refused:
        read_key_file(path)
    assert (refused.value.position, refused.value.length) == (position, length)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="is a folder"):
        read_key_file(tmp_path)
    with pytest.raises(InputRefused, match="There is no file"):
        read_key_file(tmp_path / "nowhere")
    with pytest.raises(InputRefused, match="more than"):
        read_key_file(Path("/dev/zero"))


def test_a_png_says_all_that_it_was_given() -> None:
    data = encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **FACTS, key=KEY)
    assert parse_key_file(data) == KeyFile(True, TEXT, KEY.mark, FACTS["address"], "pocket-1", "none")
    blank = encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **{**FACTS, "mark": "", "address": ""})
    assert parse_key_file(blank) == KeyFile(True, None, None, "", "pocket-1", "none")


@pytest.mark.parametrize("address", ["pocket-1/prompt/ein Bär/1", "pocket-1/prompt/犬 100%/7"])
def test_an_address_that_is_not_ascii_outlives_a_program_that_drops_texts_in_utf_8(address: str) -> None:
    data = encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **FACTS | {"address": address})
    assert parse_key_file(data.replace(b"iTXtBabelia-Address", b"iTXtBabelia-Addresx")).address == address


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_read_by_its_mark(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    lines = "\r\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76))
    path.write_bytes((lines if encoding == "utf-16" else "\ufeff" + lines).encode(encoding))
    assert read_key_file(path) == KEY
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KeyRefused, match="is no text"):
        read_key_file(path)


@pytest.mark.parametrize(
    ("beginning", "name", "hint"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "a JPEG picture", "ask for the link"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP picture", "ask for the link"),
        (b"GIF89a\x80\x02", "a GIF picture", "ask for the link"),
        (b"\0\0\0\x18ftypheic", "a HEIC picture", "ask for the link"),
        (b"\0\0\0\x18ftypmif1", "a HEIF picture", "ask for the link"),
        (b"\0\0\0\x1cftypavif", "an AVIF picture", "ask for the link"),
        (b"\0\0\0\x18ftypmp42", "a film", "comes as its text"),
        (b"%PDF-1.7\n", "a PDF document", "Take out of it"),
        (b"PK\x03\x04\x14\0", "a ZIP archive, or a document that is one", "Take out of it"),
        (b"\x1f\x8b\x08", "a gzip archive", "Take out of it"),
    ],
)
@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_file_of_another_kind_is_named_with_what_to_do(beginning: bytes, name: str, hint: str, size: int) -> None:
    with pytest.raises(KeyRefused, match=f"^This file is {name}, and no key can be in it") as refused:
        parse_key_file(beginning.ljust(size, b"\0"))
    assert hint in refused.value.hint


def test_an_endless_address_inside_a_picture_is_not_read() -> None:
    data = encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **FACTS | {"address": "pocket-1/prompt/" + "a" * 5000 + "/1"})
    assert parse_key_file(data).address is None


def test_a_text_inside_a_png_that_is_no_key_is_refused_as_a_key(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("Babelia-Key", "AAA")
    path = tmp_path / "page.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=texts)
    with pytest.raises(KeyRefused, match="this one has 3"):
        read_key_file(path)
