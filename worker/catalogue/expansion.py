"""Expansions: from what an address says to the bits of its key. NumPy only.

Links depend on every byte here: the same address gives the same key for ever, on every installation of its edition.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from worker.catalogue.address import Address
from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import BYTES, LATENTS_CODES, LATENTS_SHAPE, Floats, Key, snap_embedding

Embed = Callable[[str], npt.NDArray[np.float64]]
"""The embedding (77, 768) of a prompt, by an edition's text encoder."""
KeyOfMark = Callable[[str], Key]
"""The key of a mark, from wherever keys are stored."""


@dataclass(frozen=True)
class Lexicon:
    """The phrases of which short keys are made; each tuple without repetition and never empty."""

    subjects: tuple[str, ...]
    settings: tuple[str, ...] = ("",)
    styles: tuple[str, ...] = ("",)


@cache
def gaussian_table() -> npt.NDArray[np.uint16]:
    """Return the 65,536 latent codes of Φ⁻¹((i + ½) / 65536), read-only: equal shares of a normal distribution."""
    inverse = NormalDist().inv_cdf
    table = LATENTS.encode(np.array([inverse((i + 0.5) / 65536) for i in range(65536)]))
    table.flags.writeable = False
    return table


def page_latents(kind: str, name: str, page: int) -> Floats:
    """Return the initial latents (4, 52, 80), float16, of a page of a `key` or `prompt` volume.

    SHAKE-256 of "babelia/1/latents", kind, name and page (joined by NUL) gives 16,640 big-endian 16-bit numbers; each
    picks a value of `gaussian_table`.
    """
    stream = _shake(2 * LATENTS_CODES, "latents", kind, name, str(page))
    return LATENTS.decode(gaussian_table()[np.frombuffer(stream, ">u2")]).reshape(LATENTS_SHAPE)


def stacks_key(name: str, page: int) -> Key:
    """Return the key of a page of the stacks: 142,077 bytes of SHAKE-256, uniformly random."""
    return Key(_shake(BYTES, "stacks", name, str(page)))


def volume_phrases(name: str, lexicon: Lexicon) -> tuple[str, str, float]:
    """Return the two phrases that a short key draws from a lexicon, and the weight of the first, in [¼, ¾).

    SHAKE-256 of "babelia/1/volume" and the name (joined by NUL) gives seven big-endian 64-bit numbers u: subject,
    setting and style of the first phrase, those of the second, and the weight. Out of a list of n the entry
    ⌊u·n / 2⁶⁴⌋ is taken; the weight is ¼ + ½·⌊u / 2¹¹⌋ / 2⁵³. A phrase is its three entries joined by spaces,
    empty ones left out.

    Worked example: a u of 2⁶³ takes entry 60 of 120 subjects, and as the seventh number it is the weight ½.
    """
    stream = _shake(7 * 8, "volume", name)
    numbers = [int.from_bytes(stream[8 * i : 8 * i + 8], "big") for i in range(7)]
    lists = (lexicon.subjects, lexicon.settings, lexicon.styles)
    drawn = [entries[u * len(entries) >> 64] for u, entries in zip(numbers[:6], lists * 2, strict=True)]
    weight = 0.25 + 0.5 * ((numbers[6] >> 11) * 2.0**-53)
    return _phrase(drawn[:3]), _phrase(drawn[3:]), weight


def mix(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], weight: float) -> Floats:
    """Return weight · first + (1 − weight) · second, value by value in float64, snapped: (77, 768) float16."""
    return snap_embedding(weight * first.astype(np.float64) + (1.0 - weight) * second.astype(np.float64))


def resolve(address: Address, lexicon: Lexicon, default_steps: int, embed: Embed, key_of_mark: KeyOfMark) -> Key:
    """Return the key that an address names in the edition that `lexicon`, `default_steps` and `embed` belong to.

    What `key_of_mark` raises for a mark without a key passes through.
    """
    if address.kind == "mark":
        return key_of_mark(address.name)
    assert address.page is not None, "only a mark has no page"
    if address.kind == "stacks":
        return stacks_key(address.name, address.page)
    if address.kind == "prompt":
        embedding = snap_embedding(embed(address.name))
    else:
        first, second, weight = volume_phrases(address.name, lexicon)
        embedding = mix(embed(first), embed(second), weight)
    latents = page_latents(address.kind, address.name, address.page)
    return Key.pack(default_steps, embedding, latents)


def _phrase(entries: list[str]) -> str:
    return " ".join(entry for entry in entries if entry)


def _shake(length: int, use: str, *parts: str) -> bytes:
    """Return `length` bytes of SHAKE-256 of "babelia/1/<use>" and the parts, joined by NUL, in UTF-8."""
    return hashlib.shake_256("\0".join((f"babelia/1/{use}", *parts)).encode()).digest(length)
