"""The key: everything that decides one picture, as bytes, as text and as arrays. NumPy only.

Format 1, most significant bit first: 6 bits of level (steps = 2 × (level + 1)), the embedding (77, 768) row by row as
15-bit floats without its two constant places, the initial latents (4, 52, 80) row by row as 15-bit floats; together
1,136,616 bits = 142,077 bytes = 189,436 characters of A–Z a–z 0–9 - _.

Worked example: the key whose bits are all 0 is 189,436 times "A"; its steps are 2, its embedding is 2⁻¹² everywhere but
at the two constant places, its latents are 2⁻¹⁴ everywhere. The next key ends in "B"; the one before is all "_".
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.catalogue.float15 import EMBEDDING, LATENTS
from worker.errors import KeyRefused

EMBEDDING_SHAPE = (77, 768)
LATENTS_SHAPE = (4, 52, 80)
CONSTANTS = {19: -28.078125, 681: 33.09375}
"""Flat positions of the embedding that no key stores, and the values that stand there."""

LEVEL_BITS = 6
CODE_BITS = 15
EMBEDDING_CODES = EMBEDDING_SHAPE[0] * EMBEDDING_SHAPE[1] - len(CONSTANTS)
LATENTS_CODES = LATENTS_SHAPE[0] * LATENTS_SHAPE[1] * LATENTS_SHAPE[2]
BITS = LEVEL_BITS + CODE_BITS * (EMBEDDING_CODES + LATENTS_CODES)
BYTES = BITS // 8
CHARACTERS = BITS // 6
STEPS_LIMIT = 2 << LEVEL_BITS

_PLACES = np.delete(np.arange(EMBEDDING_SHAPE[0] * EMBEDDING_SHAPE[1]), list(CONSTANTS))
_FOREIGN = re.compile(r"[^A-Za-z0-9_+/\s-]")
_MARK = re.compile(r"[a-z2-7]{25}[aeimquy4]", re.ASCII)  # 128 bits in 26 × 5: the last two bits are 0

Floats = npt.NDArray[np.float16]


def snap_embedding(values: npt.ArrayLike) -> Floats:
    """Return an embedding (77, 768) on the key's grid, float16, with the two constants in their places."""
    array = np.asarray(values)
    if array.shape != EMBEDDING_SHAPE:
        raise KeyRefused(f"An embedding has the shape {EMBEDDING_SHAPE}; this one has {array.shape}.")
    snapped = EMBEDDING.snap(array)
    for place, value in CONSTANTS.items():
        snapped.flat[place] = value
    return snapped


def is_mark(text: str) -> bool:
    """Say whether `text` is a mark: 26 characters of lower-case base32 that stand for 16 bytes."""
    return _MARK.fullmatch(text) is not None


