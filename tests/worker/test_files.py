"""worker.files: files that are written appear complete or not at all, and are on the disk before they have a name."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import mounted_disk
from worker.errors import InputRefused
from worker.files import require_folder, write_atomically, write_outputs


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for 300 kB."""
    with mounted_disk(tmp_path / "disk", 300) as folder:
        yield folder


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What is synced and what takes its name, in order; a file that is written beside appears as the file itself."""
    noted: list[tuple[str, str]] = []
    names: dict[str, str] = {}
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        noted.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def noting_replace(path: Path, target: Path) -> Path:
        names[str(path)] = str(target)
        noted.append(("name", str(target)))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    return lambda: [f"{what} {names.get(path, path)}" for what, path in noted]


def test_files_are_written_completely_and_replaced(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"before")
    write_atomically({one: b"1" * 1000, two: b""})
    assert (one.read_bytes(), two.read_bytes()) == (b"1" * 1000, b"")
    assert sorted(tmp_path.iterdir()) == [one, two]
    umask = os.umask(0)
    os.umask(umask)
    assert one.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path) -> None:
    longest = tmp_path / ("é" * 127)  # 254 bytes of 255
    write_atomically({longest: b"here"})
    assert longest.read_bytes() == b"here"


def test_files_are_synced_before_they_take_their_names_and_their_folders_after(
    tmp_path: Path, events: Callable[[], list[str]]
) -> None:
    one, two = tmp_path / "a" / "one", tmp_path / "b" / "two"
    one.parent.mkdir()
    two.parent.mkdir()
    write_atomically({one: b"1", two: b"2"})
    *synced, first, second, third, fourth = events()
    assert sorted(synced) == [f"sync {one}", f"sync {two}"]
    assert [first, second] == [f"name {one}", f"name {two}"]
    assert sorted([third, fourth]) == [f"sync {one.parent}", f"sync {two.parent}"]


def test_the_parents_of_new_folders_are_synced_too(tmp_path: Path, events: Callable[[], list[str]]) -> None:
    path = tmp_path / "new" / "and" / "deep" / "file"
    write_atomically({path: b"here"})
    folders = {event.removeprefix("sync ") for event in events() if event not in (f"sync {path}", f"name {path}")}
    assert folders == {str(folder) for folder in (tmp_path, *list(path.parents)[:3])}


def test_a_write_that_fails_leaves_nothing_behind_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left") as refused:
        write_atomically({tmp_path / "one": b"1"})
    assert refused.value.filename == str(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically({tmp_path / "one": b"1"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_opened_does_not_fail_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a folder that may be written to and not listed; root, as whom tests may run, can open every folder."""
    open_ = os.open

    def refuse(path: Path, flags: int) -> int:
        if path == tmp_path:
            raise PermissionError(13, "Permission denied")
        return open_(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    write_atomically({tmp_path / "one": b"1"})
    assert (tmp_path / "one").read_bytes() == b"1"


def test_a_full_disk_is_said_and_leaves_nothing_behind(tiny_disk: Path) -> None:
    kept = tiny_disk / "kept"
    kept.write_bytes(b"before")
    with pytest.raises(InputRefused, match=r"disk/page\.png cannot be written: No space left on device\."):
        write_outputs({kept: b"after", tiny_disk / "page.png": os.urandom(400_000)})
    assert kept.read_bytes() == b"before"
    assert list(tiny_disk.iterdir()) == [kept]


def test_without_memory_for_another_thread_it_is_written_all_the_same(tmp_path: Path) -> None:
    """As where memory runs out: the address space has no room for the stack of a thread."""
    script = f"""
import resource
from pathlib import Path
import psutil
from worker.files import write_atomically
size = psutil.Process().memory_info().vms + 2 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (size, size))
write_atomically({{Path({str(tmp_path)!r}, name): b"here" for name in "abc"}})
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_an_output_folder_must_be_there(tmp_path: Path) -> None:
    require_folder(tmp_path)
    with pytest.raises(InputRefused, match="does not exist"):
        require_folder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(InputRefused, match="is no folder"):
        require_folder(tmp_path / "file")
