"""The store: what the library keeps on disk, by edition and mark, each file whole or not there at all.

Owns everything under the data directory's `pages/`, `keys/`, `links/` and `set-aside/`. Imports neither Django, Celery
nor torch; the site and the press both use it.

    pages/<edition>/<ma>/<mark>.png .webp .json     picture, thumbnail, facts (which hold the digests of the other two)
    keys/<ma>/<mark>.key                            the 142,077 bytes; their SHA-256 begins with the mark
    keys/<ma>/<mark>.origin                         an address the key can be derived from; absent → the key never goes
    links/<edition>/<di>/<digest of address>        the mark behind an address, one line
    set-aside/                                      files that did not match their digest, kept for a human to look at
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.address import Address
from worker.key import Key


@dataclass(frozen=True)
class Facts:
    """What is known of one kept page; the JSON beside its picture."""

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


class Store:
    """The kept pages under one data directory. Safe to use from several threads and processes at once."""

    def __init__(self, data: Path, *, budget: int | None = None, reserve: int = 1 << 30) -> None:
        """`budget`: bytes the store may take (None: no limit); `reserve`: bytes of the disk that always stay free."""
        raise NotImplementedError

    # -- finding (all fast, no database, no worker)

    def find(self, address: Address) -> str | None:
        """The mark of the kept page behind an address, or None while no picture of it is kept."""
        raise NotImplementedError

    def picture(self, address: Address) -> Picture | None:
        """The kept PNG, verified; None if there is none. A damaged file is set aside and counts as none.

        Counts as an opening: the least recently opened pictures go first when the disk budget is reached.
        """
        raise NotImplementedError

    def thumbnail(self, edition: str, mark: str) -> bytes | None:
        """The small WebP of a kept page, 320 × 208, verified; or None."""
        raise NotImplementedError

    def facts(self, edition: str, mark: str) -> Facts | None:
        """The facts of a page that was printed, even when its picture has made room for others since; or None."""
        raise NotImplementedError

    def key(self, mark: str) -> Key | None:
        """The key of a mark, verified; None where the library does not have its bits (see `origin`)."""
        raise NotImplementedError

    def origin(self, mark: str) -> Address | None:
        """An address that a mark's key can be derived from again; None where there is none."""
        raise NotImplementedError

    def knows(self, mark: str) -> bool:
        """Whether a page of this mark can be printed here: its key is held or can be derived."""
        raise NotImplementedError

    def recent(self, edition: str, limit: int = 24) -> list[Facts]:
        """The pages printed last, newest first. Walks the disk: for the press room, not for every request."""
        raise NotImplementedError

    # -- keeping

    def hold(self, key: Key) -> str:
        """Keeps a key that came from outside (pasted, uploaded, found) for ever; returns its mark."""
        raise NotImplementedError

    def link(self, address: Address, mark: str) -> None:
        """Writes down which mark an address resolves to."""
        raise NotImplementedError

    def keep(
        self, address: Address, key: Key, png: bytes, *, pixel_digest: str, rendition: str, steps: int, seconds: float
    ) -> Facts:
        """Keeps a printed page: key, picture, thumbnail, facts, link, in this order, each whole before the next.

        StoreUnavailable if the disk is full or cannot be written.
        """
        raise NotImplementedError

    def require_room(self) -> None:
        """StoreUnavailable, with what to do, if printing one more page would eat into the free-space reserve."""
        raise NotImplementedError

    # -- looking after

    def trim(self) -> int:
        """If the store is over its budget, lets the least recently opened pictures go until 90 % of it; bytes freed."""
        raise NotImplementedError

    def scrub(self) -> Iterator[Damage | Path]:
        """Checks every file against its digest; yields each path that is whole, and a Damage for each set aside."""
        raise NotImplementedError