@dataclass(frozen=True)
class Key:
    """One key. Two keys are equal when their bits are; every 142,077 bytes are a key."""

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != BYTES:
            raise KeyRefused(f"A key has {BYTES:,} bytes; this one has {len(self.data):,}.", length=len(self.data))

    def __repr__(self) -> str:
        return f"<Key {self.mark}>"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Read a key's text: `+` and `/` count as `-` and `_`, white space is skipped, nothing is repaired.

        Raises KeyRefused, which names the first foreign character's position or the length found.
        """
        foreign = _FOREIGN.search(text) if not text.isascii() or _has_foreign(text) else None
        if foreign is not None:
            position = foreign.start() + 1
            raise KeyRefused(
                f"Character {position:,} of this key is {_name(foreign.group())}; a key has only A–Z a–z 0–9 - _.",
                position=position,
            )
        compact = "".join(text.split())
        if len(compact) != CHARACTERS:
            raise KeyRefused(
                f"A key has {CHARACTERS:,} characters; this one has {len(compact):,}{_off(len(compact))}.",
                length=len(compact),
            )
        return cls(base64.b64decode(compact.translate(_TO_STANDARD)))

    def format(self) -> str:
        """Return the key's text: 189,436 characters of A–Z a–z 0–9 - _."""
        return base64.urlsafe_b64encode(self.data).decode("ascii")

    @classmethod
    def pack(cls, steps: int, embedding: npt.ArrayLike, latents: npt.ArrayLike) -> "Key":
        """Return the key of `steps` (even, 2 … 128), an embedding (77, 768) and latents (4, 52, 80).

        Values are rounded to the key's grid. Raises KeyRefused for other shapes, NaN, other constants, other steps.
        """
        if steps % 2 or not 2 <= steps <= STEPS_LIMIT:
            raise KeyRefused(f"A key holds an even number of steps from 2 to {STEPS_LIMIT}, not {steps}.")
        embedding, latents = np.asarray(embedding), np.asarray(latents)
        for name, array, shape in (
            ("embedding", embedding, EMBEDDING_SHAPE),
            ("latents", latents, LATENTS_SHAPE),
        ):
            if array.shape != shape:
                raise KeyRefused(f"The {name} of a key has the shape {shape}; this one has {array.shape}.")
            if not np.isfinite(array).all():
                raise KeyRefused(f"The {name} of a key is made of finite numbers; this one is not.")
        for place, value in CONSTANTS.items():
            found = embedding.flat[place]
            if found != value:
                raise KeyRefused(f"The embedding of a key holds {value} at flat position {place}, not {found}.")
        codes = np.concatenate([EMBEDDING.encode(embedding.ravel()[_PLACES]), LATENTS.encode(latents.ravel())])
        bits = np.empty(BITS, np.uint8)
        bits[:LEVEL_BITS] = np.unpackbits(np.array([steps // 2 - 1], np.uint8))[-LEVEL_BITS:]
        sixteen = np.unpackbits(codes.astype(">u2").view(np.uint8)).reshape(-1, 16)
        bits[LEVEL_BITS:].reshape(-1, CODE_BITS)[:] = sixteen[:, 1:]
        return cls(np.packbits(bits).tobytes())

    @cached_property
    def _codes(self) -> npt.NDArray[np.uint16]:
        """Every 15-bit code of the key, in order (75,774).

        Eight codes take 15 bytes. Code r of eight begins 14 − r bits into the 32 that begin 2r − 1 bytes into those.
        """
        count = EMBEDDING_CODES + LATENTS_CODES
        eights = -(-count // 8)
        padded = b"\0" + self.data + bytes(15 * eights + 4 - BYTES)
        words = np.ndarray((eights, 8), ">u4", padded, strides=(15, 2))
        codes = (words >> np.arange(3, 11, dtype=np.uint32)).astype(np.uint16) & np.uint16(0x7FFF)
        return codes.reshape(-1)[:count]

    @cached_property
    def steps(self) -> int:
        """How many steps the key asks for: even, 2 … 128."""
        return 2 * ((self.data[0] >> 2) + 1)

    @cached_property
    def embedding(self) -> Floats:
        """The embedding, (77, 768) float16, read-only, exact."""
        flat = np.empty(EMBEDDING_SHAPE[0] * EMBEDDING_SHAPE[1], np.float16)
        flat[_PLACES] = EMBEDDING.decode(self._codes[:EMBEDDING_CODES])
        for place, value in CONSTANTS.items():
            flat[place] = value
        return _read_only(flat.reshape(EMBEDDING_SHAPE))

    @cached_property
    def latents(self) -> Floats:
        """The initial latents, (4, 52, 80) float16, read-only, exact."""
        return _read_only(LATENTS.decode(self._codes[EMBEDDING_CODES:]).reshape(LATENTS_SHAPE))

    @cached_property
    def mark(self) -> str:
        """The key's short name: base32 of the first 16 bytes of the SHA-256 of its bytes, 26 characters."""
        digest = hashlib.sha256(self.data).digest()[:16]
        return base64.b32encode(digest).decode("ascii").rstrip("=").lower()

    def next(self) -> "Key":
        """Return the key one above in numeric order; after the last comes the first."""
        return self._moved(1)

    def previous(self) -> "Key":
        """Return the key one below in numeric order; before the first comes the last."""
        return self._moved(-1)

    def _moved(self, by: int) -> "Key":
        number = (int.from_bytes(self.data, "big") + by) % (1 << BITS)
        return Key(number.to_bytes(BYTES, "big"))


_TO_STANDARD = str.maketrans("-_", "+/")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/"


def _has_foreign(text: str) -> bool:
    """Say quickly whether an ASCII text has anything beside a key's characters (white space counts)."""
    return bool(text.encode("ascii").translate(None, _ALPHABET))


def _name(character: str) -> str:
    """Name a character so that it can be found: itself where it can be seen, and its code point."""
    code = f"U+{ord(character):04X}"
    return f"“{character}” ({code})" if character.isprintable() else code


def _off(length: int) -> str:
    """Say how far a length is from a key's, where that helps to find the mistake."""
    if length == 0:
        return ": it is empty"
    by = length - CHARACTERS
    return f", {abs(by):,} too {'many' if by > 0 else 'few'}"


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array
