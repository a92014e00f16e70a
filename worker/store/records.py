"""What the store's files say: the sealed record of a printed page, the origin of a key, the link behind an address.

Contents only; where the files lie and how they are read is `store`'s. May import worker.catalogue and worker.errors.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from worker.catalogue.address import Address
from worker.catalogue.key import is_mark
from worker.catalogue.walks import Derivation, parse_derivation
from worker.errors import BabeliaError

_WEIGHTS_IN_RENDITION = re.compile(r"[a-z0-9.-]+ ([0-9a-f]{16}) ", re.ASCII)


@dataclass(frozen=True)
class PageRecord:
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
    seconds: float  # from the claim until it was stored
    printed_at: str  # ISO 8601, UTC
    flagged: bool | None = None  # the safety checker's verdict; None where the edition has none, or it is off
    weights: str | None = None  # sha256, hex, of the edition's weights; None in records of before it was written down
    former_weights: str | None = None  # the first 16 digits of those of an earlier print, where they were others
    former_pixel_digest: str | None = None  # of that earlier print

    @property
    def known_weights(self) -> str | None:
        """The first 16 digits of the weights' digest: an older record's, where its rendition names them; or None."""
        if self.weights is not None:
            return self.weights[:16]
        named = _WEIGHTS_IN_RENDITION.match(self.rendition)
        return named[1] if named else None

    unread: str | None = None  # the end of the prompt that was not read; None: no prompt, or unknown
    webp_digest: str | None = None  # sha256, hex, of the WebP that its page shows; None until that is made
    webp_size: int | None = None  # bytes of it


@dataclass(frozen=True)
class Picture:
    """A page's PNG out of the store, checked against its digest."""

    png: bytes
    mark: str
    digest: str  # sha256, hex, of `png`: the ETag


_OLD_NAMES = {"when": "printed_at"}
"""Fields of records that were written before the first release, by the name that they had; their seal holds that."""


def seal(record: PageRecord) -> bytes:
    """A record as JSON with a seal, the SHA-256 of the rest, so that damage is noticed."""
    fields = asdict(record)
    text = json.dumps(fields | {"seal": _seal_of(fields)}, ensure_ascii=False, indent=1, sort_keys=True)
    return text.encode() + b"\n"


def unseal(data: bytes) -> PageRecord | None:
    """The inverse of `seal`; None for anything else."""
    try:
        fields: dict[str, Any] = json.loads(data)
        if fields.pop("seal") != _seal_of(fields):
            return None
        return PageRecord(**{_OLD_NAMES.get(name, name): value for name, value in fields.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


Origin = Address | Derivation
"""What a key can be derived from again: an address, or other keys by their marks."""


def format_origin(origin: Origin) -> bytes:
    """What a key can be derived from, under the SHA-256 of its text."""
    text = origin.format()
    return f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n".encode()


def parse_origin(data: bytes) -> Origin | None:
    """The inverse of `format_origin`; None where the digest is not the text's."""
    digest, _, text = data.partition(b"\n")
    if hashlib.sha256(text.removesuffix(b"\n")).hexdigest().encode() != digest:
        return None
    return _canonical(text) or parse_derivation(text.removesuffix(b"\n").decode("ascii", "replace"))


@dataclass(frozen=True)
class Link:
    """The mark that an address resolves to."""

    mark: str
    address: Address
    sealed: bool  # whether a digest covers the mark; links of release 0.1.0 have none


def format_link(address: Address, mark: str) -> bytes:
    """The mark that an address resolves to and the digest of both, and the address."""
    return f"{mark} {_link_digest(mark, address)}\n{address.format()}\n".encode()


def parse_link(data: bytes) -> Link | None:
    """The inverse of `format_link`; None for anything else. Links of release 0.1.0, without a digest, are read too."""
    head, _, text = data.partition(b"\n")
    address = _canonical(text)
    mark, sealed, digest = head.decode("utf-8", "replace").partition(" ")
    if address is None or not is_mark(mark):
        return None
    if sealed and digest != _link_digest(mark, address):
        return None
    return Link(mark, address, bool(sealed))


def _link_digest(mark: str, address: Address) -> str:
    return hashlib.sha256(f"{mark}\n{address.format()}".encode()).hexdigest()


def _seal_of(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _canonical(data: bytes) -> Address | None:
    """A stored address, strictly in the spelling that it was kept in; None for anything else."""
    try:
        text = data.decode("utf-8").removesuffix("\n")
        address = Address.parse_kept(text)
    except (UnicodeError, BabeliaError):
        return None
    return address if address.format() == text else None
