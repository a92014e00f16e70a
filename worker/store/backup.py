"""A backup in one file: what cannot be made again, taken while the library runs, and put back while it runs.

A tar file with the database's rows as lines of JSON, the keys, origins and links, the list of hidden pages, and as its
last part the digest of all of it, so that a file that is cut short or damaged is refused before anything is written.
Pictures are not in it: they are printed again. May import worker.catalogue, worker.errors, worker.files and the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from worker.catalogue.key import BYTES, Key
from worker.errors import InputRefused, StoreUnavailable, reason
from worker.files import write_atomically
from worker.store.records import parse_link, parse_origin

FORMAT: Final = 1
ROWS: Final = "rows.jsonl"
SEAL: Final = "seal.json"
_HOMES: Final = ("keys", "links", "hidden")
_NAME: Final = re.compile(
    r"keys/[a-z2-7]{2}/[a-z2-7]{26}\.(?:key|origin)"
    r"|links/[a-z0-9.-]{1,32}/[0-9a-f]{2}/[0-9a-f]{64}"
    r"|hidden/(?:complete|addresses/[0-9a-f]{64}|keys/[a-z2-7]{26}|editions/[a-z0-9.-]{1,32}/[a-z2-7]{26})",
    re.ASCII,
)
_PART_BYTES: Final = 1 << 30
_AT_ONCE: Final = 200


def write_backup(data: Path, rows: Iterable[dict[str, Any]], file: Path) -> dict[str, int]:
    """Write a backup of a data folder and of the database's rows; how many rows and files are in it.

    `file` appears whole or not at all, and may be there already. Raises InputRefused where it cannot be written.
    """
    beside = file.with_name(f".{file.name[:40]}.{os.getpid()}.partial")
    try:
        with beside.open("xb") as target, tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
            seal = hashlib.sha256()
            lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows]
            _add(tar, seal, ROWS, "".join(lines).encode())
            files = 0
            for name, content in _contents(data):
                _add(tar, seal, name, content)
                files += 1
            counts = {"rows": len(lines), "files": files}
            said = {"format": FORMAT, "sha256": seal.hexdigest(), **counts}
            _add(tar, hashlib.sha256(), SEAL, json.dumps(said).encode())
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(file)
    except OSError as error:
        raise InputRefused(f"{file} cannot be written: {reason(error)}.") from error
    finally:
        with contextlib.suppress(OSError):  # in a folder that may not be entered this fails too, and says less
            beside.unlink(missing_ok=True)
    return counts


def read_backup(file: Path) -> list[dict[str, Any]]:
    """The rows of a backup, all of which was checked. Raises InputRefused for anything else than a whole backup."""
    seal, rows, files, said = hashlib.sha256(), b"", 0, None
    for name, content in _parts(file):
        if said is not None:
            raise _refused(file, f"{name} follows its seal")
        if name == SEAL:
            said = _json(file, content)
            continue
        _update(seal, name, content)
        if name == ROWS:
            rows = content
        else:
            files += 1
            _require_intact(file, name, content)
    if said is None:
        raise _refused(file, "it ends before its seal")
    if said.get("format") != FORMAT:
        raise _refused(file, f"it has the format {said.get('format')!r}, and this release reads {FORMAT}")
    if said.get("sha256") != seal.hexdigest() or said.get("files") != files:
        raise _refused(file, "it does not match its own digest")
    return [_json(file, line) for line in rows.splitlines()]


def restore_files(data: Path, file: Path) -> int:
    """Write the files of a backup that `read_backup` has checked, but for those that are there; how many were written.

    Pages that are hidden now stay hidden. Raises InputRefused, StoreUnavailable.
    """
    written = 0
    missing = ((data / name, content) for name, content in _parts(file) if _NAME.fullmatch(name))
    new = ((path, content) for path, content in missing if not path.is_file())
    while batch := dict(itertools.islice(new, _AT_ONCE)):
        try:
            write_atomically(batch)
        except OSError as error:
            raise StoreUnavailable(
                f"After {written:,} files, {error.filename} cannot be written: {reason(error)}.",
                hint="Restore again when that is mended: what is there already is left as it is.",
            ) from error
        written += len(batch)
    return written


def _contents(data: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a data folder that belong into a backup, by their names in it."""
    for home in _HOMES:
        for folder, folders, names in os.walk(data / home):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                inside = path.relative_to(data).as_posix()
                if _NAME.fullmatch(inside) is None:
                    continue  # half written, or none of ours
                try:
                    content = path.read_bytes()
                except FileNotFoundError:
                    continue  # it made room meanwhile
                if _is_intact(inside, content):
                    yield inside, content


def _is_intact(name: str, content: bytes) -> bool:
    """Whether a file's content belongs to its name; a scrub says more of one that does not."""
    path = Path(name)
    if path.suffix == ".key":
        return len(content) == BYTES and Key(content).mark == path.stem
    if path.suffix == ".origin":
        return parse_origin(content) is not None
    if path.parts[0] == "links":
        link = parse_link(content)
        return link is not None and link.address.digest == path.name
    return True


def _require_intact(file: Path, name: str, content: bytes) -> None:
    if _NAME.fullmatch(name) is None:
        raise _refused(file, f"it holds {name[:80]!r}, which is no file of a library")
    if not _is_intact(name, content):
        raise _refused(file, f"{name} in it is damaged")


def _parts(file: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and member.size <= _PART_BYTES else None
                if content is None:
                    raise _refused(file, f"{member.name[:80]!r} in it is no file of a library")
                yield member.name, content.read()
    except tarfile.TarError as error:
        raise _refused(file, str(error)) from error
    except OSError as error:
        raise InputRefused(f"{file} cannot be read: {reason(error)}.") from error


def _add(tar: tarfile.TarFile, seal: hashlib._Hash, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))
    _update(seal, name, content)


def _update(seal: hashlib._Hash, name: str, content: bytes) -> None:
    seal.update(f"{name} {len(content)}\n".encode())
    seal.update(content)


def _json(file: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise _refused(file, "a line of it is no JSON") from error
    if not isinstance(found, dict):
        raise _refused(file, "a line of it is no JSON object")
    return found


def _refused(file: Path, why: str) -> InputRefused:
    return InputRefused(f"{file} is no whole backup of a library: {why}.", hint="Nothing was changed.")
