"""How far two pictures of one size are from each other, and where. NumPy and Pillow; nothing of ours but the size.

May import catalogue.png. The press compares a second print with the first by it, the site two pages.
"""

import io
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from math import log10
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.catalogue.png import HEIGHT, PIXELS_SHAPE, WIDTH

BLOCK: Final = 8
"""Pixels of a block's side: one place of the latents."""
MAP_SHAPE: Final = (HEIGHT // BLOCK, WIDTH // BLOCK)


@dataclass(frozen=True)
class Difference:
    """The difference of two pictures, (416, 640, 3) uint8 each."""

    psnr: float | None  # dB, peak signal-to-noise ratio over all channels; None: identical, so that there is no noise
    largest: int  # of one channel of one pixel, 0 … 255
    differing: int  # pixels, of 266,240
    map: bytes  # the largest difference in each block of 8 × 8 pixels, (52, 80) uint8, row by row

    @property
    def identical(self) -> bool:
        """Whether every pixel is the same."""
        return self.largest == 0


def compare(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> Difference:
    """Return the difference of two pictures: PSNR = 20 log10(255 / RMS error), over pixels and channels alike."""
    assert first.shape == second.shape == PIXELS_SHAPE, f"{first.shape} beside {second.shape}"
    apart = np.abs(first.astype(np.int16) - second.astype(np.int16))  # (416, 640, 3)
    square = float((apart.astype(np.float64) ** 2).mean())
    worst = apart.max(axis=2).astype(np.uint8)  # (416, 640)
    blocks = worst.reshape(MAP_SHAPE[0], BLOCK, MAP_SHAPE[1], BLOCK).max(axis=(1, 3))  # (52, 80)
    return Difference(
        psnr=round(10 * log10(255**2 / square), 2) if square else None,
        largest=int(worst.max()),
        differing=int(np.count_nonzero(worst)),
        map=blocks.tobytes(),
    )


def pixels_of(png: bytes) -> npt.NDArray[np.uint8]:
    """Return the pixels (416, 640, 3) of a page's PNG, which the store has checked."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB"))


def to_json(difference: Difference, **more: Any) -> bytes:
    """Return a difference as JSON, with what else is to be known; the map in base64."""
    said = vars(difference) | {"map": b64encode(difference.map).decode("ascii")} | more
    return json.dumps(said, sort_keys=True).encode()


def from_json(data: bytes) -> tuple[Difference, dict[str, Any]]:
    """Return what `to_json` wrote: the difference, and what else was said. Raises ValueError for anything else."""
    try:
        said: dict[str, Any] = json.loads(data)
        parts = {name: said.pop(name) for name in ("psnr", "largest", "differing")}
        found = Difference(**parts, map=b64decode(said.pop("map"), validate=True))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("this is no difference of two pictures") from error
    if len(found.map) != MAP_SHAPE[0] * MAP_SHAPE[1]:
        raise ValueError("the map of a difference has another size")
    return found, said
