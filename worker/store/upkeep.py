"""Looking after the store: the disk budget, by which pictures make room for others, and the check of every file.

May import worker.catalogue, worker.errors and the store.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.catalogue.key import BYTES, Key
from worker.store.records import parse_link, parse_origin, unseal
from worker.store.store import COPIES, Store

LEFTOVER_AGE = 3600
"""Seconds after which a half-written file, or a picture without a record, belongs to no print that still runs."""
SHARE_LEFT = 0.9
"""The part of the budget that a store has after it was trimmed, so that not every page makes it be weighed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Damage:
    """One file that did not match its digest and was set aside."""

    path: Path  # where it was
    reason: str


@dataclass(frozen=True)
class _Evictable:
    """What goes together when a picture makes room: the paths, their bytes, and when it was opened last (ns)."""

    opened: int
    size: int
    paths: tuple[Path, ...]


def make_room(store: Store) -> int:
    """Call `trim` if a hundredth of the budget was stored since the last time; cheap otherwise. Bytes freed."""
    if store.budget is None or (store.unweighed is not None and store.unweighed < store.budget / 100):
        return 0
    return trim(store)


def trim(store: Store) -> int:
    """If the store is over its budget, let the least recently opened pictures go until 90 % of it; bytes freed.

    A picture takes its copies with it, and its key where that can be derived again; its record and links stay.
    """
    if store.budget is None:
        return 0
    weight, candidates = _weigh(store.data)
    store.unweighed = 0
    if weight <= store.budget:
        return 0
    freed, aim = 0, weight - int(SHARE_LEFT * store.budget)
    candidates.sort(key=lambda candidate: candidate.opened)
    for candidate in candidates[:-1]:  # the page that is being opened right now stays, however small the budget
        if freed >= aim:
            break
        for path in candidate.paths:
            path.unlink(missing_ok=True)
        freed += candidate.size
    log.info("Let %.1f MB of pictures go to stay within the disk budget.", freed / 1e6)
    return freed


def scrub(store: Store) -> Iterator[Damage | Path]:
    """Check every file against its digest; yield each path that is intact, and a Damage for each that is set aside.

    Removes what a print that died left half written.
    """
    for path in _files(store.data):
        if path.name.endswith(".partial"):
            if _age(path) > LEFTOVER_AGE:
                path.unlink(missing_ok=True)
            continue
        try:
            reason = _fault(store, path, home=path.relative_to(store.data).parts[0])
        except OSError as error:
            if error.errno == errno.ENOENT:
                continue  # it made room, or was replaced, while we looked
            reason = f"cannot be read ({error.strerror})"
        if reason is None:
            yield path
            continue
        store.set_aside(path, reason)
        yield Damage(path, reason)


def _fault(store: Store, path: Path, home: str) -> str | None:
    """What is wrong with a file of the store, or None. `home`: the folder of the data directory that it lies under."""
    data = path.read_bytes()
    if home == "links":
        link = parse_link(data)
        if link is None or link.address.digest != path.name:
            return "is no link from its address to a mark"
        # A link of release 0.1.0 has no digest over its mark; but with each, the origin of that mark's key was written.
        return None if link.sealed or store.can_resolve(link.mark) else "leads to a mark that nothing here is known of"
    if path.suffix == ".origin":
        return None if parse_origin(data) is not None else "does not match its digest"
    if path.suffix == ".key":
        mark = Key(data).mark if len(data) == BYTES else None
        return None if mark == path.stem else "does not match its mark"
    if path.suffix == ".json":
        record = unseal(data)
        return None if record is not None and record.mark == path.stem else "does not match its own seal"
    mark, dot, form = path.name.partition(".")
    try:
        record = unseal(path.with_name(f"{mark}.json").read_bytes())
    except FileNotFoundError:
        record = None
    if record is None:
        return None if _age(path) < LEFTOVER_AGE else "has no facts beside it"
    digests = {".png": record.file_digest, ".webp": record.thumbnail_digest, ".640.webp": record.webp_digest}
    if dot + form not in digests:
        return "is no file of the store"
    expected = digests[dot + form]
    return None if hashlib.sha256(data).hexdigest() == expected else "does not match the digest in its facts"


def _files(data: Path) -> Iterator[Path]:
    """Everything in the places of files: a folder there too, which is none of ours."""
    for home, depth in (("pages", 3), ("keys", 2), ("links", 3)):
        for folder, folders, names in os.walk(data / home):
            if len(Path(folder).relative_to(data).parts) == depth:
                names += folders
                folders.clear()
            folders.sort()
            for name in sorted(names):
                yield Path(folder) / name


def _weigh(data: Path) -> tuple[int, list[_Evictable]]:
    """The bytes of all pictures, their copies and keys, and what of it may go."""
    weight = 0
    candidates: list[_Evictable] = []
    key_sizes: dict[str, tuple[os.stat_result, Path]] = {}
    derivable: set[str] = set()
    for path in (data / "keys").glob("*/*"):
        with contextlib.suppress(OSError):
            if path.suffix == ".origin":
                derivable.add(path.stem)
            elif path.suffix == ".key":
                key_sizes[path.stem] = (path.stat(), path)
    weight += sum(found.st_size for found, _ in key_sizes.values())
    for path in (data / "pages").glob("*/*/*.png"):
        with contextlib.suppress(OSError):
            found, paths, size = path.stat(), [path], 0
            for copy in (path.with_suffix(suffix) for suffix in COPIES):
                if copy.exists():
                    size += copy.stat().st_size
                    paths.append(copy)
            size += found.st_size
            weight += size
            if path.stem in derivable and path.stem in key_sizes:
                # Where two editions show one key, the first to go takes it; it can be derived again.
                key_found, key_path = key_sizes.pop(path.stem)
                paths.append(key_path)
                size += key_found.st_size
            candidates.append(_Evictable(found.st_mtime_ns, size, tuple(paths)))
    for mark, (found, path) in key_sizes.items():
        if mark in derivable:
            candidates.append(_Evictable(found.st_mtime_ns, found.st_size, (path,)))
    return weight, candidates


def _age(path: Path) -> float:
    """Seconds since a file was written; 0 if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
