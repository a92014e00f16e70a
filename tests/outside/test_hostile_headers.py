"""Headers that no browser sends, to every route there is: whatever they hold, no answer is a 500."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import psutil
import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from babelia.web.headers import HEAD_LIMIT
from tests.visitor import ask, fresh, printed
from worker.catalogue.address import Address

FORM = b'--x\r\nContent-Disposition: form-data; name="key"%s\r\n\r\nAAA\r\n--x--\r\n'
WEIRD_PARTS = [
    b"; filename*=zlib''%41",
    b"; filename*=undefined''%41",
    b"; filename*=nonsense''%ff",
    b'; filename="a"\r\nContent-Type: text/plain; charset=zlib',
    b'; filename="a"\r\nContent-Transfer-Encoding: base64',
    b"; name*0*=zlib''a; name*1=b",
]
CODECS = ("zlib", "undefined", "utf-7", "utf-16", "idna", "rot13", "base64", "unicode_escape", "nonsense", "a" * 3000)
KINDS = ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain")
CODED = [("Content-Type", f"{kind}; charset={codec}") for codec in CODECS for kind in KINDS]
HEADERS: list[tuple[str, str]] = [
    *CODED,
    ("Last-Event-ID", "1" * 4301),
    ("Last-Event-ID", "-1"),
    ("Last-Event-ID", "٣"),
    ("Content-Type", "text/plain; x*=nonsense''%41"),
    ("Content-Type", "text/plain; x*=undefined''%41"),
    ("Content-Type", "multipart/form-data"),
    ("Content-Type", "multipart/form-data; boundary=" + "x" * 300),
    ("Content-Type", "multipart/form-data; boundary=é"),
    ("Content-Type", ";;;=;"),
    ("Content-Type", "é/ü"),
    ("Accept", "x" * 5000),
    ("Accept", ";;q=,*/*;q=nonsense"),
    ("Accept-Encoding", "gzip;q=" + "9" * 5000),
    ("If-None-Match", '"' * 999),
    ("If-None-Match", 'W/"a", *, "'),
    ("If-Match", "nonsense"),
    ("If-Modified-Since", "Mon, 99 Feb 99999 99:99:99 GMT"),
    ("If-Modified-Since", "9" * 5000),
    ("If-Unmodified-Since", "Thu, 01 Jan 0000 00:00:00 GMT"),
    ("Range", "bytes=" + "9" * 5000 + "-"),
    ("Range", "bytes=0-0," * 1000),
    ("Cookie", "csrftoken=" + "a" * 32),
    ("Cookie", "=;=;" * 1000),
    ("Cookie", "é=ü"),
    ("Origin", "http://["),
    ("Referer", "http://["),
    ("X-Forwarded-For", "nonsense, ::ffff:1.2.3.4, [" + "9" * 5000),
    ("X-Forwarded-Proto", "nonsense"),
    ("Sec-Fetch-Site", "x" * 5000),
    ("Sec-Purpose", "é"),
    ("User-Agent", "é" * 5000),
    ("Expect", "nonsense"),
    ("Content-Encoding", "gzip"),
    ("Transfer-Encoding", "nonsense"),
    ("Content-Length", "9" * 4301),
    ("Content-Length", "-1"),
    ("Content-Length", "٣"),
    ("X-" + "x" * 5000, "x"),
    ("Host", "[::1"),
    ("Host", "é"),
    ("Host", "a" * 5000),
    ("Host", "127.0.0.1:" + "9" * 5000),
    ("Host", ""),
]


OF_THE_DESK = {"", "login/", "gallery/report/", "gallery/report/1/hide/", "gallery/report/1/thumbnail.webp", "1/"}
"""Of Django's admin, what is ours, and one route of each kind of its own."""


def routes(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """Every route of the site and of the API, as Django's resolver has them."""
    for found in resolver.url_patterns:
        text = before + str(found.pattern)
        if isinstance(found, URLPattern):
            yield text
        else:
            yield from routes(found, text)


def paths(kept: Address) -> list[str]:
    """A path for every route: of a page that is kept, so that nothing has to be printed or waited for."""
    found = []
    for route in routes(get_resolver()):
        path = re.sub(r"<address:[a-z]+>", kept.path()[1:-1], route).replace("<edition:edition>", kept.edition)
        path = path.replace("<room:edition>", kept.edition)
        path = path.replace("<slug:file>", "a-dog").replace("<volume:volume>", f"{kept.edition}/key/borges")
        path = re.sub(r"<(?:(?:int|path|str):)?[a-z_]+>|\(\?P<[a-z_]+>[^()]*\)", "1", path)
        path = re.sub(r"\^|\$$", "", path)
        assert not re.search(r"[<>^$]", path), f"this test cannot fill in the route {route}"
        if path.startswith("api/page"):
            path += "?address=" + quote(kept.format())
        if not path.startswith(settings.KEEPER_PATH) or path.removeprefix(settings.KEEPER_PATH) in OF_THE_DESK:
            found.append("/" + path)
    return found


def status_of(site: str, request: bytes) -> int:
    """The status of the answer to a request that is sent byte for byte; 0 where the connection is closed at once."""
    where = urlsplit(site)
    with socket.create_connection((where.hostname, where.port), timeout=40) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        try:
            line = connection.recv(100)
        except ConnectionError:
            line = b""
    return int(line.split(b" ")[1]) if line else 0


def request(method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> bytes:
    own = [("Host", "127.0.0.1"), ("Connection", "close"), ("Content-Length", str(len(body)))]
    named = {name for name, _ in headers}
    sent = [*(header for header in own if header[0] not in named), *headers]
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent), "", ""]
    return "\r\n".join(lines).encode() + body


