"""The colour that a picture has most of, to stand behind its thumbnail until that is there. NumPy and Pillow alone."""

import colorsys
import io
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

_BLOCK: Final = 4
"""Pixels on a side that are averaged first, so that neither grain nor an outline counts as a colour."""
_LEVELS: Final = 8
"""Levels of each channel that colours are gathered in: fine enough for sky and sea, coarse enough for a gradient."""

_HUES: Final = (
    *((15, "red"), (42, "orange"), (68, "yellow"), (165, "green"), (190, "turquoise"), (255, "blue"), (305, "purple")),
    *((345, "pink"), (360, "red")),
)
"""The degree of hue up to which a colour is called so."""


def dominant_colour(webp: bytes) -> str | None:
    """Return the colour that a thumbnail has most of, as `#rrggbb`; None where it is no WebP.

    Blocks of 4×4 pixels are averaged and sorted into 8×8×8 boxes; the colour is the mean of the fullest box. A mean of
    the whole picture would be some brown that is nowhere in it.
    """
    try:
        with Image.open(io.BytesIO(webp), formats=["WEBP"]) as image:
            small = image.convert("RGB").reduce(_BLOCK)
    except (UnidentifiedImageError, OSError, ValueError):
        return None
    colours = np.asarray(small, dtype=np.int64).reshape(-1, 3)  # (blocks, 3)
    boxes = (colours * _LEVELS // 256) @ np.array([_LEVELS * _LEVELS, _LEVELS, 1])  # (blocks,)
    fullest = np.bincount(boxes, minlength=_LEVELS**3).argmax()  # of equally full ones the darkest, always the same
    red, green, blue = colours[boxes == fullest].mean(axis=0).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def name_of_colour(colour: str) -> str:
    """Return the everyday name of `#rrggbb`: what somebody would call it who cannot see it beside another."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue, light, strength = colorsys.rgb_to_hls(red, green, blue)
    if light < 0.12:
        return "black"
    if light > 0.93:
        return "white"
    if strength < 0.14 or max(red, green, blue) - min(red, green, blue) < 0.08:
        return "grey"
    if 15 < hue * 360 <= 50 and light < 0.42:
        return "brown"
    return next(name for degree, name in _HUES if hue * 360 <= degree)
