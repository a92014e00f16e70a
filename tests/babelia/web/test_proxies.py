"""babelia.web.proxies: what a request looks like behind the proxies that are believed, and behind others."""

import asyncio
from typing import Any

import pytest
from django.test import override_settings

from babelia.web.proxies import believe_proxies, path_inside


def seen(path: str = "/about/", client: str = "127.0.0.1", root_path: str = "", **headers: str) -> dict[str, Any]:
    """The scope that the site is handed."""
    found: dict[str, Any] = {}

    async def note(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope, headers=dict(scope["headers"]))

    scope = {
        "type": "http",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": root_path,
        "client": (client, 5),
        "headers": [(b"host", b"inner:8000")]
        + [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(believe_proxies(note)(scope, None, None))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({}, b"inner:8000"),
        ({"x_forwarded_host": "library.example.org"}, b"library.example.org"),
        ({"x_forwarded_host": "outer.example:81, second"}, b"outer.example:81"),
        ({"x_forwarded_host": "outer.example", "x_forwarded_port": "8080"}, b"outer.example:8080"),
        ({"x_forwarded_host": "outer.example", "x_forwarded_port": "80"}, b"outer.example"),
        ({"x_forwarded_host": "o.example", "x_forwarded_port": "443", "x_forwarded_proto": "https"}, b"o.example"),
        ({"x_forwarded_host": "[::1]", "x_forwarded_port": "81"}, b"[::1]:81"),
        ({"x_forwarded_host": "outer.example:81", "x_forwarded_port": "82"}, b"outer.example:81"),
        ({"x_forwarded_port": "x"}, b"inner:8000"),
    ],
)
def test_the_host_is_the_one_that_the_visitor_typed(headers: dict[str, str], host: bytes) -> None:
    assert seen(**headers)["headers"][b"host"] == host
    assert seen(client="192.0.2.7", **headers)["headers"][b"host"] == b"inner:8000"


def test_scheme_and_visitor_are_believed_of_proxies_alone() -> None:
    said = {"x_forwarded_proto": "https", "x_forwarded_for": "198.51.100.9"}
    assert (seen(**said)["scheme"], seen(**said)["client"][0]) == ("https", "198.51.100.9")
    foreign = seen(client="192.0.2.7", **said)
    assert (foreign["scheme"], foreign["client"][0]) == ("http", "192.0.2.7")
    with override_settings(PROXIES=["192.0.2.0/24"]):
        assert seen(client="192.0.2.7", **said)["client"][0] == "198.51.100.9"


def test_a_proxy_that_is_silent_of_the_scheme_is_taken_to_speak_https_where_the_site_is_reached_so() -> None:
    with override_settings(HTTPS=True):
        assert seen()["scheme"] == "https"
        assert seen(x_forwarded_proto="nonsense")["scheme"] == "https"
        assert seen(x_forwarded_proto="http")["scheme"] == "http"
        assert seen(client="192.0.2.7")["scheme"] == "http"
        assert seen(x_forwarded_host="outer.example", x_forwarded_port="443")["headers"][b"host"] == b"outer.example"


@pytest.mark.parametrize("https", [True, False])
def test_of_several_proxies_the_one_that_the_visitor_speaks_to_says_the_scheme(https: bool) -> None:
    with override_settings(HTTPS=https):
        assert seen(x_forwarded_proto="https, http")["scheme"] == "https"
        assert seen(x_forwarded_proto="http,https")["scheme"] == "http"


@pytest.mark.parametrize("path", ["/about/", "/library/about/"])
def test_a_path_begins_with_its_prefix_once_whoever_named_it(path: str) -> None:
    ways: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({}, {"x_forwarded_prefix": "/library/"}),
        ({"PREFIX": "/library"}, {}),
        ({"PREFIX": "/library"}, {"x_forwarded_prefix": "/other"}),
        ({}, {"root_path": "/library"}),
    ]
    for changes, arguments in ways:
        with override_settings(**changes):
            scope = seen(path, **arguments)
        assert (scope["root_path"], scope["path"], scope["raw_path"]) == (
            "/library",
            "/library/about/",
            b"/library/about/",
        )
        assert path_inside(scope) == "/about/"  # type: ignore[arg-type]


def test_the_prefix_alone_is_the_entrance_and_what_only_begins_like_it_is_inside() -> None:
    assert seen("/library", x_forwarded_prefix="/library")["path"] == "/library/"
    assert seen("/libraryan/", x_forwarded_prefix="/library")["path"] == "/library/libraryan/"


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/a//b", "/..", "/a/./b", "evil", "/a b", '/"', "/%2e", "/\\x", "/é"]
)
def test_what_is_no_path_is_no_prefix(prefix: str) -> None:
    assert seen(x_forwarded_prefix=prefix)["root_path"] == ""
    assert seen(client="192.0.2.7", x_forwarded_prefix="/library")["root_path"] == ""
