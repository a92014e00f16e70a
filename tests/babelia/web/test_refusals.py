"""babelia.web.refusals: one sentence, as text or in the API's shape."""

import json
from typing import Any

import pytest

from babelia.web.refusals import refuse
from tests.babelia.requests import request


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    await refuse(scope, send, 415, "input_refused", "So it is.", "Do this.")


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/api/page", {}), ("/api/key", {"accept": b"text/html"}), ("/key/open", {"accept": b"application/json"})],
)
def test_programs_get_the_shape_of_every_error(path: str, headers: dict[str, bytes]) -> None:
    status, given, body, read = request(refusing, path, method="POST", **headers)
    assert (status, given[b"content-type"], given[b"connection"], read) == (415, b"application/json", b"close", 0)
    assert json.loads(body) == {"code": "input_refused", "message": "So it is.", "hint": "Do this."}


def test_others_get_a_line_of_text() -> None:
    _, given, body, _ = request(refusing, "/key/open", method="POST", accept=b"text/html")
    assert (given[b"content-type"], body) == (b"text/plain; charset=utf-8", b"So it is. Do this.\n")
    assert given[b"content-length"] == str(len(body)).encode()
