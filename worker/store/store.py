"""The store: what the library keeps on disk, by edition and mark, each file whole or not there at all.

Owns everything under the data directory's `pages/`, `keys/`, `links/` and `set-aside/`. Imports neither Django, Celery
nor torch; the site and the press both use it.

    pages/<edition>/<ma>/<mark>.png .webp .json     picture, thumbnail, facts (which hold the digests of the other two)
    keys/<ma>/<mark>.key                            the 142,077 bytes; their SHA-256 begins with the mark
    keys/<ma>/<mark>.origin                         an address the key can be derived from, under its digest: two lines;
                                                    where there is none the key never goes
    links/<edition>/<di>/<digest of address>        the mark behind an address, and the address: two lines
    set-aside/                                      files that did not match their digest, kept for a human to look at

Names of files are made of marks, digests and slugs only, never of what a visitor wrote. A page can be printed again, so
losing a file costs time; serving a damaged one would be a failure, so every file is checked when it is read.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import logging
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.catalogue.address import Address, is_slug
from worker.catalogue.key import Key, is_mark
from worker.catalogue.png import pixel_digest
from worker.errors import BabeliaError, StoreUnavailable
from worker.files import write_atomically

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 320, 208
THUMBNAIL_QUALITY = 82
LEFTOVER_AGE = 3600
"""Seconds after which a file that is half written, or a picture without facts, belongs to no print that still runs."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Facts:
    """What is known of one printed page; the JSON beside its picture."""

    mark: str
    edition: str
    address: str  # Address.format() of the address it was first printed for
    rendition: str  # one line, what pins the bits of the print
    pixel_digest: str  # sha256, hex, of the 640 × 416 × 3 pixel bytes
    file_digest: str  # sha256, hex, of the PNG file: the ETag
    thumbnail_digest: str  # sha256, hex, of the WebP file
    size: int  # bytes of the PNG file
    steps: int
    seconds: float  # from claim to kept
    when: str  # ISO 8601, UTC, of the print
    flagged: bool | None = None  # the safety checker's verdict; None where the edition has none, or it is off


@dataclass(frozen=True)
class Picture:
    """A kept page's PNG, checked against its digest."""

    png: bytes
    mark: str
    digest: str  # sha256, hex, of `png`: the ETag


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


