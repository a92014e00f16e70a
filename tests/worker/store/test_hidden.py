"""worker.store.hidden: files that say what is hidden, and refuse to say that something is not when they cannot tell."""

import shutil
from pathlib import Path

import pytest

from tests.worker.store import EDITION, key_of, stacks
from worker.catalogue.address import Address
from worker.errors import PageHidden, StoreUnavailable
from worker.store import hidden

MARK = key_of(stacks(1)).mark


def test_a_page_is_hidden_by_its_address_alone(tmp_path: Path) -> None:
    hidden.hide(tmp_path, [hidden.name_of_address(stacks(1))])
    assert hidden.is_hidden(tmp_path, stacks(1), None)
    assert not hidden.is_hidden(tmp_path, stacks(2), None)


def test_a_key_is_hidden_in_every_edition_or_in_one(tmp_path: Path) -> None:
    here, elsewhere = (Address(edition, "mark", MARK, None) for edition in (EDITION, "another"))
    hidden.hide(tmp_path, [hidden.name_of_key(MARK, EDITION)])
    assert hidden.is_hidden(tmp_path, here, MARK)
    assert not hidden.is_hidden(tmp_path, elsewhere, MARK)
    hidden.hide(tmp_path, [hidden.name_of_key(MARK)], "tiny/stacks/store/1")
    assert hidden.is_hidden(tmp_path, elsewhere, MARK)
    assert hidden.names_of_key_in_editions(tmp_path, MARK) == {f"editions/{EDITION}/{MARK}"}


def test_what_is_shown_again_is_hidden_no_more(tmp_path: Path) -> None:
    names = hidden.names_of_page(stacks(1), MARK)
    hidden.hide(tmp_path, names)
    with pytest.raises(PageHidden):
        hidden.require_shown(tmp_path, stacks(1), MARK)
    assert hidden.show(tmp_path, names) == names
    assert hidden.show(tmp_path, names) == set()
    hidden.require_shown(tmp_path, stacks(1), MARK)


def test_damage_inside_a_file_shows_nothing_again(tmp_path: Path) -> None:
    hidden.hide(tmp_path, [hidden.name_of_key(MARK)])
    (tmp_path / "hidden" / "keys" / MARK).write_bytes(b"")
    assert hidden.is_hidden(tmp_path, stacks(9), MARK)


@pytest.mark.parametrize("replaced", ["hidden", "hidden/keys"])
def test_a_list_that_cannot_be_read_is_no_empty_list(tmp_path: Path, replaced: str) -> None:
    path = tmp_path / replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a file where a folder belongs")
    with pytest.raises(StoreUnavailable, match="so none is shown") as refused:
        hidden.is_hidden(tmp_path, stacks(1), MARK)
    assert str(tmp_path) not in f"{refused.value} {refused.value.hint}"
    with pytest.raises(StoreUnavailable):
        hidden.hide(tmp_path, [hidden.name_of_key(MARK)])


def test_that_everything_was_copied_is_written_down(tmp_path: Path) -> None:
    assert not hidden.is_complete(tmp_path)
    hidden.set_complete(tmp_path)
    assert hidden.is_complete(tmp_path)


@pytest.mark.parametrize("lost", ["addresses", "keys", "editions"])
def test_a_list_that_lost_a_folder_is_incomplete_until_it_is_copied_again(tmp_path: Path, lost: str) -> None:
    hidden.set_complete(tmp_path)
    hidden.hide(tmp_path, [hidden.name_of_key(MARK), hidden.name_of_key(MARK, EDITION)])
    shutil.rmtree(tmp_path / "hidden" / lost)
    assert not hidden.is_complete(tmp_path)
    hidden.set_complete(tmp_path)
    assert hidden.is_complete(tmp_path)
