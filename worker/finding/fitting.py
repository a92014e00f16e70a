"""A picture that somebody brings, read from any file that Pillow reads safely and fitted to a page's size.

May import worker.errors, worker.catalogue, NumPy and Pillow; never torch, so that the site can show what will be
searched for before a search begins. Each file ends in a picture or in an InputRefused of one sentence.

What is not plain RGB becomes it: rotated as its EXIF says, colours of an embedded profile in sRGB, 16 bits in 8, what
is transparent on white, of an animation the first picture. `limits` bounds bytes, pixels and memory: sizes are
read from the header before anything is unpacked, and a picture of many pixels is made small before anything else.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from worker.catalogue.key_files import read_bytes
from worker.catalogue.kinds import Kind, is_text, kind_of
from worker.catalogue.limits import PICTURE_FILE_BYTES, PICTURE_PIXELS, PICTURE_SIDE
from worker.catalogue.png import HEIGHT, WIDTH
from worker.errors import InputRefused

How = Literal["fill", "fit", "stretch"]
"""Fill the page and crop around the centre; fit into the page, white beside it; stretch to the page's shape."""
WAYS: Final[tuple[How, ...]] = get_args(How)
FORMATS: Final = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")
"""Pillow's readers that are used: those of pictures that people have, each kept up."""
EXPECTED: Final = "a PNG, JPEG, WebP, AVIF, GIF, TIFF or BMP picture was expected"
_ENOUGH: Final = 3
"""Pixels for one of the page's, in each direction, that are kept when a picture of many is made small."""
_WHITE: Final = (255, 255, 255)


@dataclass(frozen=True)
class Fitted:
    """A picture of a page's size and where it came from."""

    pixels: npt.NDArray[np.uint8]
    """(416, 640, 3) uint8 RGB."""
    kind: str
    """What the file is, with its article: "a JPEG picture"."""
    width: int
    height: int
    """Pixels of the source, upright."""
    how: How
    notes: tuple[str, ...]
    """What was done to it that somebody might miss, a sentence each."""

    @property
    def sentence(self) -> str:
        """What is to be said of the source: kind, size and everything that was done to it."""
        return " ".join((f"This is {self.kind} of {self.width:,} × {self.height:,} pixels.", *self.notes))


def fit_picture(data: bytes, how: How = "fill") -> Fitted:
    """Read the bytes of a picture file and fit it to 640 × 416.

    Raises InputRefused for what is no picture, is broken, cut short, of a kind that is not read here, or too large.
    """
    assert how in WAYS, f"{how!r} is no way to fit"
    if not data:
        raise InputRefused(f"This file is empty; {EXPECTED}.")
    if len(data) > PICTURE_FILE_BYTES:
        raise InputRefused(f"This file has more than {PICTURE_FILE_BYTES:,} bytes; a smaller picture will do.")
    found = kind_of(data)
    unknown = "text" if is_text(data) else "no picture that is known here"
    kind = found.name if found is not None else unknown
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # the bounds below are narrower than Pillow's
            _require_bounds(image, kind)
            return _fit(image, kind, how)
    except UnidentifiedImageError as error:
        if found is not None and _is_read(kind):
            raise InputRefused(_damaged(kind)) from error
        raise InputRefused(f"This file is {kind}; {EXPECTED}.", hint=_remedy(found, kind)) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise _too_many(kind) from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error,
            OverflowError, ZeroDivisionError, AttributeError, RuntimeError) as error:  # fmt: skip
        # Pillow's readers raise all of these for files that do not hold what their headers promise.
        raise InputRefused(_damaged(kind)) from error


def read_picture(path: Path, how: How = "fill") -> tuple[bytes, Fitted]:
    """The bytes of a picture file and what `fit_picture` makes of them. Raises InputRefused, which names the file."""
    data = read_bytes(path, PICTURE_FILE_BYTES)
    try:
        return data, fit_picture(data, how)
    except InputRefused as error:
        raise InputRefused(f"{path} cannot be used. {error}", hint=error.hint) from error


def _is_read(kind: str) -> bool:
    return any(f" {name} " in f"{kind} " for name in ("PNG", "JPEG", "WebP", "AVIF", "GIF", "TIFF", "BMP"))


