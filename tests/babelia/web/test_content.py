"""babelia.web.content: one rule for HEAD, tags, parts and gzip, whatever answers."""

import gzip
import hashlib
from typing import Any

import pytest

from babelia.web.content import EVERYWHERE, LARGEST, SMALLEST, fit_answers, is_known, squeezed, takes_gzip
from tests.babelia.requests import request

BODY = b"0123456789" * 100
TAG = b'"tag"'


def answering(body: bytes = BODY, status: int = 200, **headers: bytes) -> Any:
    """An application that always gives one answer."""
    given = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": body})

    return fit_answers(answer)


PICTURE = answering(content_type=b"image/png", etag=TAG, content_disposition=b"inline")
PAGE = answering(content_type=b"text/html; charset=utf-8", vary=b"Accept")


def test_head_has_the_headers_of_get_and_no_body() -> None:
    for application in (PICTURE, PAGE):
        for headers in ({}, {"accept_encoding": b"gzip"}):
            status, of_get, body, _ = request(application, "/", **headers)
            assert request(application, "/", method="HEAD", **headers)[:3] == (status, of_get, b"")
            assert of_get[b"content-length"] == str(len(body)).encode()


@pytest.mark.parametrize(
    "tags",
    [b'"tag"', b'W/"tag"', b'"other", "tag"', b'"other" , W/"tag"', b'W/"one", W/"tag", "three"', b"*"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it_already_is_told_so(tags: bytes, method: str) -> None:
    status, headers, body, _ = request(PICTURE, "/", method=method, if_none_match=tags, range=b"bytes=0-1")
    assert (status, body, headers[b"etag"]) == (304, b"", TAG)
    assert not {b"content-length", b"content-disposition"} & set(headers)


@pytest.mark.parametrize("tags", [b'"other"', b'W/"other"', b'"tag-key"', b"tag", b"", b'"'])
def test_who_has_something_else_gets_the_whole(tags: bytes) -> None:
    status, headers, body, _ = request(PICTURE, "/", if_none_match=tags)
    assert (status, headers[b"etag"], body) == (200, TAG, BODY)
    assert headers[b"content-disposition"] == b"inline"


@pytest.mark.parametrize(("tags", "status"), [(b'"tag"', 200), (b"*", 200), (b'"other"', 412), (b'W/"tag"', 412)])
def test_who_insists_on_other_bytes_gets_none(tags: bytes, status: int) -> None:
    for application in (PICTURE, pieces(BODY, 100, content_type=b"image/png", etag=TAG)):
        answered, headers, body, _ = request(application, "/", if_match=tags)
        assert answered == status
        assert (body == BODY) is (status == 200)
        assert headers.get(b"cache-control") == (None if status == 200 else b"no-store")


def pieces(body: bytes, size: int, **headers: bytes) -> Any:
    """An application that says its length and hands its body over in pieces, as Django does."""
    given = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        length = (b"Content-Length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*given, length]})
        for place in range(0, len(body), size):
            part = {"type": "http.response.body", "body": body[place : place + size]}
            await send(part | {"more_body": place + size < len(body)})

    return fit_answers(answer)


def test_what_comes_in_pieces_is_tagged_squeezed_and_parted_as_one() -> None:
    picture = pieces(BODY, 64, content_type=b"image/png", etag=TAG)
    status, headers, body, _ = request(picture, "/", range=b"bytes=60-69")
    assert (status, body, headers[b"content-range"]) == (206, BODY[60:70], b"bytes 60-69/1000")
    assert request(picture, "/", if_none_match=TAG)[::2] == (304, b"")
    assert request(picture, "/", range=b"bytes=1000-")[::2] == (416, b"")
    page = pieces(BODY, 64, content_type=b"text/plain")
    _, headers, body, _ = request(page, "/", accept_encoding=b"gzip")
    assert gzip.decompress(body) == BODY and headers[b"content-length"] == str(len(body)).encode()
    status, of_get, body, _ = request(page, "/")
    assert body == BODY and request(page, "/", method="HEAD")[:3] == (status, of_get, b"")


@pytest.mark.parametrize(
    ("asked", "part", "where"),
    [
        (b"bytes=0-0", BODY[:1], b"bytes 0-0/1000"),
        (b"bytes=990-", BODY[990:], b"bytes 990-999/1000"),
        (b"bytes=-5", BODY[-5:], b"bytes 995-999/1000"),
        (b"bytes=-5000", BODY, b"bytes 0-999/1000"),
        (b"bytes=998-5000", BODY[998:], b"bytes 998-999/1000"),
    ],
)
def test_a_part_is_sent_to_whoever_asks_for_one(asked: bytes, part: bytes, where: bytes) -> None:
    for condition in ({}, {"if_range": TAG}):
        status, headers, body, _ = request(PICTURE, "/", range=asked, **condition)
        assert (status, body, headers[b"content-range"]) == (206, part, where)
        assert headers[b"content-length"] == str(len(part)).encode()
        assert headers[b"accept-ranges"] == b"bytes"


@pytest.mark.parametrize("asked", [b"bytes=1000-", b"bytes=-0", b"bytes=5000-6000"])
def test_a_part_that_cannot_be_is_refused_with_the_length(asked: bytes) -> None:
    status, headers, body, _ = request(PICTURE, "/", range=asked)
    assert (status, headers[b"content-range"], body) == (416, b"bytes */1000", b"")
    assert headers[b"cache-control"] == b"no-store" and b"content-disposition" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {"range": b"bytes=5-2"},
        {"range": b"bytes=0-1,5-6"},
        {"range": b"lines=0-1"},
        {"range": b"bytes=" + b"9" * 5000 + b"-"},
        {"range": b"bytes=0-1", "if_range": b'"other"'},
        {"range": b"bytes=0-1", "if_range": b'W/"tag"'},
    ],
)
def test_what_is_no_range_of_this_answer_gets_the_whole(headers: dict[str, bytes]) -> None:
    assert request(PICTURE, "/", **headers)[::2] == (200, BODY)


def test_what_may_be_kept_is_named_by_its_content_and_what_may_not_has_neither_name_nor_parts() -> None:
    _, headers, _, _ = request(PAGE, "/")
    assert headers[b"etag"] == b'"%b"' % hashlib.sha256(BODY).hexdigest()[:32].encode()
    _, squeezed_too, _, _ = request(PAGE, "/", accept_encoding=b"gzip")
    for tag in (headers[b"etag"], squeezed_too[b"etag"]):
        status, unchanged, body, _ = request(PAGE, "/", accept_encoding=b"gzip", if_none_match=tag)
        assert (status, body, unchanged[b"vary"]) == (304, b"", b"Accept, Accept-Encoding")
    for other in (
        answering(content_type=b"text/html", cache_control=b"no-store"),
        answering(content_type=b"application/json", status=404),
    ):
        status, headers, body, _ = request(other, "/", range=b"bytes=0-1", if_none_match=b"*")
        assert body == BODY and status in (200, 404)
        assert not {b"etag", b"accept-ranges"} & set(headers)
    assert b"etag" not in request(PAGE, "/", method="POST")[1]


def test_text_is_squeezed_for_whoever_takes_that_and_its_tag_is_weak() -> None:
    tagged = answering(content_type=b"application/json", etag=TAG)
    for application in (PAGE, tagged):
        _, headers, body, _ = request(application, "/", accept_encoding=b"br, gzip;q=0.5")
        assert (headers[b"content-encoding"], gzip.decompress(body)) == (b"gzip", BODY)
        assert b"Accept-Encoding" in headers[b"vary"]
        _, headers, body, _ = request(application, "/", accept_encoding=b"gzip;q=0")
        assert b"content-encoding" not in headers and body == BODY
        assert b"Accept-Encoding" in headers[b"vary"], "who asks otherwise gets something else"
    assert request(tagged, "/", accept_encoding=b"gzip")[1][b"etag"] == b'W/"tag"'
    assert request(PAGE, "/")[1][b"vary"] == b"Accept, Accept-Encoding"


def test_what_gains_nothing_is_not_squeezed() -> None:
    for application in (
        PICTURE,
        answering(bytes(SMALLEST - 1), content_type=b"text/plain"),
        answering(bytes(LARGEST + 1), content_type=b"text/plain"),
        answering(content_type=b"text/css", content_encoding=b"br"),
        answering(content_type=b"text/event-stream"),
    ):
        assert request(application, "/", accept_encoding=b"gzip")[1].get(b"content-encoding") in (None, b"br")
    assert squeezed(b"abc") is None


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("GZIP ; Q=1", True),
        ("*", True),
        ("*;q=0.000, gzip;q=0.1", True),
        ("x-gzip", True),
        ("gzip;q=0.0", False),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("br", False),
        ("gzipped", False),
        ("", False),
    ],
)
def test_accept_encoding_is_read_with_its_weights(header: str, takes: bool) -> None:
    assert takes_gzip(header) is takes


