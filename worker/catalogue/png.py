"""The PNG of a page: pixels with their address, mark, edition, rendition and, on request, key inside.

May import worker.errors, catalogue.key, NumPy and Pillow; never torch, so that the site can read what is dropped on it.

Each of these is one text chunk before the pixels: tEXt where the text is Latin-1, iTXt (UTF-8) where it is not, zTXt
for the key. Reading walks the chunks, checks their CRC and stops at the first IDAT: no pixel is decoded.
The chunk layout is the PNG specification's (W3C, third edition, section 5).

Pillow writes these chunks and does not read them: its limits are switches of the whole process that bound neither one
tEXt nor the number of chunks (60 kB of zTXt took it 61 MB, 1.9 MB of empty chunks 1.7 s, where the reader here refuses
with 4 MB and in 2 ms; Pillow 13.0), and its `text` decodes the pixels first. It also hands over a text that was cut
short as a shorter one and the last of two of one name, and leaves out what is not UTF-8, where a key must be refused.
"""

import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from worker.catalogue.key import Key
from worker.errors import InputRefused

WIDTH: Final = 640
HEIGHT: Final = 416
PIXELS_SHAPE: Final = (HEIGHT, WIDTH, 3)

ADDRESS: Final = "Babelia-Address"
MARK: Final = "Babelia-Mark"
EDITION: Final = "Babelia-Edition"
RENDITION: Final = "Babelia-Rendition"
KEY: Final = "Babelia-Key"

COMPRESS_TYPE: Final = 3
"""zlib's strategy Z_RLE, pinned so that a page's file does not depend on Pillow's default.

Of filtered pictures it makes files a little smaller than level 6 of the default strategy does, in a fifth of the time:
17 ms instead of 91.
"""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT_LIMIT = 1 << 20  # bytes of one text, inflated: five times a key
_TEXTS_LIMIT = 2 << 20  # bytes of all texts together
_CHUNKS_LIMIT = 1000  # chunks before the pixels


def encode_page(
    pixels: npt.NDArray[np.uint8],
    *,
    address: str,
    mark: str,
    edition: str,
    rendition: str,
    key: Key | None = None,
) -> bytes:
    """Return the PNG of `pixels` (416, 640, 3) uint8 RGB, with the given texts inside and, where given, the key."""
    assert pixels.shape == PIXELS_SHAPE, f"a page has the shape {PIXELS_SHAPE}, not {pixels.shape}"
    assert pixels.dtype == np.uint8, f"a page is uint8, not {pixels.dtype}"
    texts = PngImagePlugin.PngInfo()
    for name, text in ((ADDRESS, address), (MARK, mark), (EDITION, edition), (RENDITION, rendition)):
        texts.add_text(name, text)  # Pillow takes iTXt where Latin-1 cannot hold the text
    if key is not None:
        texts.add_text(KEY, key.format(), zip=True)
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(file, "PNG", pnginfo=texts, compress_type=COMPRESS_TYPE)
    return file.getvalue()


def read_chunks(data: bytes) -> dict[str, str]:
    """Return the texts before a PNG's pixels by name, the first of each. Raises InputRefused for what is no PNG."""
    texts: dict[str, str] = {}
    length = 0
    for kind, content in _chunks(data):
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            name, text = _text(kind, content)
            length += len(text)
            if length > _TEXTS_LIMIT:
                raise InputRefused(f"The texts inside this PNG are longer than {_TEXTS_LIMIT:,} characters together.")
            texts.setdefault(name, text)
    return texts


def is_png(data: bytes) -> bool:
    """Whether `data` begins like a PNG."""
    return data.startswith(_SIGNATURE)


def pixel_digest(pixels: npt.NDArray[np.uint8]) -> str:
    """SHA-256 of the pixel bytes, row by row, R G B, in hexadecimal: what two prints of one page are compared by."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks before the first IDAT as (kind, content).

    A chunk is its content's length (4 bytes), kind (4), content, and the CRC-32 of kind and content (4).
    """
    if not is_png(data):
        raise InputRefused("This file is no PNG: it does not begin with the PNG signature.")
    place = len(_SIGNATURE)
    for number in range(_CHUNKS_LIMIT):
        length = int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        if number == 0 and (kind != b"IHDR" or length != 13):
            raise InputRefused("This PNG does not begin with its header chunk.")
        if kind in (b"IDAT", b"IEND"):
            return
        end = place + 12 + length
        if end > len(data):
            raise InputRefused(f"This PNG is cut short: a chunk ends at byte {end:,} and the file at {len(data):,}.")
        content = data[place + 8 : end - 4]
        if zlib.crc32(kind + content) != int.from_bytes(data[end - 4 : end], "big"):
            raise InputRefused(f"This PNG is damaged: the checksum of its chunk at byte {place:,} is wrong.")
        yield kind, content
        place = end
    raise InputRefused(f"This PNG has more than {_CHUNKS_LIMIT:,} chunks before its pixels.")


def _text(kind: bytes, content: bytes) -> tuple[str, str]:
    """The keyword and text of a tEXt, zTXt or iTXt chunk."""
    keyword, found, rest = content.partition(b"\0")
    name = keyword.decode("latin-1")
    if not found or not 1 <= len(keyword) <= 79:
        raise InputRefused("A text inside this PNG has no name of 1 to 79 characters.")
    if kind == b"tEXt":
        return name, _bounded(name, rest).decode("latin-1")
    if kind == b"zTXt":
        if rest[:1] != b"\0":
            raise InputRefused(f"The text {name!r} inside this PNG is compressed in an unknown way.")
        return name, _inflate(name, rest[1:]).decode("latin-1")
    flag, method, after = rest[:1], rest[1:2], rest[2:]
    _language, one, after = after.partition(b"\0")
    _translated, two, after = after.partition(b"\0")
    if not one or not two or flag not in (b"\0", b"\1") or (flag == b"\1" and method != b"\0"):
        raise InputRefused(f"The text {name!r} inside this PNG is not laid out as an iTXt chunk.")
    raw = _inflate(name, after) if flag == b"\1" else _bounded(name, after)
    try:
        return name, raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputRefused(f"The text {name!r} inside this PNG is not UTF-8.") from error


def _bounded(name: str, raw: bytes) -> bytes:
    if len(raw) > _TEXT_LIMIT:
        raise InputRefused(f"The text {name!r} inside this PNG is longer than {_TEXT_LIMIT:,} bytes.")
    return raw


def _inflate(name: str, packed: bytes) -> bytes:
    """Inflate at most `_TEXT_LIMIT` bytes: a few kilobytes can stand for gigabytes."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(packed, _TEXT_LIMIT + 1)
    except zlib.error as error:
        raise InputRefused(f"The text {name!r} inside this PNG cannot be decompressed.") from error
    _bounded(name, raw)
    if not inflater.eof:
        raise InputRefused(f"The text {name!r} inside this PNG is cut short.")
    return raw
