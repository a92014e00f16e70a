"""Copies of kept pages: of which kept picture is this one a JPEG, a screenshot, a cut?

Two sieves. A perceptual hash of every kept picture (ImageHash's difference hash, 256 bits, of its inner nine tenths)
stands in an index, and the nearest to a picture under some cuts of it are candidates; each is then laid on the picture,
with scale and place found by least squares, and compared pixel by pixel. The hash alone decides nothing, so that it may
let much through.

The index, `finding/copies.index` under the data folder, is a convenience: 96 bytes a picture, each with its own
checksum, made of the thumbnails of what is kept whenever it lacks some. `note` adds a picture as it is kept; an index
that cannot be written loses nothing, for `find` makes up for it. May import worker.errors, catalogue and store, NumPy,
Pillow and ImageHash; never torch.
"""

import contextlib
import io
import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.catalogue.address import Address, is_slug
from worker.catalogue.comparison import compare, pixels_of
from worker.catalogue.key import is_mark
from worker.catalogue.png import HEIGHT, WIDTH
from worker.finding.registration import register, warp
from worker.store.hidden import is_hidden
from worker.store.store import Store

Pixels = npt.NDArray[np.uint8]
FILE: Final = "finding/copies.index"
_SIDE: Final = 16
"""Of the hash: 16 rows of 16 differences."""
_RECORD: Final = np.dtype(
    [("mark", "S26"), ("edition", "S32"), ("hash", "u8", 4), ("pad", "S2"), ("check", "u4")], align=False
)
_INNER: Final = 0.05
"""Of each side, that the hash leaves out, so that a cut picture still has what was hashed."""
_CANDIDATES: Final = 8
_APART: Final = 72
"""Bits of 256 that a candidate's hash may differ in: unrelated pictures differ in 128, give or take 8 to 20."""
_LIKE: Final = 24.0
"""Decibels, once laid on it, from which a kept picture counts as what a copy was made of."""
_SHARE: Final = 0.06
"""Of the picture's variance, that may be left unexplained."""
_FLAT: Final = 6.0
"""Grey levels of standard deviation below which a picture shows too little to be told by its shapes."""
_FLAT_LIKE: Final = 38.0
"""Decibels that are asked for there, with the pictures laid on each other as they are."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copy:
    """A kept page that a picture was made of."""

    address: Address
    """Of its mark: edition/mark/name."""
    decibels: float
    """How far the picture is from it where they overlap; 100 where no pixel differs."""
    exact: bool
    """Whether the picture has the very pixels of the page."""

    @property
    def edition(self) -> str:
        """The edition in which it was printed."""
        return self.address.edition


class Copies:
    """The index of one data folder. Safe to use from several processes at once: records are appended whole."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path = store.data / FILE

    def note(self, edition: str, mark: str, pixels: Pixels) -> None:
        """Put a picture that was kept, (416, 640, 3) uint8, into the index; where that fails, `find` will."""
        record = _record(edition, mark, hash_of(Image.fromarray(pixels)))
        try:
            self._append(record)
        except OSError as error:
            log.warning("The index of copies could not be written (%s); it is made up for later.", error.strerror)

    def find(self, pixels: Pixels, most: int = 4) -> list[Copy]:
        """The kept and shown pages that a picture (416, 640, 3) uint8 is a copy of, the nearest first.

        Raises StoreUnavailable where the disk does not let us read.
        """
        records = self.complete()
        if not len(records):
            return []
        found = []
        image = Image.fromarray(pixels)
        for row in _nearest(records["hash"], _cuts(image)):
            edition, mark = records["edition"][row].decode(), records["mark"][row].decode()
            copy = self._compare(Address(edition, "mark", mark, None), pixels)
            if copy is not None:
                found.append(copy)
        return sorted(found, key=lambda copy: -copy.decibels)[:most]

    def complete(self) -> npt.NDArray[np.void]:
        """The records of all that is kept; what the index lacks is added to it, and it is written anew if damaged."""
        records, whole = self._read()
        kept = _kept(self._store.data)
        known = {(record["edition"], record["mark"]) for record in records}
        missing = [page for page in kept if page not in known]
        stays = np.array([(record["edition"], record["mark"]) in kept for record in records], bool)
        added = []
        for edition, mark in missing:
            thumbnail = self._store.thumbnail(edition.decode(), mark.decode())
            if thumbnail is None:
                continue
            with contextlib.suppress(OSError, ValueError), Image.open(io.BytesIO(thumbnail), formats=["WEBP"]) as image:
                added.append(_record(edition.decode(), mark.decode(), hash_of(image.convert("RGB"))))
        gone = len(records) - int(stays.sum())
        if added:
            records = np.concatenate([records, np.concatenate(added)])
            stays = np.concatenate([stays, np.ones(len(added), bool)])
        shown: npt.NDArray[np.void] = records[stays]
        try:
            if not whole or gone > len(shown):
                self._replace(shown)
            elif added:
                self._append(np.concatenate(added))
        except OSError as error:
            log.warning("The index of copies could not be written (%s).", error.strerror)
        return shown

    def _compare(self, address: Address, pixels: Pixels) -> Copy | None:
        """What a candidate is of the picture; None where it is nothing, or is not to be seen."""
        record = self._store.record(address.edition, address.name)
        if record is None or is_hidden(self._store.data, Address.parse_kept(record.address), address.name):
            return None
        picture = self._store.picture(address)
        if picture is None:
            return None
        page = pixels_of(picture.png)
        plain = compare(page, pixels)
        if plain.psnr is None:
            return Copy(address, 100.0, True)
        spread = float(pixels.std(axis=(0, 1)).mean())
        if spread < _FLAT:
            return Copy(address, plain.psnr, False) if plain.psnr >= _FLAT_LIKE else None
        place = register(page, pixels)
        if place is None:
            return None
        laid, covered = warp(page, place, (HEIGHT, WIDTH))
        left = ((laid - pixels)[covered].astype(np.float64) ** 2).mean()
        decibels = max(plain.psnr, round(10 * float(np.log10(255**2 / max(left, 1e-6))), 2))
        share = left / max(float(pixels[covered].astype(np.float64).var(axis=0).mean()), 1e-6)
        return Copy(address, decibels, False) if decibels >= _LIKE and share <= _SHARE else None

    # -- the file

    def _read(self) -> tuple[npt.NDArray[np.void], bool]:
        """The sound records of the index, the last of each page, and whether every byte of the file was sound."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return np.empty(0, _RECORD), True
        except OSError as error:
            log.warning("The index of copies cannot be read (%s).", error.strerror)
            return np.empty(0, _RECORD), False
        rows = np.frombuffer(data[: len(data) // _RECORD.itemsize * _RECORD.itemsize], _RECORD)
        sound = np.array([_is_sound(row) for row in rows], bool)
        last = {(row["edition"], row["mark"]): place for place, row in enumerate(rows) if sound[place]}
        whole = bool(sound.all()) and len(data) % _RECORD.itemsize == 0
        return rows[sorted(last.values())], whole

    def _append(self, records: npt.NDArray[np.void]) -> None:
        """Write records at the end, in one call, so that those of several processes do not mix."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, records.tobytes())
        finally:
            os.close(handle)

    def _replace(self, records: npt.NDArray[np.void]) -> None:
        from worker.files import write_atomically

        write_atomically({self._path: records.tobytes()})


