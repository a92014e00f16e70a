"""The WebP of a page: a small copy of its picture for looking at, with its address and mark inside.

The PNG is the proof and holds every pixel; this one is lossy, and nearly nobody sees where. May import worker.errors,
catalogue.png, NumPy and Pillow; never torch.

Address and mark stand in the chunk `XMP `, which Pillow writes and browsers keep when a picture is saved, so that a
file saved off the page opens that page again. Reading walks the chunks of the RIFF file by their lengths (WebP
Container Specification, “RIFF File Format”) and looks for our own two texts alone.
"""

import io
import re
from typing import Final
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.catalogue.png import PIXELS_SHAPE

CONTENT_TYPE: Final = "image/webp"
QUALITIES: Final = (90, 80, 70)
"""Tried in this order until a picture has at most `AIM` bytes; the last is taken whatever comes of it.

Measured on 45 kept pages of pocket-1: at 90 the median is 9.6 kB and 45 dB PSNR (their PNGs: 131 kB), at 95 it is
16.7 kB for 1.3 dB more. Above 40 dB differences are not seen beside the original. `METHOD` 2 takes 7 ms of a
processor and 3 takes 18 for 3 % fewer bytes: it is the press's time.
"""
METHOD: Final = 2
AIM: Final = 56_000
"""Bytes that leave a kept page, with its HTML, styles and scripts, under 80 kB."""
_PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:babelia="urn:babelia:" babelia:path="{path}" babelia:mark="{mark}"/>'
    "</rdf:RDF></x:xmpmeta>"
)
_TEXTS = re.compile(rb'babelia:(path|mark)="([!-~]{1,12000}?)"')
_CHUNKS_LIMIT = 100
_PACKET_LIMIT = 64 * 1024


def encode_page(pixels: npt.NDArray[np.uint8], *, address: str, mark: str) -> bytes:
    """Return the WebP of `pixels` (416, 640, 3) uint8 RGB, with the address and mark inside."""
    assert pixels.shape == PIXELS_SHAPE, f"a page has the shape {PIXELS_SHAPE}, not {pixels.shape}"
    image = Image.fromarray(np.ascontiguousarray(pixels))
    packet = _PACKET.format(path=quote(address), mark=mark).encode("ascii")
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=METHOD, xmp=packet)
        if file.tell() <= AIM:
            break
    return file.getvalue()


def is_webp(data: bytes) -> bool:
    """Whether `data` begins like a WebP."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_texts(data: bytes) -> tuple[str | None, str | None]:
    """Return the address and the mark inside a WebP, to be parsed; None for what is not there."""
    place = 12
    for _ in range(_CHUNKS_LIMIT):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        if data[place : place + 4] == b"XMP " and size <= _PACKET_LIMIT:
            found = dict(_TEXTS.findall(data[place + 8 : place + 8 + size]))
            path, mark = found.get(b"path"), found.get(b"mark")
            return unquote(path.decode("ascii")) if path else None, mark.decode("ascii") if mark else None
        place += 8 + size + size % 2  # a chunk of odd length is followed by a byte of nothing
    return None, None
