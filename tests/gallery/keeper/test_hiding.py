"""gallery.keeper.hiding: what is written when a page is hidden or shown; the command is tested apart."""

from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from gallery import ledger
from gallery.keeper.hiding import hide, show
from gallery.models import Page
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.store import hidden

ADDRESS = Address("pocket-1", "stacks", "borges", 1)
MARK = stacks_key("borges", 1).mark


@pytest.fixture(autouse=True)
def library(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.mark.django_db
def test_a_page_is_hidden_by_its_address_before_its_key_is_worked_out(tmp_path: Path) -> None:
    seen: list[bool] = []

    def slowly(address: Address) -> str:
        seen.append(hidden.is_hidden(tmp_path, address, None))
        return MARK

    said = hide(ADDRESS, slowly)
    assert seen == [True]
    assert said.startswith(f"{ADDRESS.format()} is hidden in every edition, by every address of its key {MARK}.")
    assert hidden.is_hidden(tmp_path, Address("another", "mark", MARK, None), MARK)
    assert "is shown again" in show(ADDRESS, lambda _: MARK)
    assert "was not hidden" in show(ADDRESS, lambda _: MARK)
    assert not hidden.is_hidden(tmp_path, ADDRESS, MARK)
    assert not Page.objects.exists()


@pytest.mark.django_db
def test_where_the_key_is_not_known_the_address_alone_is_hidden(tmp_path: Path) -> None:
    assert "by this address alone" in hide(ADDRESS, lambda _: "")
    assert hidden.is_hidden(tmp_path, ADDRESS, None)
    assert not hidden.is_hidden(tmp_path, Address("pocket-1", "mark", MARK, None), MARK)


@pytest.mark.django_db(transaction=True)
def test_words_that_are_kept_off_the_wall_stay_so_when_their_page_is_shown_again() -> None:
    address = Address.parse("prompt/a quiet dog/1")
    async_to_sync(ledger.keep_unlisted)(address)
    hide(address, lambda _: "")
    show(address, lambda _: "")
    assert [(row.hidden, row.listed) for row in Page.objects.all()] == [(False, False)]
