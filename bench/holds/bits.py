"""How far one flipped bit of a key moves its picture, and how many low bits may be anything at all. Imports the engine.

Pages are printed by the press's own engine at their own steps. A bit of a number is named by its place: 0 is the sign,
1 to 4 are the exponent from its highest bit down, 5 to 14 the fraction; of the steps, 0 to 5 are the level's.
"""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.catalogue.address import Address
from worker.catalogue.comparison import compare
from worker.catalogue.key import CODE_BITS, EMBEDDING_CODES, LATENTS_CODES, LEVEL_BITS, Key
from worker.engine.engine import Engine

SEED = 20261129
FIELDS = {"embedding": EMBEDDING_CODES, "latents": LATENTS_CODES}
PLACES = range(CODE_BITS)
"""The bits of a number that are flipped: all of them."""
TOGETHER = (1, 2, 4)
"""So many of the lowest bits of every number of a field are drawn anew at once."""
STEPS_EVERY = 4
"""The steps are flipped on one page of so many: a page of 84 steps takes as long as four others."""
_BEGINS = {"embedding": LEVEL_BITS, "latents": LEVEL_BITS + CODE_BITS * EMBEDDING_CODES}

Pixels = npt.NDArray[np.uint8]


def flipped(key: Key, bit: int) -> Key:
    """The key with one of its bits, counted from the first, turned over."""
    data = bytearray(key.data)
    data[bit // 8] ^= 0x80 >> bit % 8
    return Key(bytes(data))


def place_of(field: str, number: int, bit: int) -> int:
    """Where in a key a bit of a field's number stands; the steps have one number."""
    return bit if field == "steps" else _BEGINS[field] + CODE_BITS * number + bit


def redrawn(key: Key, field: str, low: int, rng: np.random.Generator) -> Key:
    """The key with the `low` lowest bits of every number of a field drawn anew."""
    bits = np.unpackbits(np.frombuffer(key.data, np.uint8))
    begin, count = _BEGINS[field], FIELDS[field]
    codes = bits[begin : begin + CODE_BITS * count].reshape(count, CODE_BITS)
    codes[:, CODE_BITS - low :] = rng.integers(0, 2, (count, low), np.uint8)
    return Key(np.packbits(bits).tobytes())


def measure(engine: Engine, number: int) -> Iterator[dict[str, Any]]:
    """Rows for the pages `number`, `number` + 1, …: each the page of a short key, every bit flipped at one place."""
    while True:
        address = Address(engine.edition.slug, "key", f"holds-bits-{number + 1}", 1)
        key = engine.resolve(address)
        own = engine.print_page(key).pixels
        rng = np.random.default_rng((SEED, number))
        flips = []
        for field, count in {**({} if number % STEPS_EVERY else {"steps": 1}), **FIELDS}.items():
            for bit in range(LEVEL_BITS) if field == "steps" else PLACES:
                at = int(rng.integers(count))
                other = flipped(key, place_of(field, at, bit))
                if other.steps <= engine.edition.step_limit:
                    flips.append({"field": field, "bit": bit, "number": at, **apart(engine, other, own)})
        together = [
            {"field": field, "low": low, **apart(engine, redrawn(key, field, low, rng), own)}
            for field in FIELDS
            for low in TOGETHER
        ]
        yield {"address": address.format(), "flips": flips, "together": together}
        number += 1


def apart(engine: Engine, key: Key, own: Pixels) -> dict[str, float | int]:
    """How far a key's page is from another's pixels: RMS and largest difference, in grey levels; pixels that differ."""
    found = engine.print_page(key).pixels
    difference = compare(own, found)
    square = float(((own.astype(np.float64) - found) ** 2).mean())
    return {"rms": float(f"{sqrt(square):.4g}"), "largest": difference.largest, "differing": difference.differing}
