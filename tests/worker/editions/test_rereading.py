"""worker.editions.rereading: a file is read once for each time that it changed."""

import os
from pathlib import Path

import pytest

from worker.editions.rereading import when_changed


def test_a_file_is_read_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    reads = []

    @when_changed(2)
    def length(path: Path) -> int:
        reads.append(path.name)
        return len(path.read_bytes())

    file = tmp_path / "file"
    file.write_bytes(b"four")
    assert [length(file), length(file)] == [4, 4]
    os.utime(file, ns=(1, 1))
    assert [length(file), length(file)] == [4, 4]
    file.write_bytes(b"seven")
    os.utime(file, ns=(1, 1))  # a clock too coarse to tell
    assert [length(file), length(file)] == [5, 5]
    assert reads == ["file"] * 3


def test_what_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    tries = []

    @when_changed(2)
    def refuse(path: Path) -> None:
        tries.append(path.name)
        raise ValueError(path.name)

    (tmp_path / "file").touch()
    for _ in range(2):
        with pytest.raises(ValueError, match="file"):
            refuse(tmp_path / "file")
    assert tries == ["file", "file"]
    with pytest.raises(FileNotFoundError):
        refuse(tmp_path / "absent")
