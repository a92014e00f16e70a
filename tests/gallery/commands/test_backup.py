"""`manage.py backup`: what it writes while the library writes too, and what it says."""

import threading
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command

from babelia.services import store
from gallery import ledger
from gallery.models import Page
from tests.gallery.test_description import RECORD
from tests.worker.store import keep, stacks
from worker.catalogue.address import Address
from worker.store.backup import read_backup


@pytest.fixture(autouse=True)
def library(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR, settings.DISK_RESERVE = tmp_path / "data", 0
    keep(store(), stacks(1))


@pytest.mark.django_db
def test_it_writes_every_row_and_says_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async_to_sync(ledger.write)(Address.parse("prompt/a dog/1"), RECORD, 3)
    call_command("backup", str(tmp_path / "file"))
    assert "1 rows and 3 files" in capsys.readouterr().out
    (row,) = read_backup(tmp_path / "file")
    assert (row["address"], row["opened"], row["hidden"]) == ("pocket-1/prompt/a dog/1", 3, False)
    assert set(row) == {field.name for field in Page._meta.fields} - {"id"}


@pytest.mark.django_db
def test_pages_that_are_kept_meanwhile_do_not_disturb_it(tmp_path: Path) -> None:
    stop = threading.Event()

    def print_on() -> None:
        page = 2
        while not stop.is_set():
            keep(store(), stacks(page % 400 + 1))
            page += 1

    printing = threading.Thread(target=print_on)
    printing.start()
    try:
        for number in range(3):
            call_command("backup", str(tmp_path / f"file {number}"))
            read_backup(tmp_path / f"file {number}")
    finally:
        stop.set()
        printing.join()


@pytest.mark.django_db
def test_a_file_that_cannot_be_written_is_a_sentence_and_code_2(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written") as refused:
        call_command("backup", str(tmp_path / "nowhere" / "file"))
    assert refused.value.returncode == 2
