"""babelia.web.reading: who may read from another site's page, of a public library and of one at home."""

import pytest

from babelia.web.reading import is_at_home, may_read, permitted, told

PUBLIC = ("library.example.org", "example.org.", "93.184.215.14", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]")
HOME = (
    *("localhost", "127.0.0.1", "127.1.2.3", "[::1]", "10.0.0.8", "192.168.1.7", "172.16.0.1", "169.254.1.1"),
    *("[fe80::1%eth0]", "[fd00::1]", "100.64.0.1", "shelf", "shelf.local", "Shelf.LOCAL.", "box.lan", "", "0.0.0.0"),
)


@pytest.mark.parametrize("host", HOME)
def test_a_host_at_home_is_known_by_its_name(host: str) -> None:
    assert is_at_home(host)


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_library_may_be_read_by_everybody(host: str) -> None:
    assert not is_at_home(host)
    for origin in (None, "https://elsewhere.example", "null", "http://["):
        headers = told(host, origin)
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in headers and "Vary" not in headers


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        ("http://localhost:5173", True),
        ("http://192.168.1.9", True),
        ("http://[::1]:8000", True),
        ("https://elsewhere.example", False),
        ("http://localhost.elsewhere.example", False),
        ("http://93.184.215.14", False),
        ("null", False),
        ("http://[", False),
        ("", False),
        (None, False),
    ],
)
def test_a_library_at_home_is_read_by_pages_at_home_alone(origin: str | None, may: bool) -> None:
    assert may_read("127.0.0.1", origin) == (origin if may else None)
    for headers in (told("127.0.0.1", origin), permitted("127.0.0.1", origin)):
        assert headers["Vary"] == "Origin", "a cache does not hand one's answer to another"
        assert ("Access-Control-Allow-Origin" in headers) is may


def test_who_asks_beforehand_is_told_of_reading_alone() -> None:
    headers = permitted("library.example.org", "https://elsewhere.example")
    assert headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert "If-None-Match" in headers["Access-Control-Allow-Headers"]
