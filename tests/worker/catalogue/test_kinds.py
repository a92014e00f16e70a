"""What kind of file something is, by how it begins."""

import pytest

from worker.catalogue.kinds import is_text, kind_of


@pytest.mark.parametrize(
    ("beginning", "name", "is_picture", "is_parcel"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture", True, False),
        (b"\xff\xd8\xff\xe0", "a JPEG picture", True, False),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP picture", True, False),
        (b"\0\0\0\x18ftypavif", "an AVIF picture", True, False),
        (b"\0\0\0\x18ftypqt  ", "a film", False, False),
        (b"PK\x03\x04", "a ZIP archive, or a document that is one", False, True),
        (b"BM\x10\0\0\0" + bytes(10), "a BMP picture", True, False),
        (b"\xef\xbb\xbf\n<svg xmlns='http://www.w3.org/2000/svg'>", "an SVG drawing", False, False),
        (b"<?xml version='1.0'?>\n<!-- by hand -->\n<svg>", "an SVG drawing", False, False),
        (b"<!DOCTYPE html><title>A page", "a web page (HTML)", False, False),
        (b"<?xml version='1.0'?><feed>", "an XML document", False, False),
    ],
)
def test_a_file_is_named_by_how_it_begins(beginning: bytes, name: str, is_picture: bool, is_parcel: bool) -> None:
    kind = kind_of(beginning)
    assert kind is not None
    assert (kind.name, kind.is_picture, kind.is_parcel) == (name, is_picture, is_parcel)


@pytest.mark.parametrize("data", [b"", b"BM\x11\0\0\0" + bytes(10), b"a <svg>", b"<3", b"RIFF\x10\0\0\0WAVE"])
def test_what_is_not_known_has_no_kind(data: bytes) -> None:
    assert kind_of(data) is None


@pytest.mark.parametrize(
    ("data", "is_so"),
    [
        (b"a text\r\n\tof lines", True),
        (b"e" + ("é" * 600).encode(), True),  # the first kilobyte ends amid a character
        ("wide".encode("utf-16"), True),
        (b"", False),
        (b"RIFF\x10\0\0\0WAVE", False),
        (b"\x80\x81", False),
    ],
)
def test_a_text_is_known_by_its_characters(data: bytes, is_so: bool) -> None:
    assert is_text(data) is is_so
