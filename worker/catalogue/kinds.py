"""What kind of file something is, by how it begins: the names that sentences use. May import catalogue.png and .webp.

Nothing is read but the beginning, so that the answer says what a file claims to be, and not that it is whole.
"""

import codecs
import re
from dataclasses import dataclass
from typing import Final

from worker.catalogue.png import is_png
from worker.catalogue.webp import is_webp


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name with an article, and whether it is a picture, or something that others are put into."""

    name: str
    is_picture: bool = True
    is_parcel: bool = False


_BRANDS: Final = {
    b"avif": "an AVIF picture",
    b"avis": "an AVIF picture",
    b"heic": "a HEIC picture",
    b"heix": "a HEIC picture",
    b"heim": "a HEIC picture",
    b"heis": "a HEIC picture",
    b"hevc": "a HEIC picture",
    b"hevx": "a HEIC picture",
    b"mif1": "a HEIF picture",
    b"msf1": "a HEIF picture",
}
"""What the brand of an ISO base media file says that it is; every other is a film."""
_BEGINNINGS: Final = (
    (b"\xff\xd8\xff", Kind("a JPEG picture")),
    (b"GIF87a", Kind("a GIF picture")),
    (b"GIF89a", Kind("a GIF picture")),
    (b"\xff\x0a", Kind("a JPEG XL picture")),
    (b"\0\0\0\x0cJXL ", Kind("a JPEG XL picture")),
    (b"II*\0", Kind("a TIFF picture")),
    (b"MM\0*", Kind("a TIFF picture")),
    (b"%PDF-", Kind("a PDF document", is_picture=False, is_parcel=True)),
    (b"PK\x03\x04", Kind("a ZIP archive, or a document that is one", is_picture=False, is_parcel=True)),
    (b"PK\x05\x06", Kind("an empty ZIP archive", is_picture=False, is_parcel=True)),
    (b"\x1f\x8b", Kind("a gzip archive", is_picture=False, is_parcel=True)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", is_picture=False, is_parcel=True)),
    (b"Rar!\x1a\x07", Kind("a RAR archive", is_picture=False, is_parcel=True)),
)


_MARKUP: Final = (
    (re.compile(rb"<!doctype html|<html[\s/>]", re.IGNORECASE), Kind("a web page (HTML)", is_picture=False)),
    (re.compile(rb"<svg[\s/>]", re.IGNORECASE), Kind("an SVG drawing", is_picture=False)),
    (re.compile(rb"\A<\?xml\s"), Kind("an XML document", is_picture=False)),
)
"""What stands in the beginning of a text whose first character is `<`, which no key has."""
_BEGINNING: Final = 1024
"""Bytes in which markup says what it is, behind a declaration and comments."""


def kind_of(data: bytes) -> Kind | None:
    """The kind of a file by its first bytes; None for text without markup and for whatever is not known here."""
    if is_png(data):
        return Kind("a PNG picture")
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if is_webp(data):
        return Kind("a WebP picture")
    if data[4:8] == b"ftyp":
        brand = _BRANDS.get(data[8:12])
        return Kind("a film", is_picture=False) if brand is None else Kind(brand)
    if data[:2] == b"BM" and len(data) > 14 and int.from_bytes(data[2:6], "little") == len(data):
        return Kind("a BMP picture")
    text = data[:_BEGINNING].removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for said, kind in _MARKUP if text.startswith(b"<") and said.search(text)), None)


def is_text(data: bytes) -> bool:
    """Whether a file begins as text does: in UTF-8 or, with its mark, in UTF-16, and without control characters."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        beginning = codecs.getincrementaldecoder("utf-8")().decode(data[:_BEGINNING])
    except UnicodeDecodeError:
        return False
    return bool(beginning) and not re.search(r"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]", beginning)
