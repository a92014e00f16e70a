"""Numbers as pictures: latents and embedding in signed colours, a difference in brightness, histograms as curves.

The pictures have one pixel for each number; pages enlarge them without smoothing. NumPy and Pillow.
"""

import io
from dataclasses import dataclass
from math import exp, pi, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.catalogue.comparison import MAP_SHAPE, Difference
from worker.catalogue.key import CONSTANTS, LATENTS_SHAPE, Key

DESIGN: Final = 1
"""Raised when these pictures come to look otherwise: part of their tags."""
SIGNED: Final = ((23, 82, 139), (140, 186, 216), (247, 244, 236), (226, 148, 108), (150, 36, 24))
"""From the least number by zero to the greatest: blue, paper, red. Blue and red are told apart by all eyes."""
GLOW: Final = ((13, 11, 8), (125, 42, 28), (211, 171, 97), (255, 252, 240))
"""From no difference to the largest there can be."""
LATENTS_LIMIT: Final = 3.0
GAP: Final = 2
BINS: Final = 96
CURVE: Final = (480, 120)
"""Width and height of the field that a histogram is drawn in."""


def latents_picture(key: Key) -> bytes:
    """Return the initial latents as a PNG: the four channels, two and two, −3 … 3 in signed colours."""
    channels, height, width = LATENTS_SHAPE
    assert channels == 4, "two rows of two"
    values = np.full((2 * height + GAP, 2 * width + GAP), np.nan)
    for channel in range(channels):
        top, left = (channel // 2) * (height + GAP), (channel % 2) * (width + GAP)
        values[top : top + height, left : left + width] = key.latents[channel]
    return _png(_coloured(values, LATENTS_LIMIT, SIGNED))


def embedding_picture(key: Key) -> bytes:
    """Return the embedding (77, 768) as a PNG: a row for each token, −limit … limit in signed colours."""
    return _png(_coloured(key.embedding.astype(np.float64), embedding_limit(key), SIGNED))


def embedding_limit(key: Key) -> float:
    """Return what 99 % of the embedding's values are within: two of them are far beyond all others."""
    return round(float(np.percentile(np.abs(key.embedding.astype(np.float64)), 99)), 2)


def map_picture(difference: Difference) -> bytes:
    """Return where two pictures differ as a PNG (52, 80): a pixel for each block, brighter where they differ more."""
    return _png(_glowing(np.frombuffer(difference.map, np.uint8).reshape(MAP_SHAPE)))


def difference_picture(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> bytes:
    """Return where two pictures (416, 640, 3) differ as a WebP, pixel by pixel, brighter where they differ more."""
    worst = np.abs(first.astype(np.int16) - second.astype(np.int16)).max(axis=2).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(_glowing(worst)).save(file, "WEBP", quality=80, method=2)
    return file.getvalue()


@dataclass(frozen=True)
class Histogram:
    """How often each value occurs, −high … high, as the `d` of an SVG path in a field of `CURVE`; a normal density."""

    values: str
    normal: str
    high: float
    mean: float
    deviation: float
    count: int

    @property
    def numbers(self) -> str:
        """How many values there are, for a reader."""
        return f"{self.count:,}"


def latents_histogram(key: Key) -> Histogram:
    """Return that of the latents, −4 … 4, beside the density of N(0, 1), of which they are drawn."""
    return _histogram(key.latents.astype(np.float64).ravel(), 4.0, (0.0, 1.0))


def embedding_histogram(key: Key) -> Histogram:
    """Return that of the embedding without its two constants, beside the density of its own mean and deviation."""
    values = np.delete(key.embedding.astype(np.float64).ravel(), list(CONSTANTS))
    low, high = np.percentile(values, [0.1, 99.9])
    reach = round(float(max(abs(low), abs(high))), 1) or 1.0
    return _histogram(values, reach, (float(values.mean()), float(values.std())))


def _histogram(values: npt.NDArray[np.float64], high: float, normal: tuple[float, float]) -> Histogram:
    """Values beyond the ends are counted in the last bins, so that none is left out."""
    low = -high
    counts, _ = np.histogram(np.clip(values, low, high), bins=BINS, range=(low, high))
    wide, high_of = CURVE[0] / BINS, (high - low) / BINS
    centres = low + high_of * (np.arange(BINS) + 0.5)
    mean, deviation = normal
    spread = deviation or 1e-9
    expected = [
        len(values) * high_of * exp(-(((x - mean) / spread) ** 2) / 2) / (spread * sqrt(2 * pi)) for x in centres
    ]
    top = 1.05 * max(float(counts.max()), min(max(expected), 4 * float(counts.max())))
    bars = [f"V{CURVE[1] * (1 - count / top):.1f}H{wide * (place + 1):.1f}" for place, count in enumerate(counts)]
    line = [
        f"{wide * (place + 0.5):.1f} {CURVE[1] * (1 - min(count / top, 1.0)):.1f}"
        for place, count in enumerate(expected)
    ]
    return Histogram(
        values=f"M0 {CURVE[1]}{''.join(bars)}V{CURVE[1]}Z",
        normal=f"M{' L'.join(line)}",
        high=high,
        mean=float(values.mean()),
        deviation=float(values.std()),
        count=len(values),
    )


def css(colours: tuple[tuple[int, int, int], ...]) -> list[tuple[str, str]]:
    """Return a scale's colours for the legend's gradient: (place in per cent, #rrggbb)."""
    last = len(colours) - 1
    return [(f"{100 * place / last:g}%", f"#{bytes(colour).hex()}") for place, colour in enumerate(colours)]


def _coloured(
    values: npt.NDArray[np.floating], limit: float, scale: tuple[tuple[int, int, int], ...]
) -> npt.NDArray[np.uint8]:
    """−limit … limit as colours (…, 3); what is beyond has the colour of the end, what is no number that of zero."""
    places = (np.nan_to_num(np.clip(values / (limit or 1.0), -1, 1)) + 1) / 2 * (len(scale) - 1)
    channels = [np.interp(places, range(len(scale)), [colour[c] for colour in scale]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _glowing(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """0 … 255 as colours (…, 3), by the square root, so that a difference of one is seen."""
    return _coloured(2 * np.sqrt(values / 255.0) - 1, 1.0, GLOW)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
