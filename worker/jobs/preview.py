"""The small picture of a page while it is printed: its format, for the press that makes it and the site that sends it.

May import NumPy and Pillow; nothing of ours.
"""

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

FORMAT: Final = "WEBP"
CONTENT_TYPE: Final = "image/webp"
QUALITY: Final = 70


def encode(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return the file of a preview, RGB (52, 80, 3)."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, FORMAT, quality=QUALITY, method=0)
    return file.getvalue()