class Store:
    """The kept pages under one data directory. Safe to use from several threads and processes at once."""

    def __init__(self, data: Path, *, budget: int | None = None, reserve: int = 1 << 30) -> None:
        """`budget`: bytes the store may take (None: no limit); `reserve`: bytes of the disk that always stay free."""
        self.data = data
        self.budget = budget or None
        self.reserve = reserve
        self._unweighed: int | None = None  # bytes kept since the store was last weighed; None: never weighed

    # -- finding: no database, no worker

    def find(self, address: Address) -> str | None:
        """The mark of the kept page behind an address, or None while no picture of it is kept."""
        mark = self.linked(address)
        return mark if mark is not None and self.has(address.edition, mark) else None

    def linked(self, address: Address) -> str | None:
        """The mark that an address is known to resolve to, whether or not its picture is kept; or None."""
        if address.kind == "mark":
            return address.name
        try:
            mark, text = self._link_path(address).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        except (OSError, ValueError):  # unreadable, or not two lines: as good as absent, and written anew by a print
            return None
        return mark if is_mark(mark) and text == address.format() else None

    def has(self, edition: str, mark: str) -> bool:
        """Whether the picture of a mark in an edition is kept."""
        base = self._page_path(edition, mark)
        return base.with_suffix(".png").exists() and base.with_suffix(".json").exists()

    def picture(self, address: Address) -> Picture | None:
        """The kept PNG, verified; None if there is none. A damaged file is set aside and counts as none.

        Counts as an opening: the least recently opened pictures go first when the disk budget is reached.
        """
        mark = self.linked(address)
        facts = self.facts(address.edition, mark) if mark is not None else None
        if mark is None or facts is None:
            return None
        path = self._page_path(address.edition, mark).with_suffix(".png")
        png = _read(path)
        if png is None:
            return None
        digest = hashlib.sha256(png).hexdigest()
        if digest != facts.file_digest:
            self._set_aside(path, "does not match the digest in its facts")
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return Picture(png, mark, digest)

    def thumbnail(self, edition: str, mark: str) -> bytes | None:
        """The small WebP of a kept page, 320 × 208, verified; made anew from the picture where it is damaged."""
        facts = self.facts(edition, mark)
        if facts is None:
            return None
        base = self._page_path(edition, mark)
        webp = _read(base.with_suffix(".webp"))
        if webp is not None and hashlib.sha256(webp).hexdigest() == facts.thumbnail_digest:
            return webp
        if webp is not None:
            self._set_aside(base.with_suffix(".webp"), "does not match the digest in its facts")
        picture = self.picture(Address(edition, "mark", mark, None))
        if picture is None:
            return None
        with Image.open(io.BytesIO(picture.png), formats=["PNG"]) as image:
            webp = _thumbnail(np.asarray(image.convert("RGB")))
        remade = replace(facts, thumbnail_digest=hashlib.sha256(webp).hexdigest())
        self._write({base.with_suffix(".webp"): webp, base.with_suffix(".json"): _seal(remade)})
        return webp

    def facts(self, edition: str, mark: str) -> Facts | None:
        """The facts of a page that was printed, even when its picture has made room for others since; or None."""
        path = self._page_path(edition, mark).with_suffix(".json")
        data = _read(path)
        if data is None:
            return None
        facts = _unseal(data)
        if facts is None or (facts.edition, facts.mark) != (edition, mark):
            self._set_aside(path, "does not match its own seal")
            return None
        return facts

    def key(self, mark: str) -> Key | None:
        """The key of a mark, verified; None where the library does not have its bits (see `origin`)."""
        path = self._key_path(mark)
        data = _read(path)
        if data is None:
            return None
        try:
            key = Key(data)
        except BabeliaError:
            key = None
        if key is None or key.mark != mark:
            self._set_aside(path, "does not match its mark")
            return None
        return key

    def origin(self, mark: str) -> Address | None:
        """An address that a mark's key can be derived from again; None where there is none."""
        data = _read(self._key_path(mark).with_suffix(".origin"))
        return _origin(data) if data is not None else None

    def knows(self, mark: str) -> bool:
        """Whether a page of this mark can be printed here: its key is held or can be derived."""
        path = self._key_path(mark)
        return path.exists() or path.with_suffix(".origin").exists()

    # -- keeping

    def hold(self, key: Key) -> str:
        """Keeps a key that came from outside (pasted, uploaded, found) for ever; returns its mark."""
        path = self._key_path(key.mark)
        if not path.exists():
            self._write({path: key.data})
        return key.mark

    def link(self, address: Address, key: Key) -> None:
        """Writes down which key an address resolves to, and so that the key can be derived from it."""
        self._write(self._link_files(address, key))

    def keep(
        self,
        address: Address,
        key: Key,
        png: bytes,
        pixels: npt.NDArray[np.uint8],
        *,
        rendition: str,
        steps: int,
        seconds: float,
        flagged: bool | None = None,
    ) -> Facts:
        """Keeps a printed page: its key, picture, thumbnail, facts and link. `pixels`: (416, 640, 3), what `png` shows.

        Raises StoreUnavailable if the disk is full or cannot be written; nothing of the page counts as kept then.
        """
        mark, edition = key.mark, address.edition
        webp = _thumbnail(pixels)
        facts = Facts(
            mark=mark,
            edition=edition,
            address=address.format(),
            rendition=rendition,
            pixel_digest=pixel_digest(pixels),
            file_digest=hashlib.sha256(png).hexdigest(),
            thumbnail_digest=hashlib.sha256(webp).hexdigest(),
            size=len(png),
            steps=steps,
            seconds=round(seconds, 3),
            when=datetime.now(UTC).isoformat(timespec="milliseconds"),
            flagged=flagged,
        )
        before = self.facts(edition, mark)
        if before and before.rendition == rendition and before.pixel_digest != facts.pixel_digest:
            log.error("Page %s/mark/%s printed other pixels than before on the same rendition.", edition, mark)
        base = self._page_path(edition, mark)
        self._write(
            {self._key_path(mark): key.data}
            | {base.with_suffix(".png"): png, base.with_suffix(".webp"): webp, base.with_suffix(".json"): _seal(facts)}
            | self._link_files(address, key)
        )
        if self._unweighed is not None:
            self._unweighed += len(png) + len(webp) + len(key.data)
        return facts

    def require_room(self) -> None:
        """Raises StoreUnavailable, with what to do, if one more page would eat into the free-space reserve."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            found = os.statvfs(self.data)
        except OSError as error:
            raise _unavailable(error, self.data) from error
        free = found.f_bavail * found.f_frsize
        if free < self.reserve:
            raise StoreUnavailable(
                f"The disk has {free / 1e9:.1f} GB free, and {self.reserve / 1e9:.1f} GB are to stay free, so nothing "
                "new is printed. What is kept can still be read.",
                hint="Free some space, set BABELIA_DISK_BUDGET, or lower BABELIA_DISK_RESERVE.",
            )

    # -- looking after

    def make_room(self) -> int:
        """Calls `trim` if a hundredth of the budget was kept since the last time; cheap otherwise. Bytes freed."""
        if self.budget is None or (self._unweighed is not None and self._unweighed < self.budget / 100):
            return 0
        return self.trim()

    def trim(self) -> int:
        """If the store is over its budget, lets the least recently opened pictures go until 90 % of it; bytes freed.

        A picture takes its thumbnail with it, and its key where that can be derived again; its facts and links stay.
        """
        if self.budget is None:
            return 0
        weight, candidates = self._weigh()
        self._unweighed = 0
        if weight <= self.budget:
            return 0
        freed, aim = 0, weight - int(0.9 * self.budget)
        candidates.sort(key=lambda candidate: candidate.opened)
        for candidate in candidates[:-1]:  # the page that is being opened right now stays, however small the budget
            if freed >= aim:
                break
            for path in candidate.paths:
                path.unlink(missing_ok=True)
            freed += candidate.size
        log.info("Let %.1f MB of pictures go to stay within the disk budget.", freed / 1e6)
        return freed

    def scrub(self) -> Iterator[Damage | Path]:
        """Checks every file against its digest; yields each path that is whole, and a Damage for each set aside.

        Removes what a print that died left half written.
        """
        for path in self._files():
            if path.name.endswith(".partial"):
                if _age(path) > LEFTOVER_AGE:
                    path.unlink(missing_ok=True)
                continue
            try:
                reason = self._fault(path)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    continue  # it made room, or was replaced, while we looked
                reason = f"cannot be read ({error.strerror})"
            if reason is None:
                yield path
                continue
            self._set_aside(path, reason)
            yield Damage(path, reason)

    def _fault(self, path: Path) -> str | None:
        """What is wrong with a file of ours, or None."""
        name, home = path.name, path.relative_to(self.data).parts[0]
        data = path.read_bytes()
        if home == "links":
            lines = data.decode("utf-8", "replace").splitlines()
            address = _address(lines[1].encode()) if len(lines) == 2 and is_mark(lines[0]) else None
            return None if address is not None and address.digest == name else "is no link from its address to a mark"
        if path.suffix == ".origin":
            return None if _origin(data) is not None else "does not match its digest"
        if path.suffix == ".key":
            mark = Key(data).mark if len(data) == 142_077 else None
            return None if mark == path.stem else "does not match its mark"
        facts_data = data if path.suffix == ".json" else _read(path.with_suffix(".json"))
        facts = _unseal(facts_data) if facts_data is not None else None
        if path.suffix == ".json":
            return None if facts is not None and facts.mark == path.stem else "does not match its own seal"
        if facts is None:
            return None if _age(path) < LEFTOVER_AGE else "has no facts beside it"
        expected = {".png": facts.file_digest, ".webp": facts.thumbnail_digest}.get(path.suffix)
        if expected is None:
            return "is no file of the store"
        return None if hashlib.sha256(data).hexdigest() == expected else "does not match the digest in its facts"

    def _files(self) -> Iterator[Path]:
        for home in ("pages", "keys", "links"):
            for folder, folders, names in os.walk(self.data / home):
                folders.sort()
                for name in sorted(names):
                    yield Path(folder) / name

    def _weigh(self) -> tuple[int, list[_Evictable]]:
        """The bytes of all pictures, thumbnails and keys, and what of it may go."""
        weight = 0
        candidates: list[_Evictable] = []
        key_sizes: dict[str, tuple[os.stat_result, Path]] = {}
        derivable: set[str] = set()
        for path in (self.data / "keys").glob("*/*"):
            with contextlib.suppress(OSError):
                if path.suffix == ".origin":
                    derivable.add(path.stem)
                elif path.suffix == ".key":
                    key_sizes[path.stem] = (path.stat(), path)
        weight += sum(found.st_size for found, _ in key_sizes.values())
        for path in (self.data / "pages").glob("*/*/*.png"):
            with contextlib.suppress(OSError):
                found, paths, size = path.stat(), [path], 0
                thumbnail = path.with_suffix(".webp")
                if thumbnail.exists():
                    size += thumbnail.stat().st_size
                    paths.append(thumbnail)
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

    def _set_aside(self, path: Path, reason: str) -> None:
        """Moves a damaged file out of the way, so that its page is printed again when somebody asks."""
        home = self.data / "set-aside"
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        aside = home / f"{stamp}-{secrets.token_hex(4)}-{'-'.join(path.relative_to(self.data).parts)}"
        try:
            home.mkdir(parents=True, exist_ok=True)
            path.rename(aside)
        except FileNotFoundError:
            return  # somebody else was faster
        except OSError as error:
            log.error("%s %s, and could not be set aside: %s.", path, reason, error.strerror)
            return
        log.warning("Set %s aside: it %s. Its page is printed again when somebody asks.", path, reason)

    # -- paths and writing

    def _page_path(self, edition: str, mark: str) -> Path:
        assert is_slug(edition), f"{edition!r} is no edition's slug"
        assert is_mark(mark), f"{mark!r} is no mark"
        return self.data / "pages" / edition / mark[:2] / mark

    def _key_path(self, mark: str) -> Path:
        assert is_mark(mark), f"{mark!r} is no mark"
        return self.data / "keys" / mark[:2] / f"{mark}.key"

    def _link_path(self, address: Address) -> Path:
        return self.data / "links" / address.edition / address.digest[:2] / address.digest

    def _link_files(self, address: Address, key: Key) -> dict[Path, bytes]:
        """The link from an address to its key's mark, and the origin of the key; nothing for a mark."""
        if address.kind == "mark":
            return {}
        text = address.format().encode()
        return {
            self._key_path(key.mark).with_suffix(".origin"): f"{address.digest}\n".encode() + text + b"\n",
            self._link_path(address): f"{key.mark}\n".encode() + text + b"\n",
        }

    def _write(self, files: dict[Path, bytes]) -> None:
        try:
            write_atomically(files)
        except OSError as error:
            raise _unavailable(error, self.data) from error


