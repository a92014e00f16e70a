"""gallery.ledger: rows, openings and what is hidden, over a real database."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import DatabaseError

from babelia.services import store
from gallery import ledger
from gallery.description import describe_recent
from gallery.models import Page
from gallery.snapshot import Snapshot
from tests.gallery.test_description import MARK, RECORD
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.errors import StoreUnavailable
from worker.store import hidden

ADDRESS = Address.parse("prompt/a dog/1")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unread(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[None]:
    """A ledger that has read and noted nothing yet, and writes at once."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(ledger, "_openings", ledger._Openings())
    monkeypatch.setattr(ledger, "_hidden", Snapshot(ledger._read_hidden, None, fresh=0, stale=0))
    monkeypatch.setattr(ledger, "WRITE_SECONDS", 0.01)
    yield


def test_the_row_of_a_page_says_what_its_description_says() -> None:
    async_to_sync(ledger.write)(ADDRESS, RECORD, 2)
    async_to_sync(ledger.write)(ADDRESS, RECORD, 3)
    row = Page.objects.get(digest=ADDRESS.digest)
    assert (row.address, row.edition, row.kind, row.name) == ("pocket-1/prompt/a dog/1", "pocket-1", "prompt", "a dog")
    assert (row.mark, row.rendition, row.steps, row.flagged) == (MARK, "by hand", 20, False)
    assert row.printed_at.isoformat() == "2026-11-05T09:07:33.120000+00:00"
    assert row.opened == 5


def test_openings_are_counted_and_those_noted_while_others_are_written_too(monkeypatch: pytest.MonkeyPatch) -> None:
    write = ledger.write

    async def slow_write(*arguments: Any) -> None:
        await asyncio.sleep(0.05)
        await write(*arguments)

    monkeypatch.setattr(ledger, "write", slow_write)

    async def visit() -> None:
        ledger.note_opening(ADDRESS, RECORD)
        ledger.note_opening(Address("pocket-1", "mark", MARK, None), RECORD)  # the same page by its mark
        await asyncio.sleep(0.03)
        ledger.note_opening(ADDRESS, RECORD)
        await asyncio.sleep(0.3)

    async_to_sync(visit)()
    assert [(row.address, row.opened) for row in Page.objects.all()] == [(ADDRESS.format(), 3)]


def test_a_page_is_hidden_by_its_address_and_by_its_mark() -> None:
    async_to_sync(ledger.write)(ADDRESS, RECORD, 1)
    mark = Address("pocket-1", "mark", MARK, None)
    other = Address.parse("prompt/a cat/1")
    assert not async_to_sync(ledger.is_hidden)(ADDRESS)
    Page.objects.update(hidden=True)
    for address, by in ((ADDRESS, None), (mark, None), (other, MARK)):
        assert async_to_sync(ledger.is_hidden)(address, by), address
    assert not async_to_sync(ledger.is_hidden)(other)
    assert not async_to_sync(ledger.is_hidden)(Address("tiny", "mark", MARK, None)), "of another edition"


def test_what_is_hidden_stays_hidden_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async_to_sync(ledger.write)(ADDRESS, RECORD, 1)
    Page.objects.update(hidden=True)
    assert async_to_sync(ledger.is_hidden)(ADDRESS)

    take_the_database_away(monkeypatch)
    assert async_to_sync(ledger.is_hidden)(ADDRESS)
    start_again(monkeypatch)
    assert async_to_sync(ledger.is_hidden)(ADDRESS), "the files know"
    assert not async_to_sync(ledger.is_hidden)(Address.parse("prompt/a cat/1")), "and they know all"