def test_weak_and_strong_tags_name_the_same_bytes_to_if_none_match() -> None:
    assert is_known('"a", W/"b"', '"b"') and is_known('"b"', 'W/"b"') and is_known("*", '"b"')
    assert not is_known('"a"', '"b"') and not is_known("", '"b"')


def test_every_answer_has_the_headers_of_the_house_and_pictures_may_be_shown_elsewhere() -> None:
    for application in (PAGE, PICTURE, answering(b"", 404)):
        assert set(EVERYWHERE) <= set(request(application, "/")[1])
    assert request(PAGE, "/")[1][b"cross-origin-resource-policy"] == b"same-origin"
    assert request(PICTURE, "/")[1][b"cross-origin-resource-policy"] == b"cross-origin"
    assert b"camera=()" in request(PAGE, "/")[1][b"permissions-policy"]
    own = answering(content_type=b"text/plain", permissions_policy=b"camera=(self)")
    assert request(own, "/")[1][b"permissions-policy"] == b"camera=(self)"


def test_a_stream_passes_as_it_comes() -> None:
    async def stream(scope: Any, receive: Any, send: Any) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
        await send(head)
        for part in (b"a" * 600, b"b" * 600):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    _, headers, body, _ = request(fit_answers(stream), "/", accept_encoding=b"gzip")
    assert body == b"a" * 600 + b"b" * 600
    assert b"content-length" not in headers and b"content-encoding" not in headers