def _damaged(kind: str) -> str:
    return f"This is {kind}, and it is damaged or cut short: it cannot be read to its end."


def _remedy(found: Kind | None, kind: str) -> str:
    """What to do about a file that is not read here."""
    if kind == "text":
        return "If it is a link or a key, paste it into the search box: that opens its page."
    if found is None:
        return ""
    if found.is_parcel:
        return "Take the picture out of it, or take a screenshot of it."
    if found.is_picture or "SVG" in kind:
        return "Open it in a program that shows it, and save it there as a PNG."
    return "Take a screenshot of what it shows."


def _require_bounds(image: Image.Image, kind: str) -> None:
    if image.width * image.height > PICTURE_PIXELS:
        raise _too_many(kind)
    if max(image.size) > PICTURE_SIDE:
        raise InputRefused(
            f"This is {kind} of {image.width:,} × {image.height:,} pixels, and a side may have {PICTURE_SIDE:,};"
            " a smaller one will do."
        )


def _too_many(kind: str) -> InputRefused:
    return InputRefused(f"This is {kind} of more than {PICTURE_PIXELS:,} pixels; a smaller one will do.")


def _fit(image: Image.Image, kind: str, how: How) -> Fitted:
    notes = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a telephone's JPEG with another picture behind it
        notes.append(f"Of its {frames:,} pictures the first was taken.")
    size = image.size
    turned = image.getexif().get(0x0112, 1)
    profile = image.info.get("icc_profile")
    image.draft("RGB", (_ENOUGH * WIDTH, _ENOUGH * WIDTH))  # a JPEG is unpacked at the size that is needed
    has_alpha = image.has_transparency_data
    small = _small(_eight_bits(image, notes), profile)
    if turned in range(2, 9):
        small = _upright(small, turned)
        size = size[::-1] if turned >= 5 else size
        notes.append("It was turned as its EXIF says.")
    if has_alpha:
        opaque = small.getchannel("A").getextrema() == (255, 255)
        if not opaque:
            paper = Image.new("RGBA", small.size, (*_WHITE, 255))
            small = Image.alpha_composite(paper, small)
            notes.append("What is transparent in it was laid on white.")
        small = small.convert("RGB")
    page = (WIDTH, HEIGHT)
    if how == "fill":
        fitted = ImageOps.fit(small, page, Image.Resampling.LANCZOS)
    elif how == "fit":
        fitted = ImageOps.pad(small, page, Image.Resampling.LANCZOS, color=_WHITE)
    else:
        fitted = small.resize(page, Image.Resampling.LANCZOS)
    return Fitted(np.asarray(fitted, np.uint8), kind, *size, how, tuple(notes))


def _eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """The picture in a mode of eight bits a channel: L, RGB, RGBA or CMYK."""
    if image.mode in ("L", "RGB", "RGBA", "CMYK"):
        image.load()
        return image
    if image.mode.startswith(("I;16", "I", "F")):
        values = np.asarray(image)
        low, high = (0, 65535) if image.mode.startswith("I;16") else (float(values.min()), float(values.max()))
        if not np.isfinite((low, high)).all():
            raise InputRefused("This picture holds numbers that are not finite, so that it has no colours.")
        if image.mode == "I" and low >= 0 and high <= 65535:
            low, high = 0, 65535
        elif image.mode == "F":
            notes.append("Its darkest and its brightest number were taken as black and white.")
        span = (high - low) or 1.0
        small = values[:: max(1, image.height // (_ENOUGH * WIDTH)), :: max(1, image.width // (_ENOUGH * WIDTH))]
        return Image.fromarray(np.clip((small - low) / span * 255 + 0.5, 0, 255).astype(np.uint8))
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _small(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture with no more pixels than are needed for the page, RGB or RGBA, in sRGB."""
    by = max(1, min(image.width, image.height) // (_ENOUGH * WIDTH))
    if by > 1:
        image = image.reduce(by)
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        image = _in_srgb(image, profile)
    wanted = "RGBA" if image.mode == "RGBA" else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The picture's colours by its embedded profile; as they are where the profile cannot be used."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        turned = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return turned if turned is not None else image


def _upright(image: Image.Image, turned: int) -> Image.Image:
    """The picture as EXIF's orientation 2 … 8 says that it is to be seen."""
    ways = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return image.transpose(ways[turned])
