"""gallery.api.finding: a picture from a program, its copies, its search and what that found."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.gallery.finding.conftest import Library, keep, library, picture

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["library"]


def send(library: Library, data: bytes, **fields: str) -> Any:
    return library.post(
        "/api/find", {"edition": "tiny", "file": SimpleUploadedFile("a.png", data), "visitor": "me", **fields}
    )


def test_a_program_sends_a_picture_and_is_told_what_was_found(library: Library) -> None:
    sent = send(library, picture(1), depth="quick", prompt="A dog")
    told = sent.json()
    assert (sent.status_code, told["state"], told["place"], told["prompt"]) == (202, "queued", 1, "a dog")
    path = f"/api/find/{told['id']}"
    assert library.get(path).json()["found"] is None
    (claim,) = library.jobs.take("tiny")
    mark = library.tell(claim, keep("tiny/stacks/found/1", 2, by_mark=True))
    found = library.get(path).json()
    assert found["found"] == {
        "address": f"tiny/mark/{mark}",
        "mark": mark,
        "page": f"/tiny/mark/{mark}/",
        "decibels": 31.25,
        "bound": 30.5,
        "likeness": 0.98,
        "seconds": 12.0,
    }
    again = send(library, picture(1), depth="quick", prompt="a dog")
    assert (again.status_code, again.json()["found"]["mark"]) == (200, mark)
    assert mark not in library.get("/api/recent").content.decode() + library.get("/api/opened").content.decode()


def test_copies_come_first_and_it_is_searched_for_all_the_same(library: Library) -> None:
    keep("tiny/stacks/kept/1", 3)
    told = send(library, picture(3))
    assert told.status_code == 200
    assert told.json()["copies"] == [
        {"address": "tiny/stacks/kept/1", "page": "/tiny/stacks/kept/1/", "decibels": None}
    ]
    assert told.json()["state"] == "absent"
    assert library.jobs.take("tiny") == []
    assert send(library, picture(3), anyway="true").status_code == 202


def test_a_search_that_is_left_is_given_up_and_forgotten(library: Library) -> None:
    path = f"/api/find/{send(library, picture(4)).json()['id']}"
    left = library.post_json(path + "/leave", {"visitor": "me"})
    assert (left.status_code, left.json()["state"]) == (200, "absent")
    assert library.jobs.take("tiny") == []
    assert library.get(path).status_code == 404
    assert library.get(path + "/events").status_code == 404


@pytest.mark.parametrize(
    ("data", "fields", "said"),
    [
        (b"words", {}, "was expected"),
        (picture(5), {"depth": "deep"}, "depth"),
        (picture(5), {"prompt": "\u202e"}, "Character"),
        (picture(5), {"visitor": "not a name"}, "visitor"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_the_one_shape(
    library: Library, data: bytes, fields: dict[str, str], said: str
) -> None:
    answer = send(library, data, **fields)
    assert answer.status_code == 400
    assert answer.json()["code"] == "input_refused" and said in answer.json()["message"]


def test_a_full_queue_and_an_unknown_edition_are_said(library: Library, settings: Any) -> None:
    settings.SEARCH_LIMIT = 1
    assert send(library, picture(6)).status_code == 202
    assert send(library, picture(7)).status_code == 503
    assert send(library, picture(7), edition="none-such").status_code == 404
    assert library.post("/api/find", {"edition": "tiny"}).json()["message"] == "This request lacks its file."
