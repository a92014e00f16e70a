"""worker.store.backup: one file that holds what cannot be made again, and is refused as a whole where it is damaged."""

import tarfile
from pathlib import Path

import pytest

from tests.worker.store import keep, key_of, stacks
from worker.errors import InputRefused
from worker.store import hidden
from worker.store.backup import read_backup, restore_files, write_backup
from worker.store.store import Store

ROWS = [{"digest": "a" * 64, "name": "夜 é"}, {"digest": "b" * 64, "name": ""}]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A library with a page, a pasted key, a hidden page, and something half written."""
    store = Store(tmp_path / "data", reserve=0)
    keep(store, stacks(1))
    store.keep_key(key_of(stacks(2)))
    hidden.hide(store.data, [hidden.name_of_key(key_of(stacks(3)).mark)])
    (store.data / "keys" / "aa").mkdir()
    (store.data / "keys" / "aa" / ".x.key.0123.partial").write_bytes(b"half")
    return store


def test_keys_links_and_what_is_hidden_come_back(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    assert write_backup(store.data, ROWS, file) == {"rows": 2, "files": 5}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["backup"]
    assert read_backup(file) == ROWS
    other = Store(tmp_path / "other", reserve=0)
    assert restore_files(other.data, file) == 5
    assert restore_files(other.data, file) == 0
    assert other.linked(stacks(1)) == key_of(stacks(1)).mark
    assert other.key(key_of(stacks(2)).mark) == key_of(stacks(2))
    assert other.origin(key_of(stacks(1)).mark) == stacks(1)
    assert hidden.is_hidden(other.data, stacks(9), key_of(stacks(3)).mark)


def test_every_damaged_or_shortened_backup_is_refused_before_anything_is_written(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    write_backup(store.data, ROWS, file)
    whole = file.read_bytes()
    with tarfile.open(file) as tar:
        member = next(member for member in tar if member.name.endswith(".key"))
    places = {
        "a row": 520,
        "a key": member.offset_data + 7,
        "a name": member.offset + 6,
        "the seal": whole.rindex(b"sha256"),
    }
    damaged = {what: bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]]) for what, at in places.items()}
    damaged |= {
        f"{size} bytes": whole[:size]
        for size in (0, 100, 600, len(whole) // 2, member.offset, whole.rindex(b"seal.json"))
    }
    damaged["another file"] = b"GIF89a" * 1000
    for what, data in damaged.items():
        file.write_bytes(data)
        with pytest.raises(InputRefused):
            read_backup(file)
            pytest.fail(f"{what} was not noticed")


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "keys/../escaped", "pages/x", "keys/aa/short.key"])
def test_a_backup_with_files_of_other_names_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "backup"
    with tarfile.open(file, "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(InputRefused, match="which is no file of a library"):
        read_backup(file)


def test_a_link_out_of_the_library_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "backup"
    with tarfile.open(file, "w") as tar:
        member = tarfile.TarInfo("hidden/complete")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(InputRefused, match="no file of a library"):
        read_backup(file)


def test_a_place_that_cannot_be_written_is_said_and_the_backup_before_stays(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="cannot be written: No such file"):
        write_backup(store.data, ROWS, tmp_path / "nowhere" / "backup")


def test_a_folder_that_may_not_be_entered_is_one_sentence_too(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may enter every folder, so the answer that others get from the system is put in its place here."""

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(InputRefused, match="cannot be written: Permission denied"):
        write_backup(store.data, ROWS, tmp_path / "backup")
