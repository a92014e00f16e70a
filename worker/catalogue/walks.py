"""Walks: keys that are computed from one or two other keys: those near a page, the frames of a corridor. NumPy only.

Links depend on every bit here, on every machine and with any number of threads. Elementwise float64 in NumPy,
`math.fsum` (the exact sum, rounded once, in whatever order) and +, ×, /, √ are rounded the same everywhere by IEEE 754;
sines, cosines and sums inside NumPy or BLAS are not, and are not used.

A derivation is written as one line, `nearby <mark> latents far 3` or `between <mark> <mark> 21845`, and says how a key
is computed again whose bits have made room. It names other keys by their marks, so that it holds in every edition.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from worker.catalogue.expansion import gaussian_table, mix
from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import CONSTANTS, EMBEDDING_SHAPE, LATENTS_CODES, LATENTS_SHAPE, Key, is_mark, snap_embedding
from worker.errors import InputRefused

Of = Literal["latents", "words"]
Strength = Literal["hardly", "little", "clearly", "far"]
Wide = npt.NDArray[np.float64]

OFS: Final[tuple[Of, ...]] = get_args(Of)
STRENGTHS: Final[tuple[Strength, ...]] = get_args(Strength)
DIRECTIONS: Final = 8
"""Neighbours of a key, numbered 1 to 8 as they stand around it: three above, left, right, three below."""
SINES: Final[dict[Of, dict[Strength, float]]] = {
    "latents": {"hardly": 0.15, "little": 0.35, "clearly": 0.6, "far": 0.9},
    "words": {"hardly": 0.1, "little": 0.2, "clearly": 0.35, "far": 0.55},
}
"""The sine of the angle by which a neighbour is turned away."""
WHOLE: Final = 1 << 16
"""Places of the way between two keys: 0 is the first, WHOLE the second."""
FRAMES_LEAST, FRAMES_MOST = 3, 60
_HALVINGS: Final = 16
_OPPOSITE: Final = -0.999
"""The cosine of an angle from which on there is no one shortest way from latents to their opposites."""


@dataclass(frozen=True)
class Nearby:
    """One of the eight neighbours of a key, at some distance."""

    mark: str
    of: Of
    strength: Strength
    direction: int

    @property
    def parents(self) -> tuple[str, ...]:
        """The marks of the keys that it is computed from."""
        return (self.mark,)

    def format(self) -> str:
        """Return it as its line."""
        return f"nearby {self.mark} {self.of} {self.strength} {self.direction}"


@dataclass(frozen=True)
class Between:
    """A key on the way from one to another, at a place of 1 to WHOLE − 1."""

    first: str
    last: str
    place: int

    @property
    def parents(self) -> tuple[str, ...]:
        """The marks of the keys that it is computed from."""
        return (self.first, self.last)

    def format(self) -> str:
        """Return it as its line."""
        return f"between {self.first} {self.last} {self.place}"


Derivation = Nearby | Between


def parse_derivation(text: str) -> Derivation | None:
    """Read the line of a derivation; None for anything else, also for another spelling of one."""
    found: Derivation | None = None
    match text.split(" "):
        case ["nearby", mark, of, strength, direction] if is_mark(mark):
            if of in OFS and strength in STRENGTHS and direction in map(str, range(1, DIRECTIONS + 1)):
                found = Nearby(mark, of, strength, int(direction))
        case ["between", first, last, place] if is_mark(first) and is_mark(last) and first != last:
            if place.isascii() and place.isdigit() and len(place) < 6 and 0 < int(place) < WHOLE:
                found = Between(first, last, int(place))
    return found if found is not None and found.format() == text else None


def derive(derivation: Derivation, keys: Sequence[Key]) -> Key:
    """Return the key of a derivation, from the keys of its parents. Raises InputRefused where there is no way."""
    assert tuple(key.mark for key in keys) == derivation.parents, "a key is derived from the keys that it names"
    if isinstance(derivation, Between):
        return key_between(keys[0], keys[1], derivation.place)
    return nearby_key(keys[0], derivation.of, derivation.strength, derivation.direction)


# -- near a key


def nearby_key(key: Key, of: Of, strength: Strength, direction: int) -> Key:
    """Return a neighbour of a key: its latents, or its embedding, turned by a small angle towards a direction.

    The direction is SHAKE-256 of "babelia/1/nearby", mark, `of` and the direction's number (joined by NUL), read as
    standard normal numbers g as latents are. With a the values of the key and d what of the direction is upright to a
    and as long as it, the neighbour is √(1 − s²)·a + s·d, s the strength's sine: as long as a, so that latents stay
    noise. Steps are the key's.
    """
    assert 1 <= direction <= DIRECTIONS, "a key has eight neighbours"
    sine = SINES[of][strength]
    if of == "latents":
        turned = _turned(key.latents.astype(np.float64).ravel(), _normal(LATENTS_CODES, key, of, direction), sine)
        return Key.pack(key.steps, key.embedding, turned.reshape(LATENTS_SHAPE))
    embedding = key.embedding.astype(np.float64)
    return Key.pack(key.steps, snap_embedding(_turned_words(embedding, key, direction, sine)), key.latents)


def _turned_words(embedding: Wide, key: Key, direction: int, sine: float) -> Wide:
    """An embedding (77, 768), each token of which is moved alike, by numbers as large as each of the 768 varies."""
    tokens = embedding[1:]  # the first is the same in every embedding
    means = np.array([math.fsum(column) / len(tokens) for column in tokens.T.tolist()])
    squares = (tokens - means) ** 2
    spread = np.sqrt(np.array([math.fsum(column) for column in squares.T.tolist()]) / len(tokens))
    shift = _normal(EMBEDDING_SHAPE[1], key, "words", direction) * spread
    towards = np.tile(shift, (EMBEDDING_SHAPE[0], 1))
    own = embedding.copy()
    for place in CONSTANTS:
        own.flat[place] = towards.flat[place] = 0.0  # no key stores them, and they are larger than all others
    return _turned(own.ravel(), towards.ravel(), sine).reshape(EMBEDDING_SHAPE)


def _normal(count: int, key: Key, of: Of, direction: int) -> Wide:
    """So many numbers of a standard normal distribution, which hang on the key's mark and the direction alone."""
    said = "\0".join(("babelia/1/nearby", key.mark, of, str(direction)))
    drawn = np.frombuffer(hashlib.shake_256(said.encode()).digest(2 * count), ">u2")
    return LATENTS.decode(gaussian_table()[drawn]).astype(np.float64)


