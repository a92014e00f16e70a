"""babelia.web.headers: what is handed on of a Content-Type. Whole requests: tests/outside/test_hostile_headers.py."""

import pytest

from babelia.web.headers import content_type


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        (b"text/plain; charset=utf-16", b"text/plain"),
        (b"text/plain;charset=zlib", b"text/plain"),
        (b"image/png", b"image/png"),
        (b"Application/JSON; charset=utf-8", b"application/json"),
        (b"application/x-www-form-urlencoded; charset=UTF-8", b"application/x-www-form-urlencoded"),
        (b"multipart/form-data; boundary=----WebKit1", b'multipart/form-data; boundary="----WebKit1"'),
        (b'multipart/form-data; charset=utf-8; boundary="a b"', b'multipart/form-data; boundary="a b"'),
        (b"multipart/form-data; boundary=" + b"x" * 71, b"multipart/form-data"),
        (b"multipart/form-data; boundary=\xe9", b"multipart/form-data"),
        (b";;;", b"application/octet-stream"),
        (b"", b"application/octet-stream"),
        (b"multipart/form-data; boundary=x; charset=zlib", None),
        (b"application/x-www-form-urlencoded; charset*=zlib", None),
    ],
)
def test_only_what_is_needed_of_a_content_type_is_handed_on(given: bytes, handed_on: bytes | None) -> None:
    assert content_type(given) == handed_on