def test_nothing_is_shown_while_it_was_never_read_what_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of release 0.1.0, say, whose database is away at the first start of this one."""
    take_the_database_away(monkeypatch)
    with pytest.raises(StoreUnavailable, match="Which pages are hidden cannot be read"):
        async_to_sync(ledger.is_hidden)(ADDRESS)


def test_a_list_of_files_that_was_deleted_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async_to_sync(ledger.write)(ADDRESS, RECORD, 1)
    Page.objects.update(hidden=True, everywhere=True)
    assert async_to_sync(ledger.is_hidden)(ADDRESS)
    shutil.rmtree(tmp_path / "hidden")
    assert async_to_sync(ledger.is_hidden)(Address("tiny", "mark", MARK, None)), "of another edition"
    assert hidden.is_complete(tmp_path)
    assert hidden.is_hidden(tmp_path, ADDRESS, None)


def test_a_page_hidden_by_its_key_is_on_no_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ledger, "_recent", Snapshot(ledger._read_recent, [], fresh=0, stale=0))
    other = Address.parse("prompt/a cat/1")
    async_to_sync(ledger.write)(ADDRESS, RECORD, 1)
    assert [row.address for row in async_to_sync(ledger.recent)()] == [ADDRESS.format()]
    assert async_to_sync(ledger.neighbour_prompt)(other, 1) == ADDRESS
    hidden.hide(tmp_path, [hidden.name_of_key(MARK)])
    assert async_to_sync(ledger.recent)() == []
    assert async_to_sync(ledger.neighbour_prompt)(other, 1) is None


def take_the_database_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(Page.objects, "filter", fail)


def start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_hidden", Snapshot(ledger._read_hidden, None, fresh=0, stale=0))


def test_the_shelf_of_prompts_is_ordered_and_closes_to_a_ring() -> None:
    prompts = [Address("pocket-1", "prompt", name, 4) for name in ("a", "b/c", "d")]
    for prompt in prompts:
        async_to_sync(ledger.write)(prompt, RECORD, 1)
    for place, prompt in enumerate(prompts):
        following = prompts[(place + 1) % 3]
        assert async_to_sync(ledger.neighbour_prompt)(prompt, 1) == following
        assert async_to_sync(ledger.neighbour_prompt)(following, -1) == prompt


CAPITALS = Address.parse_kept("pocket-1/prompt/A Dog/1")
"""A page that was printed while prompts had capitals."""


def test_a_page_of_a_prompt_with_capitals_is_listed_by_its_mark_and_on_no_shelf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "_recent", Snapshot(ledger._read_recent, [], fresh=0, stale=0))
    async_to_sync(ledger.write)(CAPITALS, RECORD, 1)
    (row,) = async_to_sync(ledger.recent)()
    assert describe_recent(row).page == f"/pocket-1/mark/{MARK}/"
    assert describe_recent(row).thumbnail == f"/pocket-1/mark/{MARK}/thumbnail.webp"
    assert async_to_sync(ledger.neighbour_prompt)(Address.parse("prompt/a cat/1"), 1) is None

    async def opened_by_its_mark() -> None:
        record = RECORD.__class__(**vars(RECORD) | {"address": CAPITALS.format()})
        ledger.note_opening(Address("pocket-1", "mark", MARK, None), record)
        await asyncio.sleep(0.3)

    async_to_sync(opened_by_its_mark)()
    assert [(row.name, row.opened) for row in Page.objects.all()] == [("A Dog", 2)]


def test_a_link_that_was_hidden_while_prompts_had_capitals_stays_hidden(tmp_path: Path) -> None:
    async_to_sync(ledger.write)(CAPITALS, RECORD, 0)
    Page.objects.update(hidden=True, mark="")
    now = Address.parse(CAPITALS.format())
    assert async_to_sync(ledger.is_hidden)(now) and async_to_sync(ledger.is_hidden)(CAPITALS)
    assert hidden.is_hidden(tmp_path, now, None), "also while the database is away"
    assert not async_to_sync(ledger.is_hidden)(now.with_page(2))
    call_command("hide", CAPITALS.format(), show=True)
    assert not async_to_sync(ledger.is_hidden)(now)


def test_a_page_is_found_by_its_pixels_unless_it_is_hidden() -> None:
    async_to_sync(ledger.write)(ADDRESS, RECORD, 1)
    assert async_to_sync(ledger.page_of_pixels)(RECORD.pixel_digest) == ADDRESS
    assert async_to_sync(ledger.page_of_pixels)("0" * 64) is None
    Page.objects.update(hidden=True)
    assert async_to_sync(ledger.page_of_pixels)(RECORD.pixel_digest) is None


# -- what is kept off the lists


def listed() -> list[str]:
    return [page.address for page in async_to_sync(ledger._read_recent)([])]


def test_a_prompt_that_is_kept_off_the_lists_is_so_on_every_page_now_and_later() -> None:
    other = Address.parse("prompt/a cat/1")
    async_to_sync(ledger.keep_unlisted)(ADDRESS)
    assert Page.objects.get().listed is False
    for address in (ADDRESS, ADDRESS.with_page(2), other):
        async_to_sync(ledger.write)(address, RECORD, 1)
    assert listed() == [other.format()]
    assert async_to_sync(ledger.neighbour_prompt)(other, 1) is None, "nor does it stand beside another prompt"


def test_words_that_were_opened_before_stay_on_the_lists() -> None:
    async_to_sync(ledger.write)(ADDRESS.with_page(7), RECORD, 1)
    async_to_sync(ledger.keep_unlisted)(ADDRESS)
    async_to_sync(ledger.write)(ADDRESS, RECORD, 1)
    assert set(listed()) == {ADDRESS.format(), ADDRESS.with_page(7).format()}


def test_without_the_database_nobody_is_told_that_words_are_kept_off_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise DatabaseError

    monkeypatch.setattr(Page.objects, "filter", away)
    with pytest.raises(StoreUnavailable, match="cannot be kept off the wall"):
        async_to_sync(ledger.keep_unlisted)(ADDRESS)


def open_pages(*addresses: str) -> None:
    for address in addresses:
        record = replace(RECORD, mark=stacks_key(address, 1).mark)
        async_to_sync(ledger.write)(Address.parse(address), record, 1)


def names(stretch: ledger.Stretch) -> list[str]:
    return [row.name for row in stretch.rows]


def test_a_part_of_the_wall_stays_as_it_was_whatever_is_opened_or_printed_again() -> None:
    open_pages("prompt/a/1", "key/b/1", "prompt/c/1", "stacks/d/1")
    first = async_to_sync(ledger.opened)("pocket-1", (), 0, 2)
    assert (names(first), first.of) == (["d", "c"], 4)
    open_pages("prompt/e/1", "prompt/a/1")
    Page.objects.filter(name="a").update(printed_at="2030-01-01T00:00:00Z")
    second = async_to_sync(ledger.opened)("pocket-1", (), 2, 2, first.upto)
    assert (names(second), second.of) == (["b", "a"], 4)
    assert names(async_to_sync(ledger.opened)("pocket-1", (), 0, 2)) == ["e", "d"]


def test_the_wall_has_kinds_and_editions_and_holds_nothing_hidden_flagged_or_unlisted(tmp_path: Path) -> None:
    open_pages("prompt/a/1", "key/b/1", "stacks/c/1", "tiny/key/d/1", "key/e/1", "key/f/1", "key/g/1", "prompt/h/1")
    for name, change in (("e", {"hidden": True}), ("f", {"flagged": True}), ("g", {"listed": False})):
        Page.objects.filter(name=name).update(**change)
    hidden.hide(tmp_path, [hidden.name_of_address(Address.parse("prompt/h/1"))])
    assert names(async_to_sync(ledger.opened)("pocket-1", (), 0, 9)) == ["c", "b", "a"]
    assert names(async_to_sync(ledger.opened)("pocket-1", ("key", "stacks"), 0, 9)) == ["c", "b"]
    assert names(async_to_sync(ledger.opened)("pocket-1", ("prompt",), 0, 9)) == ["a"]
    assert names(async_to_sync(ledger.opened)("tiny", (), 0, 9)) == ["d"]


def test_the_wall_and_the_look_up_by_pixels_are_read_from_an_index() -> None:
    wall = Page.objects.filter(edition="tiny", hidden=False, flagged=False, listed=True, id__lte=9).order_by("-id")
    for asked in (wall[:9], wall.filter(kind__in=("key", "stacks"))[9:18]):
        plan = asked.explain()
        assert "INDEX page_wall" in plan and "TEMP B-TREE" not in plan, plan
    assert "INDEX page_pixels" in Page.objects.filter(pixel_digest="p", hidden=False).explain()


def test_without_the_database_the_wall_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    take_the_database_away(monkeypatch)
    with pytest.raises(StoreUnavailable, match="the wall cannot be shown"):
        async_to_sync(ledger.opened)("pocket-1", (), 0, 2)


def test_a_row_has_the_colour_of_its_picture_and_a_new_one_where_other_pixels_were_printed(settings: Any) -> None:
    settings.DISK_RESERVE = 0
    address, key = Address.parse("stacks/colours/1"), stacks_key("colours", 1)
    for colour in ((0, 0, 255), (255, 0, 0)):
        pixels = np.full((416, 640, 3), colour, np.uint8)
        record = store().keep(address, key, b"any", pixels, rendition=str(colour), steps=4, seconds=1.0)
        async_to_sync(ledger.write)(address, record, 1)
        shown = Page.objects.get(digest=address.digest).colour
        channels = [int(shown[place : place + 2], 16) for place in (1, 3, 5)]
        assert np.abs(np.subtract(channels, colour)).max() <= 6
