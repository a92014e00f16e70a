"""gallery.pages.events: what a follower is told, without HTTP."""

import json

import pytest
from django.test import RequestFactory

from gallery.pages.events import event_text, known_version
from worker.jobs.progress import Progress


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("7", 7),
        ("9" * 20, int("9" * 20)),
        ("9" * 21, None),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("٧", None),
        ("7\n", None),
    ],
)
def test_a_version_that_a_follower_names_has_at_most_twenty_digits(given: str, known: int | None) -> None:
    request = RequestFactory().get("/", HTTP_LAST_EVENT_ID=given)
    assert known_version(request) == known


def test_a_follower_who_names_no_version_knows_none() -> None:
    assert known_version(RequestFactory().get("/")) is None


def test_an_event_is_one_line_of_json_with_its_version_and_kind() -> None:
    lines = event_text(Progress("queued", version=12, place=3), "2 pictures before yours.", b"webp").split("\n")
    assert lines[:2] == ["id: 12", "event: progress"]
    told = json.loads(lines[2].removeprefix("data: "))
    assert told == {
        "state": "queued",
        "sentence": "2 pictures before yours.",
        "place": 3,
        "step": 0,
        "of": 0,
        "seconds_left": None,
        "preview": "data:image/webp;base64,d2VicA==",
    }
    assert lines[3:] == ["", ""]
    assert "event: done" in event_text(Progress("kept"), "The picture is drawn.", None)
