"""gallery.answers: from refusals and bytes to HTTP, without a server."""

import re
from http import HTTPStatus

import pytest
from django.test import RequestFactory

from gallery.answers import (
    PageHidden,
    TooLarge,
    error_shape,
    refusal,
    require_size,
    retry_after_of,
    send_kept,
    status_of,
)
from worker.catalogue.address import Address
from worker.catalogue.limits import PICTURE_FILE_BYTES
from worker.errors import AddressRefused, InputRefused, KeyRefused, PrintFailed, StoreUnavailable


def test_kept_bytes_are_named_and_fresh_for_a_day() -> None:
    answer = send_kept(b"bytes", "image/png", "tag", "page.png")
    assert (answer.status_code, answer.content) == (200, b"bytes")
    assert answer["ETag"] == '"tag"'
    assert answer["Cache-Control"] == "public, max-age=86400"
    assert answer["Content-Disposition"] == 'inline; filename="page.png"'


def test_each_refusal_has_its_status_and_a_503_says_when_to_come_back() -> None:
    errors = [KeyRefused("x"), AddressRefused("x"), PageHidden("x"), TooLarge("x"), StoreUnavailable("x")]
    assert [status_of(error) for error in errors] == [400, 404, HTTPStatus.GONE, 413, 503]
    assert [retry_after_of(error, status_of(error)) for error in errors] == [None, None, None, None, 5]
    late = PrintFailed("x")
    late.retry_after = 40
    assert retry_after_of(late, 503) == 40
    assert refusal(RequestFactory().get("/"), late, ".txt")["Retry-After"] == "40"


def test_a_refusal_is_never_kept_and_says_the_same_in_json_and_text() -> None:
    request, error = RequestFactory().get("/"), AddressRefused("There is nothing.", hint="Look elsewhere.")
    text, data = refusal(request, error, ".png"), refusal(request, error, ".json")
    assert text.content == b"There is nothing. Look elsewhere.\n"
    assert data.status_code == text.status_code == 404
    assert {text["Cache-Control"], data["Cache-Control"]} == {"no-store"}
    assert error_shape(error) == {
        "code": "address_refused",
        "message": "There is nothing.",
        "hint": "Look elsewhere.",
    }


@pytest.mark.parametrize(
    ("status", "heading"),
    [
        (404, "Page not found"),
        (410, "This picture was taken down"),
        (503, "New pictures cannot be drawn at the moment"),
        (405, "This cannot be opened"),
    ],
)
def test_a_refusal_as_a_page_has_a_heading(status: int, heading: str) -> None:
    answer = refusal(RequestFactory().get("/"), InputRefused("So it is."), status=status)
    text = answer.content.decode()
    assert f"<h1>{heading}</h1>" in text
    assert answer.status_code == status
    ways = re.findall(r'<a class="button[^"]*" href="([^"]+)"', text.split("<main")[1])
    assert len(set(ways)) >= 2, "ways on"
    assert ("/pocket-1/opened/" in ways) == (status == 503), "what is kept, where nothing can be drawn"


def test_a_page_that_was_taken_down_leads_to_its_neighbours() -> None:
    for page, ways in ((1, ["2"]), (7, ["6", "8"]), (410, ["409"])):
        address = Address("pocket-1", "prompt", "a dog", page)
        text = refusal(RequestFactory().get("/"), PageHidden(), address=address).content.decode()
        assert re.findall(r'href="/pocket-1/prompt/a%20dog/(\d+)/"', text) == ways
    mark = Address("pocket-1", "mark", "numxaqqioe4lpfc6qxh46pi5yy", None)
    text = refusal(RequestFactory().get("/"), PageHidden(), address=mark).content.decode()
    assert not re.findall(r'href="/pocket-1/mark/[^"]*"', text), "a mark has no neighbours"


def test_what_is_too_large_is_told_the_limits() -> None:
    assert TooLarge.hint == (
        "A key has 189,436 characters and may come with 256 kB of text; a picture file may have 16 MB."
    )
    require_size(PICTURE_FILE_BYTES)
    with pytest.raises(InputRefused, match="may have 16,777,216 bytes; this one has 16,777,217"):
        require_size(PICTURE_FILE_BYTES + 1)
