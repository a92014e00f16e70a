"""15-bit floats: the numbers inside a key. NumPy only.

A value is sign (1 bit), exponent code (4 bits), fraction (10 bits): ±1.fraction × 2^(code + e_min). There is no
zero, infinity or NaN, and every value is exact in float16.

Worked example, for the embedding (e_min = −12): code 12288 is 0 1100 0000000000, sign +, exponent 12 − 12 = 0,
fraction 0, so +1.0. Its float16 is 0 01111 0000000000: the same bits with the exponent moved by e_min + 15 = 3, and
that is all that decoding does.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SIGN = 0x4000
MAGNITUDE = 0x3FFF
FRACTION_BITS = 10
FLOAT16_BIAS = 15


@dataclass(frozen=True)
class Float15:
    """One of the key's two grids of values; `e_min` is the exponent that code 0 means."""

    e_min: int

    @property
    def _shift(self) -> int:
        """How far a magnitude lies below its float16 bits."""
        return (self.e_min + FLOAT16_BIAS) << FRACTION_BITS

    @property
    def smallest(self) -> float:
        """The smallest magnitude."""
        return float(2.0**self.e_min)

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return float((2 - 2.0**-FRACTION_BITS) * 2.0 ** (self.e_min + 15))

    def encode(self, values: npt.ArrayLike) -> npt.NDArray[np.uint16]:
        """Return the codes (uint16, same shape) of `values`, rounded to nearest, ties to even.

        What is too small becomes the smallest magnitude with its sign (0 → +), what is too large the largest.
        Raises ValueError for NaN.
        """
        array = np.asarray(values)
        if np.isnan(array).any():
            raise ValueError("There is no 15-bit float for NaN.")
        with np.errstate(over="ignore", under="ignore"):
            bits = array.astype(np.float16).view(np.uint16)
        magnitude = (bits & 0x7FFF).astype(np.int32) - self._shift
        np.clip(magnitude, 0, MAGNITUDE, out=magnitude)
        codes: npt.NDArray[np.uint16] = magnitude.astype(np.uint16)
        codes |= (bits >> 1) & SIGN
        return codes

    def decode(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.float16]:
        """Return the values (float16, exact, same shape) of `codes`, whose bits above the fifteenth must be 0."""
        codes = np.asarray(codes, dtype=np.uint16)
        bits = ((codes & MAGNITUDE) + np.uint16(self._shift)) | ((codes & SIGN) << 1)
        return bits.astype(np.uint16, copy=False).view(np.float16)

    def snap(self, values: npt.ArrayLike) -> npt.NDArray[np.float16]:
        """Return `values` moved to the nearest values of the grid (float16, same shape)."""
        return self.decode(self.encode(values))


EMBEDDING = Float15(e_min=-12)
LATENTS = Float15(e_min=-14)
