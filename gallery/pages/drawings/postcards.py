"""The postcard of a page: its picture, its words, a short link, and that link as a QR code. For paper and for chats.

Typeset like the cards beside links (`cards`), on light paper, 6 × 4 inches at 300 dots to the inch. Pillow and segno.
"""

import io
import re
from typing import Final

import segno
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from gallery.pages.drawings.lettering import draw_emblem, font_of, lines_of, place_of, where_of, words_of
from worker.catalogue.address import Address
from worker.catalogue.png import ADDRESS, EDITION, MARK, PATH, read_chunks

WIDTH: Final = 1800
HEIGHT: Final = 1200
DESIGN: Final = 2
"""Raised when postcards come to look otherwise: part of their tags."""
LINK_LIMIT: Final = 250
"""Characters of a link whose code is still read where a chat has halved the postcard: four pixels to a module."""
_PAPER = (252, 248, 240)
_INK = (34, 28, 20)
_FADED = (99, 86, 67)
_LINE = (216, 202, 176)
_BINDING = (125, 42, 28)
_PLATE = (80, 80, 1280, 832)  # left, top, width, height of the picture: twice its size
_COLUMN = (1440, 280)  # left and width of what stands beside it
_LINK = (19, 300)  # height of the letters of the link, and how wide it may be: a mark fits into one line
_SIZES = ((62, 2), (46, 3), (36, 4))  # height of the letters, and so many lines of them fit below the picture
_QUIET = 36  # pixels around the QR code that stay free


def postcard(address: Address, picture: bytes, link: str) -> bytes:
    """Return the PNG, WIDTH × HEIGHT, of the postcard of a page: `picture` is its PNG, `link` what its code opens."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    left, top, width, height = _PLATE
    texts, found = PngInfo(), read_chunks(picture)
    for name in found.keys() & {ADDRESS, MARK, EDITION, PATH}:  # brought back, it opens its page as the picture does
        (texts.add_text if found[name].isascii() else texts.add_itxt)(name, found[name])
    with Image.open(io.BytesIO(picture), formats=["PNG"]) as page:
        image.paste(page.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), (left, top))
    _draw_words(draw, address, left, top + height + 32, width)
    column, room = _COLUMN
    draw.line((column - 40, top, column - 40, HEIGHT - 80), fill=_LINE, width=2)
    draw_emblem(draw, (column + 34, top + 38), 38, _BINDING)
    draw.text((column + 92, top + 56), "Babelia", font=font_of(50), fill=_BINDING, anchor="ls")
    bottom = HEIGHT - 80
    for line in reversed(_pieces(draw, link.partition("://")[2].rstrip("/"))):
        draw.text((column, bottom), line, font=font_of(_LINK[0], "mono"), fill=_FADED, anchor="ls")
        bottom -= 28
    code = qr_code(link, room)
    image.paste(code, (column, bottom - 14 - code.height))
    file = io.BytesIO()
    image.save(file, "PNG", dpi=(300, 300), pnginfo=texts)
    return file.getvalue()


def qr_code(link: str, room: int) -> Image.Image:
    """Return a QR code, dark on the card's paper, of whole pixels to a module and at most `room` pixels wide.

    It has no border: four modules of paper around it are left free, as ISO/IEC 18004 asks. It is as robust as fits:
    correction level M at least, more where that needs no larger code.
    """
    found = segno.make(link, error="m", boost_error=True, micro=False)
    scale = min(room // found.symbol_size(border=0)[0], _QUIET // 4)
    assert scale >= 2, "modules that a telephone tells apart"
    file = io.BytesIO()
    found.save(file, kind="png", scale=scale, border=0, dark=_INK, light=_PAPER)
    return Image.open(file).convert("RGB")


def _draw_words(draw: ImageDraw.ImageDraw, address: Address, left: int, top: int, room: int) -> None:
    """Draw the words of a page, as large as they fit, and where it is, below its picture."""
    words = words_of(address) or place_of(address)
    for height, most in _SIZES:
        font = font_of(height, "italic" if address.kind == "prompt" else "")
        lines = lines_of(draw, words, font, room, most)
        if not lines[-1].endswith("…"):
            break
    for number, line in enumerate(lines):
        draw.text((left, top + number * height * 1.2), line, font=font, fill=_INK)
    draw.text((left, HEIGHT - 80), where_of(address), font=font_of(30), fill=_FADED, anchor="ls")


def _pieces(draw: ImageDraw.ImageDraw, text: str) -> list[str]:
    """Return a link in lines that fit, broken after slashes, and elsewhere where it has to be."""
    height, room = _LINK
    font = font_of(height, "mono")
    lines = [""]
    for piece in re.findall(r"[^/]*/|[^/]+", text):
        for part in [piece] if draw.textlength(piece, font) <= room else piece:
            if lines[-1] and draw.textlength(lines[-1] + part, font) > room:
                lines.append("")
            lines[-1] += part
    return lines
