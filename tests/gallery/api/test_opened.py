"""gallery.api.opened: the list of what was opened, read on by a cursor, and the search in it. A real database."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient

from gallery import ledger
from gallery.api import opened
from gallery.models import Page
from gallery.snapshot import Snapshot
from worker.catalogue.address import Address
from worker.store import hidden

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[None]:
    """A data folder of its own, and a ledger that reads anew what is hidden."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(ledger, "_hidden", Snapshot(ledger._read_hidden, None, fresh=0, stale=0))
    yield


def mark_of(address: Address) -> str:
    data = hashlib.sha256(address.format().encode()).digest()[:16]
    return base64.b32encode(data).decode().lower().rstrip("=")


def opened_here(*texts: str, **columns: Any) -> None:
    """Pages as the ledger writes them, one after the other."""
    for text in texts:
        address = Address.parse(text)
        Page.objects.create(
            digest=address.digest,
            address=address.format(),
            edition=address.edition,
            kind=address.kind,
            name=address.name,
            **{"mark": mark_of(address), "steps": 20, "printed_at": datetime.now(UTC)} | columns,
        )


def get(path: str) -> dict[str, Any]:
    answer = async_to_sync(AsyncClient().get)(path)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def names(path: str) -> list[str]:
    """The addresses of the whole list, part by part, without the edition."""
    found: list[str] = []
    following: str | None = path
    while following is not None:
        part = get(following)
        found += [page["address"].removeprefix("pocket-1/") for page in part["pages"]]
        following = part["next"]
    return found


def test_the_newest_comes_first_and_each_part_leads_on() -> None:
    opened_here(*(f"prompt/dog {number}/1" for number in range(7)))
    first = get("/api/opened?limit=3")
    assert [page["address"] for page in first["pages"]] == [f"pocket-1/prompt/dog {n}/1" for n in (6, 5, 4)]
    assert first["next"].startswith("/api/opened?limit=3&cursor=")
    assert names("/api/opened?limit=3") == [f"prompt/dog {n}/1" for n in range(6, -1, -1)]
    assert get("/api/opened?limit=7")["next"] is None, "nothing is left"


def test_what_is_opened_or_printed_meanwhile_moves_no_row() -> None:
    opened_here(*(f"prompt/dog {number}/1" for number in range(6)))
    first = get("/api/opened?limit=2")
    opened_here("prompt/a newer one/1", "prompt/another/1")
    Page.objects.filter(name="dog 0").update(printed_at=datetime.now(UTC))  # printed again
    Page.objects.filter(name="dog 3").delete()
    second = get(first["next"])
    assert [page["address"][-7:] for page in second["pages"]] == ["dog 2/1", "dog 1/1"]
    assert [page["address"][-7:] for page in get(second["next"])["pages"]] == ["dog 0/1"]


def test_what_is_hidden_flagged_or_kept_off_the_lists_is_in_no_part(tmp_path: Path) -> None:
    opened_here("prompt/first dog/1", "key/dogs/3")
    opened_here("prompt/hidden dog/1", hidden=True)
    opened_here("prompt/flagged dog/1", flagged=True)
    opened_here("prompt/quiet dog/1", listed=False)
    opened_here("prompt/dog hidden by a file/1", "prompt/dog hidden by its mark/1", "stacks/dog/2")
    by_file = Address.parse("prompt/dog hidden by a file/1")
    hidden.hide(tmp_path, {hidden.name_of_address(by_file)})
    hidden.hide(tmp_path, {hidden.name_of_key(mark_of(Address.parse("prompt/dog hidden by its mark/1")), None)})
    shown = ["stacks/dog/2", "key/dogs/3", "prompt/first dog/1"]
    for limit in (1, 2, 3, 4, 100):
        assert names(f"/api/opened?limit={limit}") == shown, limit
        assert names(f"/api/search?words=dog&limit={limit}") == shown, limit


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("words=dog", ["key/Dogs-at-sea/7", "prompt/a dog on a beach/2", "prompt/a dog/1"]),
        ("words=BEACH+dog", ["prompt/a dog on a beach/2"]),
        ("words=dog&kind=key", ["key/Dogs-at-sea/7"]),
        ("words=dog&edition=sd-1.5", []),
        ("words=%25", ["prompt/100 %25/1"]),
        ("words=_", []),
        ("words=a_dog", []),
        ("words=%5C", []),
        ("words=%27+OR+1=1", []),
        ("words=E%CC%81TOILE", ["prompt/%C3%A9toile/1"]),  # in two characters, and in capitals
        ("words=+%09", ["prompt/%C3%A9toile/1", "prompt/100 %25/1", "key/Dogs-at-sea/7"]),
    ],
)
def test_a_search_finds_words_and_takes_no_sign_for_another(query: str, found: list[str]) -> None:
    opened_here("prompt/a dog/1", "prompt/a dog on a beach/2", "key/Dogs-at-sea/7", "prompt/100 %/1", "prompt/étoile/1")
    expected = [name.replace("%25", "%").replace("%C3%A9", "é") for name in found]
    assert names(f"/api/search?{query}")[: len(expected) or None] == expected


def test_a_search_looks_at_so_many_rows_and_leads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "BATCH", 2)
    monkeypatch.setattr(opened, "LOOKED_AT", 4)
    opened_here("prompt/a dog/1", *(f"prompt/cat {number}/1" for number in range(9)))
    part = get("/api/search?words=dog")
    assert part["pages"] == [] and part["next"] is not None
    assert names("/api/search?words=dog") == ["prompt/a dog/1"]


def test_a_page_of_an_older_library_is_opened_by_its_mark() -> None:
    opened_here("prompt/a dog/1")
    Page.objects.update(address="pocket-1/prompt/A Dog/1", name="A Dog")
    (page,) = get("/api/search?words=dog")["pages"]
    assert page["address"] == f"pocket-1/mark/{mark_of(Address.parse('prompt/a dog/1'))}"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("opened?cursor=-1", 400),
        ("opened?cursor=fffffffffffffff", 200),
        ("opened?cursor=ffffffffffffffff", 400),
        ("opened?limit=101", 400),
        ("opened?limit=0", 400),
        ("opened?kind=shelf", 400),
        ("opened?edition=atlantis", 404),
        ("search", 400),
        ("search?words=", 400),
        (f"search?words={'a' * 201}", 400),
    ],
)
def test_what_no_list_can_be_asked_for_is_refused(query: str, status: int) -> None:
    answer = async_to_sync(AsyncClient().get)(f"/api/{query}")
    assert answer.status_code == status
    if status != 200:
        assert set(answer.json()) == {"code", "message", "hint"}


def test_a_database_that_does_not_answer_is_said() -> None:
    with connection.schema_editor() as editor:
        editor.delete_model(Page)
    try:
        answer = async_to_sync(AsyncClient().get)("/api/opened")
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Page)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer["Retry-After"]) > 0
