"""The store: finding and keeping pages on disk, by edition and mark, each file complete or not there at all.

Owns everything under the data directory's `pages/`, `keys/`, `links/` and `set-aside/`; what stands in the small files
is described in `records`, and `upkeep` makes room and checks files. Imports neither Django, Celery nor torch; the site
and the press both use it.

    pages/<edition>/<ma>/<mark>.png .640.webp .webp .json   picture, the copy that its page shows, thumbnail, and the
                                                    record, which has the digests of the other three
    keys/<ma>/<mark>.key                            the 142,077 bytes; their SHA-256 begins with the mark
    keys/<ma>/<mark>.origin                         an address the key can be derived from, or other keys by their marks
                                                    (worker.catalogue.walks), under a digest: two lines; where there is
                                                    none the key never goes
    links/<edition>/<di>/<digest of address>        the mark behind an address with a digest, and the address: two lines
    set-aside/                                      files that did not match their digest, for a human to look at

Names of files are made of marks, digests and slugs only, never of what a visitor wrote. A page can be printed again, so
losing a file costs time; serving a damaged one would be a failure, so every file is checked when it is read.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import os
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.catalogue import webp
from worker.catalogue.address import Address, is_slug
from worker.catalogue.key import Key, is_mark
from worker.catalogue.png import pixel_digest
from worker.catalogue.walks import Derivation
from worker.errors import BabeliaError, StoreUnavailable
from worker.files import write_atomically
from worker.store.records import (
    Origin,
    PageRecord,
    Picture,
    format_link,
    format_origin,
    parse_link,
    parse_origin,
    seal,
    unseal,
)

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 320, 208
THUMBNAIL_QUALITY = 82
COPIES: Final = (".640.webp", ".webp")
"""What is made of a picture and goes with it: the WebP that its page shows, the thumbnail."""
FILES_RESERVE = 64
"""Files (inodes) that a disk has to have room for."""
PROBE_BYTES = 2**20
"""More than a page takes with its key, thumbnail and record."""

log = logging.getLogger(__name__)


class Store:
    """The kept pages under one data directory. Safe to use from several threads and processes at once."""

    def __init__(self, data: Path, *, budget: int | None = None, reserve: int = 1 << 30) -> None:
        """`budget`: bytes the store may take (None: no limit); `reserve`: bytes of the disk that always stay free."""
        self.data = data
        self.budget = budget or None
        self.reserve = reserve
        self.unweighed: int | None = None  # bytes written since it was last weighed (`upkeep`); None: never weighed

    # -- finding

    def find(self, address: Address) -> str | None:
        """The mark of the kept page behind an address, or None while no picture of it is kept."""
        mark = self.linked(address)
        return mark if mark is not None and self.has(address.edition, mark) else None

    def linked(self, address: Address) -> str | None:
        """The mark that an address is known to resolve to, whether or not its picture is kept; or None."""
        if address.kind == "mark":
            return address.name
        try:
            data = self._read(self._link_path(address))
        except StoreUnavailable:  # as good as absent: a print writes it again
            return None
        link = parse_link(data) if data is not None else None
        if link is None or link.address != address:
            return None
        return link.mark if link.sealed or self.can_resolve(link.mark) else None

    def has(self, edition: str, mark: str) -> bool:
        """Whether the picture of a mark in an edition is kept."""
        base = self._page_path(edition, mark)
        return base.with_suffix(".png").is_file() and base.with_suffix(".json").is_file()

    def picture(self, address: Address) -> Picture | None:
        """The kept PNG, verified; None if there is none. A damaged file is set aside and counts as none.

        Counts as an opening: the least recently opened pictures go first when the disk budget is reached.
        """
        mark = self.linked(address)
        record = self.record(address.edition, mark) if mark is not None else None
        if mark is None or record is None:
            return None
        path = self._page_path(address.edition, mark).with_suffix(".png")
        png = self._read(path)
        if png is None:
            return None
        digest = hashlib.sha256(png).hexdigest()
        if digest != record.file_digest:
            self.set_aside(path, "does not match the digest in its facts")
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return Picture(png, mark, digest)

    def thumbnail(self, edition: str, mark: str) -> bytes | None:
        """The small WebP of a kept page, 320 × 208, verified; made again from the picture where it is damaged."""
        return self._copy(edition, mark, ".webp")

    def webp(self, edition: str, mark: str) -> bytes | None:
        """The WebP that a kept page shows, verified; made of the picture where it is damaged or was never made.

        Counts as an opening, as `picture` does.
        """
        found = self._copy(edition, mark, ".640.webp")
        if found is not None:
            with contextlib.suppress(OSError):
                os.utime(self._page_path(edition, mark).with_suffix(".png"))
        return found

    def _copy(self, edition: str, mark: str, suffix: Literal[".webp", ".640.webp"]) -> bytes | None:
        """What was made of a picture, verified against its record; made again where it is damaged or missing."""
        record = self.record(edition, mark)
        if record is None:
            return None
        field = "thumbnail_digest" if suffix == ".webp" else "webp_digest"
        path = self._page_path(edition, mark).with_suffix(suffix)
        data = self._read(path)
        if data is not None and hashlib.sha256(data).hexdigest() == getattr(record, field):
            return data
        if data is not None:
            self.set_aside(path, "does not match the digest in its facts")
        picture = self.picture(Address(edition, "mark", mark, None))
        if picture is None:
            return None
        with Image.open(io.BytesIO(picture.png), formats=["PNG"]) as image:
            pixels = np.asarray(image.convert("RGB"))
        if suffix == ".webp":
            data = _thumbnail(pixels)
        else:
            data = webp.encode_page(pixels, address=record.address, mark=mark)
            record = replace(record, webp_size=len(data))
        changes: dict[str, Any] = {field: hashlib.sha256(data).hexdigest()}
        with contextlib.suppress(StoreUnavailable):  # a disk that takes nothing: it is shown all the same
            remade = seal(replace(record, **changes))
            self._write({path: data, self._page_path(edition, mark).with_suffix(".json"): remade})
        return data

    def record(self, edition: str, mark: str) -> PageRecord | None:
        """The record of a page that was printed, even when its picture has made room for others since; or None."""
        path = self._page_path(edition, mark).with_suffix(".json")
        data = self._read(path)
        if data is None:
            return None
        record = unseal(data)
        if record is None or (record.edition, record.mark) != (edition, mark):
            self.set_aside(path, "does not match its own seal")
            return None
        return record

    def key(self, mark: str) -> Key | None:
        """The key of a mark, verified; None where the library does not have its bits (see `origin`)."""
        path = self._key_path(mark)
        data = self._read(path)
        if data is None:
            return None
        try:
            key = Key(data)
        except BabeliaError:
            key = None
        if key is None or key.mark != mark:
            self.set_aside(path, "does not match its mark")
            return None
        return key

    def origin(self, mark: str) -> Origin | None:
        """What a mark's key can be derived from again: an address, or other keys; None where there is nothing."""
        data = self._read(self._key_path(mark).with_suffix(".origin"))
        return parse_origin(data) if data is not None else None

    def can_resolve(self, mark: str) -> bool:
        """Whether a page of this mark can be printed here: its key is stored or can be derived again."""
        path = self._key_path(mark)
        return path.is_file() or path.with_suffix(".origin").is_file()

    # -- keeping

    def keep_key(self, key: Key) -> str:
        """Keep a key that came from outside (pasted, uploaded, found) for good; return its mark.

        Raises StoreUnavailable where it would eat into the free-space reserve.
        """
        path = self._key_path(key.mark)
        if not path.is_file():
            self.require_room()
            self._write({path: key.data})
        return key.mark

    def note_derivations(self, derivations: dict[str, Derivation]) -> None:
        """Write down, by their marks, how keys are derived from others that can be resolved here; all or none.

        Raises StoreUnavailable, also where it would eat into the free-space reserve.
        """
        if derivations:
            self.require_room()
            self._write(
                {self._key_path(mark).with_suffix(".origin"): format_origin(how) for mark, how in derivations.items()}
            )

    def link(self, address: Address, key: Key) -> None:
        """Write down which key an address resolves to, and that the key can be derived from the address."""
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
        weights: str | None = None,
        unread: str | None = None,
    ) -> PageRecord:
        """Keep a printed page: its key, picture and copies, record and link. `pixels`: (416, 640, 3), what `png` shows.

        `weights`: the digest of the weights it was printed with. Where an earlier print had others, both are named.
        Raises StoreUnavailable if the disk is full or cannot be written; nothing of the page counts as kept then.
        """
        mark, edition = key.mark, address.edition
        small, shown = _thumbnail(pixels), webp.encode_page(pixels, address=address.format(), mark=mark)
        record = PageRecord(
            mark=mark,
            edition=edition,
            address=address.format(),
            rendition=rendition,
            pixel_digest=pixel_digest(pixels),
            file_digest=hashlib.sha256(png).hexdigest(),
            thumbnail_digest=hashlib.sha256(small).hexdigest(),
            size=len(png),
            steps=steps,
            seconds=round(seconds, 3),
            printed_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            flagged=flagged,
            weights=weights,
            unread=unread,
            webp_digest=hashlib.sha256(shown).hexdigest(),
            webp_size=len(shown),
        )
        before = self.record(edition, mark)
        if before is not None:
            record = _with_former_print(record, before)
        if before and before.rendition == rendition and before.pixel_digest != record.pixel_digest:
            log.error("Page %s/mark/%s printed other pixels than before on the same rendition.", edition, mark)
        base = self._page_path(edition, mark)
        self._write(
            {self._key_path(mark): key.data}
            | {base.with_suffix(".png"): png, base.with_suffix(".json"): seal(record)}
            | {base.with_suffix(".webp"): small, base.with_suffix(".640.webp"): shown}
            | self._link_files(address, key)
        )
        if self.unweighed is not None:
            self.unweighed += len(png) + len(small) + len(shown) + len(key.data)
        return record

    def note_unread(self, edition: str, mark: str, unread: str) -> None:
        """Write into the record of a kept page which end of its prompt was not read, where that is not known yet."""
        record = self.record(edition, mark)
        if record is not None and record.unread is None:
            noted = replace(record, unread=unread)
            self._write({self._page_path(edition, mark).with_suffix(".json"): seal(noted)})

    def require_room(self) -> None:
        """Raise StoreUnavailable, with what to do, if one more page would eat into the free-space reserve."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            found = os.statvfs(self.data)
        except OSError as error:
            raise _unavailable(error, self.data) from error
        free = found.f_bavail * found.f_frsize
        if free < self.reserve:
            raise StoreUnavailable(
                f"The disk has {free / 1e9:.1f} GB free, and {self.reserve / 1e9:.1f} GB are to stay free, so nothing "
                "new is drawn.",
                hint="Free some space, set BABELIA_DISK_BUDGET, or lower BABELIA_DISK_RESERVE.",
            )
        if found.f_files and found.f_favail < FILES_RESERVE:
            raise StoreUnavailable(
                f"The disk has room for {found.f_favail} more files, and a page takes seven, so nothing new is drawn.",
                hint="Delete files that are not needed; BABELIA_DISK_BUDGET lets kept pages make room.",
            )

    def try_writing(self, edition: str) -> None:
        """Write as much as a page takes beside the pages of an edition, and delete it. Raises StoreUnavailable."""
        probe = self.data / "pages" / edition / ".probe"
        try:
            self._write({probe: bytes(PROBE_BYTES)})
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)

    def set_aside(self, path: Path, reason: str) -> None:
        """Move a damaged file out of the way, so that its page is printed again when somebody asks."""
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
        return {
            self._key_path(key.mark).with_suffix(".origin"): format_origin(address),
            self._link_path(address): format_link(address, key.mark),
        }

    def _write(self, files: dict[Path, bytes]) -> None:
        try:
            try:
                write_atomically(files)
            except (IsADirectoryError, NotADirectoryError, FileExistsError):
                for path in files:
                    self._clear_the_way(path)
                write_atomically(files)
        except OSError as error:
            raise _unavailable(error, self.data) from error

    def _read(self, path: Path) -> bytes | None:
        """A file's bytes, None if it is not there; StoreUnavailable if the disk does not let us read it."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except (IsADirectoryError, NotADirectoryError):
            self._clear_the_way(path)
            return None
        except OSError as error:
            raise _unavailable(error, path) from error

    def _clear_the_way(self, path: Path) -> None:
        """Set aside a folder that took the place of a file of ours, and a file that took the place of its folders."""
        if path.is_dir():
            self.set_aside(path, "is a folder where a file belongs")
        for folder in path.parents:
            if folder == self.data:
                break
            if folder.exists() and not folder.is_dir():
                self.set_aside(folder, "is a file where a folder belongs")


def _with_former_print(record: PageRecord, before: PageRecord) -> PageRecord:
    """A record that says of the print before which weights it had, where they were others."""
    weights, pixels = before.former_weights, before.former_pixel_digest
    if before.known_weights and record.known_weights and before.known_weights != record.known_weights:
        weights, pixels = before.known_weights, before.pixel_digest
    return replace(record, former_weights=weights, former_pixel_digest=pixels)


def _unavailable(error: OSError, path: Path) -> StoreUnavailable:
    """What to raise where the disk fails; the path is for the log alone, and the sentence for visitors too."""
    log.error("The disk does not work with us at %s: %s", path, error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnavailable(
            "The disk is full, so nothing new can be kept.", hint="Free some space, or set BABELIA_DISK_BUDGET."
        )
    return StoreUnavailable(
        f"The library's disk does not work with us ({error.strerror}).",
        hint="Check that the data folder is there and can be written.",
    )


def _thumbnail(pixels: npt.NDArray[np.uint8]) -> bytes:
    """(416, 640, 3) → WebP of 320 × 208."""
    out = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize(
        (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT), Image.Resampling.BOX
    )
    image.save(out, "WEBP", quality=THUMBNAIL_QUALITY, method=2)
    return out.getvalue()