METHODS = ("GET", "HEAD", "POST")
EVERYTHING = "FUZZ_CASES" in os.environ
"""Whether every route gets every header by every method, as in `make chaos`; else by one method in turn, and each codec
in one kind of content in turn."""


def is_its_turn(place: int, number: int, method: str) -> bool:
    """Whether the route of this place gets the header of this number by a method."""
    if EVERYTHING:
        return True
    codec, kind = divmod(number, len(KINDS))
    if number < len(CODED) and (place + codec) % len(KINDS) != kind:
        return False
    turn = place // len(KINDS) + codec if number < len(CODED) else place + number
    return METHODS[turn % len(METHODS)] == method


@pytest.fixture(scope="module")
def kept(site: str) -> Address:
    address = fresh("prompt")
    printed(site, address)
    return address


@pytest.mark.parametrize("method", METHODS)
def test_no_header_breaks_any_route(method: str, site: str, kept: Address) -> None:
    walked = paths(kept)
    assert len(walked) > 35, "the walk sees the routes of the site and of the API"
    broken = []
    for place, path in enumerate(walked):
        for number, header in enumerate(HEADERS):
            if not is_its_turn(place, number, method):
                continue
            body = FORM % b"" if method == "POST" else b""
            status = status_of(site, request(method, path, [header], body))
            if status >= 500:
                broken.append((path, header[0], header[1][:60], status))
    assert not broken


def test_no_part_of_a_form_breaks_any_route(site: str, kept: Address) -> None:
    kind = ("Content-Type", "multipart/form-data; boundary=x")
    cookie = ("Cookie", "csrftoken=" + "a" * 32)
    broken = [
        (path, part)
        for path in paths(kept)
        for part in WEIRD_PARTS
        if status_of(site, request("POST", path, [kind, cookie], FORM % part)) >= 500
    ]
    assert not broken


@pytest.mark.parametrize("path", ["/a://[/1/", "/tiny/prompt/http://[/1", "/api/page?address=://["])
def test_brackets_that_do_not_match_break_no_address(path: str, site: str) -> None:
    assert status_of(site, request("GET", path, [])) in (301, 400, 404)


@pytest.mark.parametrize("shape", ["one value", "many headers", "one name", "the path", "after the body"])
def test_headers_without_end_are_refused_before_they_are_kept(shape: str, site: str) -> None:
    """100 MB are offered; what the site takes of them is a little more than its limit."""
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    begin, piece = {
        "one value": (head + b"X-Long: ", b"a" * 65_536),
        "many headers": (head, b"X-Many: a\r\n" * 6000),
        "one name": (head, b"a" * 65_536),
        "the path": (b"GET /", b"a" * 65_536),
        "after the body": (
            b"POST /key/open HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ",
            b"a" * 65_536,
        ),
    }[shape]
    where = urlsplit(site)
    port = where.port
    process = next(
        p
        for p in psutil.Process().children(recursive=True)
        if any(c.status == "LISTEN" and c.laddr.port == port for c in p.net_connections())
    )
    before = process.memory_info().rss
    sent = 0
    with socket.create_connection((where.hostname, port), timeout=40) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(begin)
            while sent < 100_000_000:
                connection.sendall(piece)
                sent += len(piece)
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(100)
            assert answer == b"" or b" 431 " in answer or b" 400 " in answer or b" 200 " in answer
    assert sent < 100_000_000, "the site took it all"
    assert process.memory_info().rss - before < 20_000_000
    assert ask(site, "/").status == 200


def test_a_long_head_in_one_piece_is_refused_and_a_usual_one_is_not(site: str) -> None:
    assert status_of(site, request("GET", "/", [("X-Long", "a" * (HEAD_LIMIT + 1))])) == 431
    assert status_of(site, request("GET", "/", [("X-Long", "a" * (HEAD_LIMIT - 1000))])) == 200
