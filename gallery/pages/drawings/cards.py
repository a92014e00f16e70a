"""The card of a page: what a chat program shows beside its link, 1200×630. Pillow only.

A page whose picture may be shown has it on the left, whole, and its words and name on the right. Any other has words
alone, below a wall of hexagonal galleries whose lit windows are the bits of the address's digest, so that each has one
of its own. Both are set in the site's typeface (static/fonts), so that they look the same wherever they are drawn.
"""

import hashlib
import io
import math
from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw

from gallery.pages.drawings.lettering import draw_emblem, font_of, lines_of, place_of, where_of, words_of
from worker.catalogue import png
from worker.catalogue.address import Address

WIDTH: Final = 1200
HEIGHT: Final = 630
DESIGN: Final = 3
"""Raised when cards come to look otherwise: part of their tags, so that nobody keeps an older one."""
_PAPER = (21, 18, 14)
_LEAF = (38, 32, 24)
_LIT = (211, 171, 97)
_INK = (236, 227, 210)
_FADED = (171, 159, 139)
_RADIUS = 54
_MARGIN = 72
_LINES = 3
_PLATE = (48, 70, 752, 489)  # left, top, width, height of the picture: 640 × 416, enlarged by 1.175
_COLUMN = (840, 312)  # left and width of the words beside it
_SIZES = ((46, 5), (38, 7), (31, 9))  # height of the letters, and so many lines of them fit above the name
_LARGEST = 300_000
"""Bytes of a card beyond which its colours are reduced to 256: messengers leave larger ones out."""


def picture_card(address: Address, picture: bytes) -> bytes:
    """Return the PNG, WIDTH × HEIGHT, of the card of a page whose picture (PNG or a preview's WebP) may be shown."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    left, top, width, height = _PLATE
    with Image.open(io.BytesIO(picture), formats=["PNG", "WEBP"]) as page:
        assert page.width * png.HEIGHT == page.height * png.WIDTH, "a page's picture has one shape"
        image.paste(page.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), (left, top))
    draw.rectangle((left - 2, top - 2, left + width + 1, top + height + 1), outline=_LEAF, width=2)
    _draw_words(draw, address)
    _draw_name(draw, address, top + height)
    whole = _png(image)
    return whole if len(whole) <= _LARGEST else _png(_in_few_colours(image))


@lru_cache(maxsize=64)
def card(address: Address) -> bytes:
    """Return the PNG, WIDTH × HEIGHT, of the card of a page whose picture is not there or may not be shown."""
    return _drawn(words_of(address) or place_of(address), f"Babelia · {where_of(address)}", int(address.digest, 16))


@lru_cache(maxsize=1)
def entrance_card() -> bytes:
    """Return the PNG, WIDTH × HEIGHT, of the library's own card."""
    bits = int.from_bytes(hashlib.sha256(b"Babelia").digest(), "big")
    return _drawn("Every picture this model can draw is already here", "Babelia", bits)


def _in_few_colours(image: Image.Image) -> Image.Image:
    """Return a card in 256 colours, chosen for one pixel in 36; the others are rounded to them.

    Pillow's choice for all pixels takes 0.2 to 0.5 s of the time for which a chat program waits, this 0.1 s at most.
    """
    few = image.resize((WIDTH // 6, HEIGHT // 6), Image.Resampling.NEAREST).quantize(256, kmeans=1)
    return image.quantize(palette=few, dither=Image.Dither.NONE)


def _draw_words(draw: ImageDraw.ImageDraw, address: Address) -> None:
    """Draw the words of a page beside its picture, as large as they fit; a place where no words can be written."""
    left, room = _COLUMN
    words = words_of(address) or place_of(address)
    for height, most in _SIZES:
        font = font_of(height, "italic" if address.kind == "prompt" else "")
        lines = lines_of(draw, words, font, room, most)
        if not lines[-1].endswith("…"):
            break
    for number, line in enumerate(lines):
        draw.text((left, _PLATE[1] - 8 + number * height * 1.25), line, font=font, fill=_INK)


def _draw_name(draw: ImageDraw.ImageDraw, address: Address, bottom: int) -> None:
    """Draw where the page is and the library's name, at the picture's foot."""
    left, _ = _COLUMN
    draw.text((left, bottom - 62), where_of(address), font=font_of(25), fill=_FADED, anchor="ls")
    draw_emblem(draw, (left + 15, bottom - 17), 16, _LIT)
    draw.text((left + 44, bottom - 4), "Babelia", font=font_of(36), fill=_LIT, anchor="ls")


def _drawn(words: str, foot: str, bits: int) -> bytes:
    """Return a card as PNG: galleries lit by `bits` (256 of them), up to three lines of words, and a foot."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    _draw_galleries(draw, bits)
    draw.rectangle((0, HEIGHT - 330, WIDTH, HEIGHT), fill=_PAPER)
    draw.line((_MARGIN, HEIGHT - 330, WIDTH - _MARGIN, HEIGHT - 330), fill=_LEAF, width=2)
    top, font = HEIGHT - 306, font_of(54, "italic")
    for line in lines_of(draw, words, font, WIDTH - 2 * _MARGIN, _LINES):
        draw.text((_MARGIN, top), line, font=font, fill=_INK)
        top += 66
    draw.text((_MARGIN, HEIGHT - 44), foot, font=font_of(30), fill=_LIT, anchor="ls")
    return _png(image)


def _draw_galleries(draw: ImageDraw.ImageDraw, bits: int) -> None:
    """Draw rows of hexagons, flat side down, lit where the digest has a 1."""
    across, down = _RADIUS * math.sqrt(3), _RADIUS * 1.5
    for row in range(-1, 6):
        for column in range(-1, 14):
            x, y = across * (column + (row % 2) / 2), down * row
            corners = [
                (x + (_RADIUS - 3) * math.sin(math.pi / 3 * k), y + (_RADIUS - 3) * math.cos(math.pi / 3 * k))
                for k in range(6)
            ]
            lit = bits & 3 == 3
            bits = bits >> 2 | (bits & 3) << 254
            draw.polygon(corners, fill=_LIT if lit else _LEAF)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
