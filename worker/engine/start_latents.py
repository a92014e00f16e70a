"""Where a page's initial latents come from when not from its key: patterns, pure colours, a picture.

May import worker.errors, catalogue.expansion, catalogue.png, NumPy and Pillow; never torch: what has to pass through
the autoencoder is handed to a callable. Every source is a function of the picture's number alone (and of the picture
given), without a random generator, and is snapped to the key's grid: a page begun from it has a key of its own, which
prints the same page again.
"""

import colorsys
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from worker.catalogue.expansion import gaussian_table
from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import LATENTS_CODES, LATENTS_SHAPE, Floats
from worker.catalogue.png import HEIGHT, PIXELS_SHAPE, WIDTH
from worker.errors import InputRefused

Pixels = npt.NDArray[np.uint8]
Encode = Callable[[Pixels], npt.NDArray[np.floating]]
"""Pictures (B, 416, 640, 3) uint8 to latents (B, 4, 52, 80): the edition's autoencoder."""

SOURCES: Final = ("key", "fixed-generator", "blob", "black", "colour", "image")
PICTURE_FORMATS: Final = ("PNG", "JPEG", "WEBP")
PICTURE_BYTES: Final = 16_000_000
PICTURE_PIXELS: Final = 50_000_000


def latents_from(source: str, index: int, encode: Encode, picture: Pixels | None = None) -> Floats:
    """Return the initial latents (4, 52, 80), float16 on the key's grid, of picture `index` (from 0) of a series.

    `source` is one of SOURCES other than "key"; "image" needs `picture` (416, 640, 3).
    """
    match source:
        case "fixed-generator":
            return fixed_generator(index)
        case "blob":
            return blob(index)
        case "black":
            drawn: Pixels = np.zeros(PIXELS_SHAPE, np.uint8)
        case "colour":
            drawn = np.empty(PIXELS_SHAPE, np.uint8)
            drawn[:] = pure_colour(index)
        case "image":
            assert picture is not None, "the source image needs a picture"
            drawn = picture
        case _:
            raise InputRefused(f"Latents come from one of {', '.join(SOURCES)}, not from {source!r}.")
    encoded = np.asarray(encode(drawn[None]))  # (1, 4, 52, 80)
    assert encoded.shape == (1, *LATENTS_SHAPE), f"encoded latents have the shape {encoded.shape}"
    return LATENTS.snap(encoded[0].astype(np.float64))


def fixed_generator(index: int) -> Floats:
    """Gaussian latents that depend on the picture's number only: SHAKE-256 through the table of catalogue.expansion."""
    stream = hashlib.shake_256(f"babelia/1/latents-type/fixed-generator\0{index}".encode()).digest(2 * LATENTS_CODES)
    return LATENTS.decode(gaussian_table()[np.frombuffer(stream, ">u2")]).reshape(LATENTS_SHAPE)


def blob(index: int) -> Floats:
    """A pattern of single-channel pixels under a Gaussian falloff from the centre.

    Of the four values at a place only channel (x + 2y + index) mod 4 is not nearly nought; it is ±3.5 · exp(−r² / 2σ²)
    with r the distance from the centre, σ a quarter of the height (13 places) and the signs of a chessboard of 4×2.
    """
    channels, height, width = LATENTS_SHAPE
    y, x = np.mgrid[:height, :width]
    r2 = (y - (height - 1) / 2) ** 2 + (x - (width - 1) / 2) ** 2
    sign = 1.0 - 2.0 * ((x // 4 + y // 2) % 2)
    values = sign * 3.5 * np.exp(-r2 / (2 * (height / 4) ** 2))
    lit = (x + 2 * y + index) % channels == np.arange(channels)[:, None, None]
    return LATENTS.snap(np.where(lit, values, 0.0))


def pure_colour(index: int) -> tuple[int, int, int]:
    """The colour of picture `index` of a series, R G B: red, green, blue, yellow, cyan, magenta, then between those.

    Fully saturated, of the hue (index mod 3) / 3 + v / 3, where v is index // 3 with its binary digits mirrored at the
    point (van der Corput's sequence: 0, ½, ¼, ¾, …), so that each series is spread evenly however long.
    """
    third, rest = index % 3, index // 3
    mirrored, weight = 0.0, 0.5
    while rest:
        mirrored += weight * (rest & 1)
        rest >>= 1
        weight /= 2
    red, green, blue = colorsys.hsv_to_rgb(((third + mirrored) / 3) % 1.0, 1.0, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def read_picture(path: Path) -> Pixels:
    """Return a picture file as (416, 640, 3) uint8 RGB: turned upright, filled, and cropped around its centre.

    Raises InputRefused for what is no PNG, JPEG or WebP, or too large.
    """
    try:
        if path.stat().st_size > PICTURE_BYTES:
            raise InputRefused(f"{path} has more than {PICTURE_BYTES:,} bytes; a smaller picture will do.")
        with Image.open(path, formats=PICTURE_FORMATS) as image:
            if image.width * image.height > PICTURE_PIXELS:
                raise InputRefused(f"{path} has more than {PICTURE_PIXELS:,} pixels; a smaller picture will do.")
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "it is no PNG, JPEG or WebP picture"
        raise InputRefused(f"{path} cannot be read: {reason}.") from error
    return np.asarray(ImageOps.fit(upright, (WIDTH, HEIGHT), Image.Resampling.LANCZOS), np.uint8)