def _read(path: Path) -> bytes | None:
    """A file's bytes, None if it is not there; StoreUnavailable if the disk does not let us read it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unavailable(error, path) from error


def _unavailable(error: OSError, path: Path) -> StoreUnavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnavailable(
            "The disk is full, so nothing new can be kept.", hint="Free some space, or set BABELIA_DISK_BUDGET."
        )
    return StoreUnavailable(
        f"The disk does not work with us at {path} ({error.strerror}).",
        hint="Check that the data folder is there and can be written.",
    )


def _age(path: Path) -> float:
    """Seconds since a file was written; 0 if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _thumbnail(pixels: npt.NDArray[np.uint8]) -> bytes:
    """(416, 640, 3) → WebP of 320 × 208."""
    out = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize(
        (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT), Image.Resampling.BOX
    )
    image.save(out, "WEBP", quality=THUMBNAIL_QUALITY, method=2)
    return out.getvalue()


def _seal(facts: Facts) -> bytes:
    """Facts as JSON with a seal, the SHA-256 of the rest, so that damage is noticed."""
    found = asdict(facts)
    return json.dumps(found | {"seal": _seal_of(found)}, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _unseal(data: bytes) -> Facts | None:
    """The inverse of `_seal`; None for anything else."""
    try:
        found: dict[str, Any] = json.loads(data)
        seal = found.pop("seal")
        return Facts(**found) if seal == _seal_of(found) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _seal_of(found: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(found, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _origin(data: bytes) -> Address | None:
    """The address in an `.origin` file; None where its digest does not stand above it."""
    digest, _, text = data.partition(b"\n")
    address = _address(text)
    return address if address is not None and address.digest.encode() == digest else None


def _address(data: bytes) -> Address | None:
    """A stored address, strictly in its canonical spelling; None for anything else."""
    try:
        text = data.decode("utf-8").removesuffix("\n")
        address = Address.parse(text)
    except (UnicodeError, BabeliaError):
        return None
    return address if address.format() == text else None
