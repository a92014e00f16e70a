"""gallery.api.refusals: errors in their one shape, whatever is wrong."""

import json

import pytest

from tests.visitor import ask
from worker.catalogue.expansion import stacks_key


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/key"), ("DELETE", "/api/page"), ("PUT", "/api/recent")])
def test_a_method_that_a_path_does_not_take_is_refused_in_the_shape_of_every_error(
    site: str, method: str, path: str
) -> None:
    answer = ask(site, path, method)
    assert answer.status == 405
    assert json.loads(answer.body)["code"] == "method_refused"
    assert set(json.loads(answer.body)) == {"code", "message", "hint"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/page?address=shelf/borges/1", 404, "address_refused"),
        ("/api/page?address=tiny/key/borges/411", 404, "address_refused"),
        ("/api/page?address=tiny/prompt/a%00b/1", 404, "address_refused"),
        ("/api/page?address=tiny/mark/numxaqqioe4lpfc6qxh46pi5yy", 404, "address_refused"),
        ("/api/page?address=atlantis/key/borges/1", 404, "edition_refused"),
        ("/api/page", 400, "input_refused"),
        ("/api/recent?limit=many", 400, "input_refused"),
        ("/api/nothing", 404, "address_refused"),
        ("/api/page/picture?address=x", 404, "address_refused"),
        ("/api/page/events?address=x", 404, "address_refused"),
    ],
)
def test_every_error_has_one_shape(site: str, path: str, status: int, code: str) -> None:
    answer = ask(site, path)
    assert answer.status == status
    assert set(answer.json) == {"code", "message", "hint"}
    assert answer.json["code"] == code
    assert str(answer.json["message"]).endswith(".")


def test_bodies_that_cannot_be_read_have_the_same_shape(site: str) -> None:
    text = stacks_key("wrong", 1).format()
    wrong = ask(site, "/api/key?edition=tiny", "POST", (text[:9] + "!" + text[10:]).encode(), Content_Type="text/plain")
    assert (wrong.status, wrong.json["code"]) == (400, "key_refused")
    assert "Character 10 of this key" in str(wrong.json["message"])
    deep = b"[" * 100_000
    for body in (
        b"{",
        b"[]",
        deep,
        b'{"address": 1}',
        b'{"address": "key/a/1", "visitor": "a b"}',
        b'{"address": "\\ud800"}',
    ):
        answer = ask(site, "/api/page", "POST", body, Content_Type="application/json")
        assert answer.status == 400, body
        assert set(answer.json) == {"code", "message", "hint"}
    for body, lacks in ((b"", "body"), (b"{}", "address")):
        answer = ask(site, "/api/page", "POST", body, Content_Type="application/json")
        assert answer.json["message"] == f"This request lacks its {lacks}."
        assert '{"address": ' in str(answer.json["hint"])
    form = "application/x-www-form-urlencoded; charset=utf-7"
    other = ask(site, "/api/page", "POST", b"address=x", Content_Type=form)
    assert (other.status, set(other.json)) == (415, {"code", "message", "hint"})
    large = ask(site, "/api/key", "POST", b"x", Content_Type="text/plain", Content_Length="300000")
    assert (large.status, set(large.json)) == (413, {"code", "message", "hint"})
    assert ask(site, "/api/page", "DELETE").status == 405
