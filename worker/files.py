"""Writing files so that each appears complete or not at all, and survives a power cut. May import worker.errors only.

`write_atomically` is the one place where files are written beside their place, synced and renamed. Whoever calls it
translates its OSError for those who will read the sentence; `write_outputs` does so for the commands.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from worker.errors import InputRefused, reason

_syncing = ThreadPoolExecutor(8, thread_name_prefix="sync")  # no thread before the first write, so that forks are safe


def write_atomically(files: Mapping[Path, bytes]) -> None:
    """Write several files, in this order; where one cannot be written, none appears. Missing folders are made.

    All are written beside their place and synced, then renamed; then the folders that have a new name inside are
    synced, parents of new folders included. Syncing them at once lets the file system write its journal once for all: a
    tenth of the time that one after the other takes. Raises OSError, whose `filename` is the file that was asked for.
    """
    changed = {path.parent for path in files}
    beside: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            with _naming(path):
                changed.update(_make_folder(path.parent))
                # Part of the name will do: a name that is just short enough would be too long with more behind it.
                beside[path] = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.partial")
                with beside[path].open("xb") as file:
                    file.write(data)
        _sync_all({temporary: path for path, temporary in beside.items()})
        for path, temporary in beside.items():
            with _naming(path):
                temporary.replace(path)
        _sync_all({folder: folder for folder in changed})
    finally:
        for temporary in beside.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_outputs(files: Mapping[Path, bytes]) -> None:
    """`write_atomically` what somebody asked a command for; files that are there already are replaced.

    Raises InputRefused, a full disk among its reasons.
    """
    try:
        write_atomically(files)
    except OSError as error:
        raise InputRefused(f"{error.filename} cannot be written: {reason(error)}.") from error


def require_folder(folder: Path) -> None:
    """Raise InputRefused where files cannot be written into `folder`."""
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise InputRefused(f"The output folder {folder} {what}.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputRefused(f"The output folder {folder} cannot be written to.")


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder with its parents; the parents that have a new name inside."""
    parents = []
    above = folder
    while not above.is_dir() and above != above.parent:
        above = above.parent
        parents.append(above)
    folder.mkdir(parents=True, exist_ok=True)
    return parents


def _sync_all(paths: Mapping[Path, Path]) -> None:
    """Sync files and folders, all at once; an error carries the name that a path has in the mapping."""
    pending = []
    for path, name in paths.items():
        try:
            pending.append((_syncing.submit(_sync, path), name))
        except RuntimeError:  # there is no memory for another thread
            with _naming(name):
                _sync(path)
    wait(done for done, _ in pending)
    for done, name in pending:
        with _naming(name):
            done.result()


def _sync(path: Path) -> None:
    """Have the disk store what a file or folder contains now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():  # one that may be written to and not listed cannot be synced either
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an OSError name the file that was asked for in place of the one beside it."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