def hash_of(image: Image.Image) -> npt.NDArray[np.uint64]:
    """The perceptual hash, 4 × 64 bits, of a page's inner nine tenths."""
    width, height = image.size
    box = (width * _INNER, height * _INNER, width * (1 - _INNER), height * (1 - _INNER))
    return _hash(image.convert("L"), box)


def _hash(grey: Image.Image, box: tuple[float, float, float, float]) -> npt.NDArray[np.uint64]:
    small = grey.resize((_SIDE + 1, _SIDE), Image.Resampling.BILINEAR, box=box)
    return np.packbits(imagehash.dhash(small, _SIDE).hash).view(np.uint64)


def _cuts(image: Image.Image) -> npt.NDArray[np.uint64]:
    """The hashes (n, 4) of a picture's parts that may be the inner nine tenths of a page, cut or not.

    A page is taken to be cut on each axis by nothing, a twentieth or a tenth: at one end, at the other, or at both.
    """
    grey = image.convert("L").resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.BOX)
    width, height = grey.size
    spans = []
    for cut in (0.0, 0.05, 0.1):
        for before in sorted({0.0, cut / 2, cut}):
            ends = ((_INNER - before) / (1 - cut), (1 - _INNER - before) / (1 - cut))
            spans.append((max(0.0, ends[0]), min(1.0, ends[1])))
    boxes = [(x0 * width, y0 * height, x1 * width, y1 * height) for x0, x1 in spans for y0, y1 in spans]
    return np.stack([_hash(grey, box) for box in boxes])


def _nearest(hashes: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64]) -> list[int]:
    """The rows of `hashes` (N, 4) nearest to any of `wanted` (n, 4), the nearest first, at most `_CANDIDATES`."""
    apart = np.full(len(hashes), 256, np.int64)
    for one in wanted:
        np.minimum(apart, np.bitwise_count(hashes ^ one).sum(axis=1, dtype=np.int64), out=apart)
    order = np.argsort(apart, kind="stable")[:_CANDIDATES]
    return [int(row) for row in order if apart[row] <= _APART]


def _record(edition: str, mark: str, hashed: npt.NDArray[np.uint64]) -> npt.NDArray[np.void]:
    record = np.zeros(1, _RECORD)
    record["mark"], record["edition"], record["hash"] = mark.encode(), edition.encode(), hashed
    record["check"] = zlib.crc32(record.tobytes()[: _RECORD.itemsize - 4])
    return record


def _is_sound(row: np.void) -> bool:
    if zlib.crc32(row.tobytes()[: _RECORD.itemsize - 4]) != row["check"]:
        return False
    return is_mark(row["mark"].decode("ascii", "replace")) and is_slug(row["edition"].decode("ascii", "replace"))


def _kept(data: Path) -> set[tuple[bytes, bytes]]:
    """(edition, mark) of every picture that is kept."""
    return {
        (path.parent.parent.name.encode(), path.stem.encode())
        for path in (data / "pages").glob("*/*/*.png")
        if is_mark(path.stem) and is_slug(path.parent.parent.name)
    }