def _turned(values: Wide, towards: Wide, sine: float) -> Wide:
    """Turn values by an angle in the plane of values and `towards`; the length stays."""
    square = _dot(values, values)
    upright = towards - (_dot(towards, values) / square) * values
    length = _dot(upright, upright)
    if length == 0.0:  # a key made so on purpose
        return values
    scale = sine * math.sqrt(square / length)
    return math.sqrt(1.0 - sine * sine) * values + scale * upright


# -- between two keys


def places(frames: int) -> tuple[int, ...]:
    """Return the places of so many frames at equal steps, from 0 to WHOLE, rounded to whole ones."""
    return tuple(round(Fraction(WHOLE * index, frames - 1)) for index in range(frames))


def even_places(drawn: Sequence[int], differences: Sequence[float], frames: int) -> tuple[int, ...]:
    """Return the places of frames that are equally far from each other as pictures are, as far as is known.

    `differences` are those between the pictures of each two places `drawn` that follow each other. Their sum grows
    along the way; it is taken to grow evenly from one to the next, and the places are where it has each equal share.
    Where no picture differs, the places are at equal steps.
    """
    assert len(differences) == len(drawn) - 1, "a difference lies between two pictures"
    reached = [0.0]
    for difference in differences:
        reached.append(reached[-1] + difference)
    if not reached[-1] > 0.0:
        return places(frames)
    found, at = [0], 0
    for index in range(1, frames - 1):
        aim = reached[-1] * index / (frames - 1)
        while reached[at + 1] < aim:
            at += 1
        part = (aim - reached[at]) / (reached[at + 1] - reached[at])
        place = drawn[at] + round(part * (drawn[at + 1] - drawn[at]))
        found.append(min(max(place, found[-1] + 1), WHOLE - frames + 1 + index))  # no two frames are one
    return (*found, WHOLE)


def key_between(first: Key, last: Key, place: int) -> Key:
    """Return the key at a place of the way between two, 0 the first itself, WHOLE the last.

    With t the place's share of the way: embeddings are (1 − t)·first + t·last, value by value; latents go along the arc
    between them (Shoemake, “Animating rotation with quaternion curves”, 1985), and their length changes evenly. Steps
    are those of the first, whatever the last has; where both have as many, the way back leads over the same keys.
    Raises InputRefused where the latents are opposites.
    """
    if place in (0, WHOLE):
        return last if place else first
    share = place / WHOLE
    embedding = mix(last.embedding.astype(np.float64), first.embedding.astype(np.float64), share)
    one, other = first.latents.astype(np.float64).ravel(), last.latents.astype(np.float64).ravel()
    lengths = math.sqrt(_dot(one, one)), math.sqrt(_dot(other, other))
    length = (1.0 - share) * lengths[0] + share * lengths[1]
    weights = _arc(_dot(one, other) / (lengths[0] * lengths[1]), place)
    latents = (length * weights[0] / lengths[0]) * one + (length * weights[1] / lengths[1]) * other
    return Key.pack(first.steps, embedding, latents.reshape(LATENTS_SHAPE))


def require_way(first: Key, last: Key) -> None:
    """Raise InputRefused where no frame can stand between two keys."""
    if first == last:
        raise InputRefused("Both ends are the same picture, so there is no way between them.")
    key_between(first, last, WHOLE // 2)


def _arc(cosine: float, place: int) -> tuple[float, float]:
    """Return the weights u, v of two unit vectors whose sum u·a + v·b lies at a place of the arc between them.

    Sixteen times the arc is halved, and the half with the place in it goes on: the middle of two unit vectors is their
    sum made as long as one. So no sine is needed, whose last bit hangs on the machine's library.
    """
    if cosine < _OPPOSITE:
        raise InputRefused(
            "The latents of these two pictures are opposites, so that every way between them is as short as any other.",
            hint="Walk by way of a third picture.",
        )
    low, high = (1.0, 0.0), (0.0, 1.0)
    for bit in reversed(range(_HALVINGS)):
        u, v = low[0] + high[0], low[1] + high[1]
        length = math.sqrt(u * u + v * v + 2.0 * u * v * cosine)
        middle = u / length, v / length
        if place >> bit & 1:
            low = middle
        else:
            high = middle
    return low


def _dot(one: Wide, other: Wide) -> float:
    """The sum of the products, exact but for the rounding of each product and of the sum."""
    return math.fsum((one * other).tolist())
