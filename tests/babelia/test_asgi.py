"""babelia.asgi: bodies counted while they arrive, and the sign of life."""

from typing import Any

import pytest

from babelia import asgi
from tests.babelia.requests import request

FORM = b"application/x-www-form-urlencoded"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body and says how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.mark.parametrize(
    ("kind", "limit"), [(FORM, asgi.TEXT_LIMIT), (b"multipart/form-data; boundary=x", asgi.FILE_LIMIT)]
)
def test_a_body_is_refused_as_soon_as_it_is_too_large(kind: bytes, limit: int) -> None:
    limited = asgi.limit_bodies(echo)
    part = limit // 4
    fits = [bytes(part)] * 4
    assert request(limited, "/", fits, "POST", content_type=kind)[::2] == (200, str(part * 4).encode())
    status, headers, body, read = request(limited, "/", fits + [b"12345678"] * 9, "POST", content_type=kind)
    assert status == 413
    assert f"larger than {limit:,} bytes" in body.decode()
    assert headers[b"connection"] == b"close"
    assert read <= 6  # the rest was never asked for


def test_a_body_that_admits_to_be_too_large_is_not_read_at_all() -> None:
    claimed = str(asgi.TEXT_LIMIT + 1).encode()
    status, _, _, read = request(
        asgi.limit_bodies(echo), "/", [b"x"], "POST", content_type=FORM, content_length=claimed
    )
    assert (status, read) == (413, 0)


def test_a_process_says_that_it_is_alive_whatever_the_host() -> None:
    status, headers, body, _ = request(asgi.application, "/-/alive", host=b"anything.example")
    assert (status, body) == (200, b"alive\n")
    assert request(asgi.application, "/-/alive", method="HEAD")[:3] == (200, headers, b"")
