"""gallery.bounds: how many keys one visitor brings a minute, and how often a page is tried again."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client, RequestFactory

from gallery import bounds
from gallery.bounds import require_patience, visitor_address, visitor_name
from worker.catalogue.expansion import stacks_key
from worker.errors import TooMany

pytestmark = pytest.mark.django_db(transaction=True)  # it is asked what is hidden
TEXT = stacks_key("borges", 1).format()


@pytest.fixture(autouse=True)
def library(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR, settings.VISITOR_LIMIT, settings.DISK_RESERVE = tmp_path, 2, 0
    bounds._counts.clear()


def test_a_visitor_is_told_when_to_come_back_and_another_is_not_touched() -> None:
    request, other = (RequestFactory().get("/", REMOTE_ADDR=address) for address in ("192.0.2.1", "192.0.2.2"))
    require_patience(request)
    require_patience(request)
    for _ in range(2):
        with pytest.raises(TooMany, match="2 times a minute") as refused:
            require_patience(request)
        assert refused.value.retry_after is not None
        assert 1 <= refused.value.retry_after <= 60
    require_patience(other)


def test_no_limit_is_no_limit(settings: Any) -> None:
    settings.VISITOR_LIMIT = 0
    for _ in range(100):
        require_patience(RequestFactory().get("/"))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "nonsense" * 1000, True),
    ],
)
def test_a_visitor_is_an_address_or_the_network_of_one(first: str, second: str, same: bool) -> None:
    assert (visitor_address(first) == visitor_address(second)) is same


def test_the_name_of_a_visitor_is_a_hash_under_the_key_of_this_library(settings: Any) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    name = visitor_name(request)
    assert name == visitor_name(request)
    settings.SECRET_KEY = "another" * 10
    assert visitor_name(request) != name


def send(kind: str) -> Any:
    client = Client()
    if kind == "the API":
        return client.post("/api/key", TEXT, content_type="text/plain")
    if kind == "a script":
        return client.post("/key/open", {"key": TEXT}, headers={"accept": "application/json"})
    return client.post("/key/open", {"key": TEXT})


@pytest.mark.parametrize("kind", ["the API", "a script", "a form"])
def test_more_keys_than_that_are_answered_429_with_a_sentence(kind: str) -> None:
    assert [send(kind).status_code for _ in range(2)] == [
        201 if kind == "the API" else 200 if kind == "a script" else 303
    ] * 2
    answer = send(kind)
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert "2 times a minute" in answer.content.decode()


def test_pages_tried_again_and_keys_beside_a_key_are_counted_too() -> None:
    client = Client()
    bounds._counts[visitor_address("127.0.0.1")] = bounds._Count(bounds.time.monotonic(), 2)
    mark = stacks_key("borges", 1).mark
    for path in ("/pocket-1/key/borges/1/again", f"/pocket-1/mark/{mark}/next-key"):
        assert client.post(path).status_code == 429
    ask = {"address": "key/borges/1", "again": True}
    assert client.post("/api/page", ask, content_type="application/json").status_code == 429


@pytest.mark.parametrize("kind", ["the API", "a script", "a form"])
def test_a_key_does_not_eat_into_what_is_to_stay_free_of_the_disk(kind: str, settings: Any, tmp_path: Path) -> None:
    settings.DISK_RESERVE = 1 << 60
    answer = send(kind)
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert "GB free" in answer.content.decode()
    assert not list(tmp_path.rglob("*.key"))
