"""`manage.py scrub`: what is damaged is named, set aside, and the command ends with code 1."""

import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from babelia.services import store
from tests.worker.store.test_store import keep, key_of, stacks


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, settings: Any) -> None:
    """A library with two kept pages."""
    settings.DATA_DIR, settings.DISK_RESERVE = tmp_path, 0
    for page in (1, 2):
        keep(store(), stacks(page), shade=page)


def test_a_store_without_damage_is_said_to_be_whole(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("scrub")
    assert capsys.readouterr().out.startswith("14 files whole, 0 set aside; ")


def test_a_damaged_file_is_named_and_ends_it_with_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (png,) = tmp_path.glob(f"pages/*/*/{key_of(stacks(2)).mark}.png")
    png.write_bytes(png.read_bytes()[:-1])
    with pytest.raises(SystemExit) as ended:
        call_command("scrub")
    assert ended.value.code == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{png} does not match the digest in its ")
    assert said[-1].startswith("13 files whole, 1 set aside; ")
    assert not png.exists()
    assert len(list((tmp_path / "set-aside").iterdir())) == 1


def test_it_reads_no_faster_than_it_is_told() -> None:
    began = time.monotonic()
    call_command("scrub", rate=4.0)  # two pages are about 2 MB
    assert time.monotonic() - began > 0.3
