"""gallery.api.pages: one page for programs, asked over HTTP."""

import hashlib
from pathlib import Path

import pytest

from tests.conftest import RunningPress, run_site
from tests.visitor import ask, fresh, printed, query_of, send_json
from worker.catalogue.key import Key


def test_a_program_asks_for_a_page_follows_it_and_fetches_picture_key_and_facts(site: str) -> None:
    address = fresh("prompt")
    asked = send_json(site, "/api/page", {"address": address.format(), "visitor": "program"})
    assert asked.status == 202
    assert asked.json["state"] in ("queued", "printing")
    told = ask(site, f"/api/page/events{query_of(address)}&visitor=program")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert "event: done" in told.text
    facts = ask(site, f"/api/page{query_of(address)}").json
    picture = ask(site, f"/api/page/picture{query_of(address)}")
    key = Key.parse(ask(site, f"/api/page/key{query_of(address)}").text)
    assert facts["state"] == "kept"
    assert facts["file_digest"] == hashlib.sha256(picture.body).hexdigest()
    assert facts["mark"] == key.mark
    assert facts["links"]["picture"] == address.path()[:-1] + ".png"  # type: ignore[index]
    assert send_json(site, "/api/page", {"address": address.format()}).status == 200


def test_facts_of_a_page_start_nothing(site: str) -> None:
    address = fresh()
    assert ask(site, f"/api/page{query_of(address)}").json["state"] == "absent"
    assert ask(site, f"/api/page{query_of(address)}").json["state"] == "absent"


def test_a_picture_is_printed_when_it_is_asked_for(site: str) -> None:
    address = fresh()
    answer = ask(site, f"/api/page/picture{query_of(address)}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.body == printed(site, address).body


@pytest.mark.parametrize("part", ["picture", "key"])
def test_a_program_that_has_a_picture_or_key_is_told_so(site: str, part: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    path = f"/api/page/{part}{query_of(address)}"
    etag = ask(site, path).headers["etag"]
    assert etag == ask(site, address.path()[:-1] + {"picture": ".png", "key": ".txt"}[part]).headers["etag"]
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        unchanged = ask(site, path, If_None_Match=given)
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", etag)
    assert ask(site, path, If_None_Match='"other"').status == 200


def test_a_program_leaves_the_queue(site: str) -> None:
    for _ in range(3):  # so that the one in question waits
        send_json(site, "/api/page", {"address": fresh().format(), "visitor": "other"})
    address = fresh()
    send_json(site, "/api/page", {"address": address.format(), "visitor": "me"})
    left = send_json(site, "/api/page/leave", {"address": address.format(), "visitor": "me"})
    assert left.status == 200
    assert left.json["state"] == "absent"


def test_a_full_queue_is_called_busy_and_not_failed(press: RunningPress, redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "editions").symlink_to(press.data / "editions")
    with run_site(RunningPress(tmp_path, redis_url), BABELIA_QUEUE_LIMIT="1") as site:  # where no press takes pages
        assert send_json(site, "/api/page", {"address": fresh().format()}).status == 202
        one_too_many = fresh()
        refused = send_json(site, "/api/page", {"address": one_too_many.format()})
        assert (refused.status, refused.json["code"]) == (503, "busy")
        assert "Too many pictures wait" in str(refused.json["message"])
        assert "Ask again" in str(refused.json["hint"])
        assert ask(site, f"/api/page/picture{query_of(one_too_many)}").json["code"] == "busy"
        picture = ask(site, one_too_many.path()[:-1] + ".png")
        assert picture.status == 503 and int(picture.headers["retry-after"]) >= 5
        assert picture.text.count("\n") == 1 and "Ask again in a moment." in picture.text
