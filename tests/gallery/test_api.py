"""gallery.api: the same library for programs, asked over HTTP."""

import hashlib
import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import RunningPress, run_site, wait_until
from tests.visitor import Answer, ask, fresh, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.catalogue.limits import PICTURE_FILE_BYTES


def send(site: str, path: str, value: Any) -> Answer:
    return ask(site, path, "POST", json.dumps(value).encode(), Content_Type="application/json")


def of(address: Address) -> str:
    return f"?address={quote(address.format(), safe='')}"


def test_a_program_asks_for_a_page_follows_it_and_fetches_picture_key_and_facts(site: str) -> None:
    address = fresh("prompt")
    asked = send(site, "/api/page", {"address": address.format(), "visitor": "program"})
    assert asked.status == 202
    assert asked.json["state"] in ("queued", "printing")
    told = ask(site, f"/api/page/events{of(address)}&visitor=program")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert "event: done" in told.text
    facts = ask(site, f"/api/page{of(address)}").json
    picture = ask(site, f"/api/page/picture{of(address)}")
    key = Key.parse(ask(site, f"/api/page/key{of(address)}").text)
    assert facts["state"] == "kept"
    assert facts["file_digest"] == hashlib.sha256(picture.body).hexdigest()
    assert facts["mark"] == key.mark
    assert facts["links"]["picture"] == address.path()[:-1] + ".png"  # type: ignore[index]
    assert send(site, "/api/page", {"address": address.format()}).status == 200


def test_facts_of_a_page_start_nothing(site: str) -> None:
    address = fresh()
    assert ask(site, f"/api/page{of(address)}").json["state"] == "absent"
    assert ask(site, f"/api/page{of(address)}").json["state"] == "absent"


def test_a_picture_is_printed_when_it_is_asked_for(site: str) -> None:
    address = fresh()
    answer = ask(site, f"/api/page/picture{of(address)}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.body == printed(site, address).body


@pytest.mark.parametrize("part", ["picture", "key"])
def test_a_program_that_has_a_picture_or_key_is_told_so(site: str, part: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    path = f"/api/page/{part}{of(address)}"
    etag = ask(site, path).headers["etag"]
    assert etag == ask(site, address.path()[:-1] + {"picture": ".png", "key": ".txt"}[part]).headers["etag"]
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        unchanged = ask(site, path, If_None_Match=given)
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", etag)
    assert ask(site, path, If_None_Match='"other"').status == 200


def test_a_program_leaves_the_queue(site: str) -> None:
    for _ in range(3):  # so that the one in question waits
        send(site, "/api/page", {"address": fresh().format(), "visitor": "other"})
    address = fresh()
    send(site, "/api/page", {"address": address.format(), "visitor": "me"})
    left = send(site, "/api/page/leave", {"address": address.format(), "visitor": "me"})
    assert left.status == 200
    assert left.json["state"] == "absent"


def test_a_key_sent_as_text_is_held_and_its_page_named(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    answer = ask(site, "/api/key?edition=tiny", "POST", key.format().encode(), Content_Type="text/plain")
    assert answer.status == 201
    assert answer.json == {
        "address": f"tiny/mark/{key.mark}",
        "mark": key.mark,
        "page": f"/tiny/mark/{key.mark}/",
    }
    assert ask(site, f"/api/page/key?address=tiny/mark/{key.mark}").text == key.format()


def test_a_picture_sent_to_the_api_is_found_again(site: str) -> None:
    address = fresh("prompt")
    picture = printed(site, address).body
    mark = ask(site, f"/api/page{of(address)}").json["mark"]
    answer = ask(site, "/api/key", "POST", picture, Content_Type="image/png")
    assert (answer.status, answer.json["mark"]) == (201, mark)


def test_a_picture_may_have_sixteen_megabytes(site: str) -> None:
    address = fresh("prompt")
    picture = printed(site, address).body
    mark = ask(site, f"/api/page{of(address)}").json["mark"]
    large = picture + bytes(PICTURE_FILE_BYTES - len(picture))
    answer = ask(site, "/api/key", "POST", large, Content_Type="image/png")
    assert (answer.status, answer.json["mark"]) == (201, mark)
    refused = ask(site, "/api/key", "POST", large + b"\0", Content_Type="image/png")
    assert refused.status == 400 and "may have 16,777,216 bytes" in str(refused.json["message"])


def test_editions_and_recent_pages_are_listed(site: str) -> None:
    editions = {each["slug"]: each for each in json.loads(ask(site, "/api/editions").body)}
    assert editions["tiny"]["installed"] is True
    assert editions["tiny"]["default_steps"] == 4
    address = fresh("prompt")
    printed(site, address)  # by its .png alone: nobody opens its page

    def listed() -> bool:
        recent = json.loads(ask(site, "/api/recent?limit=5").body)
        return len(recent) <= 5 and any(each["address"] == address.format() for each in recent)

    wait_until(listed, 10, "the page is listed")


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


def test_a_full_queue_is_called_busy_and_not_failed(press: RunningPress, redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "editions").symlink_to(press.data / "editions")
    with run_site(RunningPress(tmp_path, redis_url), BABELIA_QUEUE_LIMIT="1") as site:  # where no press takes pages
        assert send(site, "/api/page", {"address": fresh().format()}).status == 202
        one_too_many = fresh()
        refused = send(site, "/api/page", {"address": one_too_many.format()})
        assert (refused.status, refused.json["code"]) == (503, "busy")
        assert "So many pages wait" in str(refused.json["message"])
        assert "Ask again" in str(refused.json["hint"])
        assert ask(site, f"/api/page/picture{of(one_too_many)}").json["code"] == "busy"
        picture = ask(site, one_too_many.path()[:-1] + ".png")
        assert picture.status == 503 and int(picture.headers["retry-after"]) >= 5
        assert picture.text.count("\n") == 1 and "Ask again in a moment." in picture.text


def test_the_description_names_every_path_and_the_docs_need_no_other_site(site: str) -> None:
    described = ask(site, "/api/openapi.json").json
    assert set(described["paths"]) == {  # type: ignore[call-overload]
        "/api/page",
        "/api/page/leave",
        "/api/page/events",
        "/api/page/picture",
        "/api/page/key",
        "/api/key",
        "/api/editions",
        "/api/recent",
    }
    docs = ask(site, "/api/docs").text
    assert "https://" not in docs
    assert "/static/ninja/swagger-ui-bundle.js" in docs
