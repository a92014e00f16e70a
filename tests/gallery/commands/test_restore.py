"""`manage.py restore`: a library comes back, into another one too, and nothing that was hidden is shown by it."""

from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command

from babelia.services import store
from gallery import ledger
from gallery.management.commands.backup import rows
from gallery.models import Page
from tests.gallery.test_description import MARK, RECORD
from tests.worker.store import key_of, stacks
from worker.catalogue.address import Address
from worker.store import hidden
from worker.store.backup import write_backup

DOG, CAT = Address.parse("prompt/a dog/1"), Address.parse("prompt/a cat/1")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backup(settings: Any, tmp_path: Path) -> Path:
    """A backup of a library with two pages, one of them hidden by its key, and a pasted key."""
    settings.DATA_DIR, settings.DISK_RESERVE = tmp_path / "data", 0
    async_to_sync(ledger.write)(DOG, RECORD, 3)
    async_to_sync(ledger.write)(CAT, RECORD, 1)
    Page.objects.filter(digest=CAT.digest).update(hidden=True, everywhere=True)
    store().keep_key(key_of(stacks(2)))
    call_command("backup", str(tmp_path / "file"))
    return tmp_path / "file"


def test_a_library_that_was_lost_comes_back_as_it_was(backup: Path, settings: Any, tmp_path: Path) -> None:
    before = list(rows())
    Page.objects.all().delete()
    settings.DATA_DIR = tmp_path / "another"
    call_command("restore", str(backup))
    assert list(rows()) == before
    assert store().key(key_of(stacks(2)).mark) == key_of(stacks(2))
    assert hidden.is_hidden(store().data, CAT, None)
    assert hidden.is_hidden(store().data, Address("another", "mark", MARK, None), MARK)


def test_what_is_there_stays_and_what_is_hidden_in_either_is_hidden(
    backup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Page.objects.filter(digest=DOG.digest).update(opened=9, hidden=True)
    Page.objects.filter(digest=CAT.digest).update(hidden=False)
    call_command("restore", str(backup))
    assert "0 of 2 rows" in capsys.readouterr().out
    assert Page.objects.get(digest=DOG.digest).opened == 9
    assert Page.objects.filter(hidden=True).count() == 2


def test_a_row_that_is_none_is_refused_before_anything_is_changed(backup: Path, tmp_path: Path) -> None:
    Page.objects.all().delete()
    for change in (
        {"steps": "many"},
        {"digest": ""},
        {"flavour": "red"},
        {"colour": "red"},
        {"printed_at": "yesterday"},
        {"address": None},
    ):
        good = {"digest": "d" * 64, "address": "a", "edition": "tiny", "kind": "key", "name": "n", "mark": MARK}
        good |= {"rendition": "r", "pixel_digest": "p", "steps": 4, "printed_at": "2026-11-05T09:07:33+00:00"}
        write_backup(tmp_path / "nothing", [good | change], backup)
        with pytest.raises(CommandError, match="Nothing was changed") as refused:
            call_command("restore", str(backup))
        assert refused.value.returncode == 2
    assert not Page.objects.exists()


def test_what_is_no_backup_is_a_sentence_and_code_2(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file") as refused:
        call_command("restore", str(tmp_path / "nothing"))
    assert refused.value.returncode == 2
