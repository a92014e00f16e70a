"""The PNG of a page: pixels with their address, mark, edition, rendition and, on request, key inside.

May import worker.errors, catalogue.key, NumPy and Pillow; never torch, so that the site can read what is dropped on it.

Each of these is one text chunk before the pixels: tEXt where the text is ASCII, iTXt (UTF-8) where it is not, zTXt for
the key. Reading walks the chunks from the first to the last, for other programs write texts after the pixels, and looks
only at texts of these names: everything else is skipped by its length, unread and unchecked, so that nothing that is
not ours can refuse a picture. The chunk layout is the PNG specification's (W3C, third edition, section 5).

Pillow writes these chunks and does not read them: its limits are switches of the whole process that bound neither one
tEXt nor the number of chunks (60 kB of zTXt took it 61 MB, 1.9 MB of empty chunks 1.7 s, where the reader here refuses
with 4 MB and in 2 ms; Pillow 13.0), and its `text` decodes the pixels first. It also hands over a text that was cut
short as a shorter one and the last of two of one name, and leaves out what is not UTF-8, where a key must be refused.
"""

import hashlib
import io
import zlib
from collections import deque
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote_to_bytes

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
PATH: Final = "Babelia-Path"
"""The address again, percent-encoded, where it is not ASCII: ImageMagick 6 reads no iTXt, and so drops it."""

COMPRESS_TYPE: Final = 3
"""zlib's strategy Z_RLE, pinned so that a page's file does not depend on Pillow's default.

Of filtered pictures it makes files a little smaller than level 6 of the default strategy does, in a fifth of the time:
17 ms instead of 91.
"""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NAMES = frozenset(name.encode("latin-1") for name in (ADDRESS, MARK, EDITION, RENDITION, KEY, PATH))
_TEXT_LIMIT = 1 << 20  # bytes of one text, inflated: five times a key
_CHUNKS_LIMIT = 100_000  # chunks that are walked over, in 40 ms; a picture of 16 MB has some 2,000


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
        if text.isascii():
            texts.add_text(name, text)
        else:  # a tEXt would be Latin-1, which some programs read and write again as UTF-8
            texts.add_itxt(name, text)
    if not address.isascii():
        texts.add_text(PATH, quote(address))
    if key is not None:
        texts.add_text(KEY, key.format(), zip=True)
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(file, "PNG", pnginfo=texts, compress_type=COMPRESS_TYPE)
    return file.getvalue()


def read_chunks(data: bytes) -> dict[str, str]:
    """Return our texts inside a PNG by name, the first of each, wherever they stand; other programs' are not read.

    Raises InputRefused for what is no PNG, for a text of ours that is damaged, and for a file that ends too early
    without having said anything.
    """
    texts: dict[str, str] = {}
    for kind, keyword, start, end in _texts(data):
        name = keyword.decode("latin-1")
        if name in texts:
            continue
        if end > len(data):
            raise _cut_short(end, len(data))
        if zlib.crc32(data[start:end]) != int.from_bytes(data[end : end + 4], "big") or end + 4 > len(data):
            raise InputRefused(f"This PNG is damaged: the checksum of its text {name!r} is wrong.")
        texts[name] = _text(kind, name, data[start + 4 + len(keyword) + 1 : end])
    if not texts:
        _require_whole(data)
    return texts


def address_among(texts: dict[str, str]) -> str | None:
    """Return the address among the texts of a PNG, to be parsed; None where there is none."""
    if ADDRESS in texts or PATH not in texts:
        return texts.get(ADDRESS)
    return unquote_to_bytes(texts[PATH]).decode("utf-8", errors="replace")


def is_png(data: bytes) -> bool:
    """Whether `data` begins like a PNG."""
    return data.startswith(_SIGNATURE)


def pixel_digest(pixels: npt.NDArray[np.uint8]) -> str:
    """SHA-256 of the pixel bytes, row by row, R G B, in hexadecimal: what two prints of one page are compared by."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def pixel_digest_of_file(data: bytes) -> str | None:
    """Return the `pixel_digest` of a PNG of a page's size, however its pixels are written; None for any other file."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size != (WIDTH, HEIGHT):  # known from the header, before anything is unpacked
                return None
            if image.mode in ("RGBA", "LA", "PA") and image.getchannel("A").getextrema() != (255, 255):
                return None
            return pixel_digest(np.asarray(image.convert("RGB")))
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError):
        return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks as (kind, start of the kind, end of the content); the last may end beyond the file.

    A chunk is its content's length (4 bytes), kind (4), content, and the CRC-32 of kind and content (4).
    """
    if not is_png(data):
        raise InputRefused("This file is no PNG: it does not begin with the PNG signature.")
    place = len(_SIGNATURE)
    for _ in range(_CHUNKS_LIMIT):
        if place >= len(data):
            return
        start = place + 4
        end = start + 4 + int.from_bytes(data[place:start], "big")
        kind = data[start : start + 4]
        yield kind, start, end
        if kind == b"IEND":
            return
        place = end + 4


def _texts(data: bytes) -> Iterator[tuple[bytes, bytes, int, int]]:
    """The texts of our names as (kind, name, start of the kind, end of the content)."""
    for kind, start, end in _chunks(data):
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, found, _ = data[start + 4 : min(start + 4 + 80, end)].partition(b"\0")
            if found and keyword in _NAMES:
                yield kind, keyword, start, end


def _require_whole(data: bytes) -> None:
    """Raise InputRefused where a PNG ends before its last chunk does, or has more chunks than are walked over."""
    last = deque(enumerate(_chunks(data), start=1), maxlen=1)
    number, (kind, _, end) = last[0] if last else (0, (b"", 0, len(_SIGNATURE)))
    if kind == b"IEND":
        return
    if number == _CHUNKS_LIMIT:
        raise InputRefused(f"This PNG has more than {_CHUNKS_LIMIT:,} chunks, and none of the first says what it is.")
    raise _cut_short(end + 4, len(data))


def _cut_short(end: int, size: int) -> InputRefused:
    return InputRefused(f"This PNG is cut short: a chunk ends at byte {end:,} and the file at {size:,}.")


def _text(kind: bytes, name: str, content: bytes) -> str:
    """The text of a tEXt, zTXt or iTXt chunk; `content` is what follows its name."""
    if kind == b"tEXt":
        return _latin(_bounded(name, content))
    if kind == b"zTXt":
        if content[:1] != b"\0":
            raise InputRefused(f"The text {name!r} inside this PNG is compressed in an unknown way.")
        return _latin(_inflate(name, content[1:]))
    flag, method, after = content[:1], content[1:2], content[2:]
    _language, one, after = after.partition(b"\0")
    _translated, two, after = after.partition(b"\0")
    if not one or not two or flag not in (b"\0", b"\1") or (flag == b"\1" and method != b"\0"):
        raise InputRefused(f"The text {name!r} inside this PNG is not laid out as an iTXt chunk.")
    raw = _inflate(name, after) if flag == b"\1" else _bounded(name, after)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputRefused(f"The text {name!r} inside this PNG is not UTF-8.") from error


def _latin(raw: bytes) -> str:
    """The text of a chunk that should be Latin-1: ImageMagick and others write UTF-8 there, and what reads as UTF-8 is.

    We write ASCII there alone; the pictures of 0.1.0 have Latin-1, which is UTF-8 too in few texts such as “Ã©”.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


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
