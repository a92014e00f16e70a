"""gallery.pages.walls: the page of the day, and numbered ways through the wall, without HTTP."""

from datetime import date

import pytest
from asgiref.sync import async_to_sync

from gallery import ledger
from gallery.pages import walls
from gallery.pages.walls import Asked, address_of_day, read_asked
from worker.catalogue.address import Address
from worker.errors import AddressRefused, StoreUnavailable


def test_the_page_of_the_day_is_the_first_of_the_volume_that_the_date_names() -> None:
    assert address_of_day("pocket-1", date(2026, 11, 28)) == Address.parse("pocket-1/key/2026-11-28/1")
    assert address_of_day("tiny", date(987, 1, 2)).format() == "tiny/key/0987-01-02/1"


def test_the_page_of_the_day_is_left_out_where_it_cannot_be_told_what_is_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unknown(*_: object) -> None:
        raise StoreUnavailable("Which pages are hidden cannot be read at the moment, so none is shown.")

    monkeypatch.setattr(ledger, "require_shown", unknown)
    assert async_to_sync(walls.page_of_day)("pocket-1", date(2026, 11, 28)) is None


@pytest.mark.parametrize(
    ("sent", "asked", "here"),
    [
        ({}, Asked("all", 1, None), "?"),
        ({"kind": "prompts"}, Asked("prompts", 1, None), "?kind=prompts"),
        ({"kind": "random", "page": "3", "upto": "77"}, Asked("random", 3, 77), "?kind=random&page=3&upto=77"),
        ({"page": "2"}, Asked("all", 2, None), "?page=2&upto=0"),
    ],
)
def test_what_is_asked_for_is_read_and_written(sent: dict[str, str], asked: Asked, here: str) -> None:
    assert read_asked(sent) == asked
    assert asked.query(asked.number, asked.upto) == here


@pytest.mark.parametrize(
    "sent", [{"kind": "hidden"}, {"page": "0"}, {"page": "-1"}, {"page": "٣"}, {"page": "x"}, {"page": "9" * 4301}]
)
def test_what_no_wall_has_is_refused(sent: dict[str, str]) -> None:
    with pytest.raises(AddressRefused):
        read_asked(sent)


@pytest.mark.parametrize(
    ("number", "last", "offered"),
    [
        (1, 1, [1]),
        (1, 9, [1, 2, 3, 0, 9]),
        (4, 9, [1, 2, 3, 4, 5, 6, 0, 9]),
        (5, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (50, 99, [1, 0, 48, 49, 50, 51, 52, 0, 99]),
        (99, 99, [1, 0, 97, 98, 99]),
    ],
)
def test_the_numbers_offered_are_the_ends_and_those_beside(number: int, last: int, offered: list[int]) -> None:
    assert walls._numbers(number, last) == offered
