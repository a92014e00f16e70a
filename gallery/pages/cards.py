"""The card of a page that is not printed yet: what a chat program shows beside its link. Pillow only.

Drawn from the address alone, in milliseconds, without press or store: a wall of hexagonal galleries whose lit windows
are the bits of the address's digest, so that each page has a card of its own, and its words where the font has them.
"""

import hashlib
import io
import math
from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from worker.catalogue.address import PAGES, Address

WIDTH: Final = 1200
HEIGHT: Final = 630
_PAPER = (21, 18, 14)
_LEAF = (38, 32, 24)
_LIT = (211, 171, 97)
_INK = (236, 227, 210)
_FADED = (171, 159, 139)
_RADIUS = 54
_MARGIN = 72
_LINES = 3


@lru_cache(maxsize=64)
def card(address: Address) -> bytes:
    """Return the PNG, WIDTH × HEIGHT, of an address's card."""
    where = address.edition if address.page is None else f"{address.edition} · page {address.page} of {PAGES}"
    return _drawn(_words(address), f"Babelia · {where}", "open the page", int(address.digest, 16))


@lru_cache(maxsize=1)
def entrance_card() -> bytes:
    """Return the PNG, WIDTH × HEIGHT, of the library's own card."""
    bits = int.from_bytes(hashlib.sha256(b"Babelia").digest(), "big")
    return _drawn("Every picture already has a place here", "Babelia", "come in", bits)


def _drawn(words: str, foot: str, call: str, bits: int) -> bytes:
    """Return a card as PNG: galleries lit by `bits` (256 of them), up to three lines of words, and a foot."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    _draw_galleries(draw, bits)
    draw.rectangle((0, HEIGHT - 330, WIDTH, HEIGHT), fill=_PAPER)
    draw.line((_MARGIN, HEIGHT - 330, WIDTH - _MARGIN, HEIGHT - 330), fill=_LEAF, width=2)
    top = HEIGHT - 296
    for line in _lines(draw, words, _font(54)):
        draw.text((_MARGIN, top), line, font=_font(54), fill=_INK)
        top += 64
    draw.text((_MARGIN, HEIGHT - 44), foot, font=_font(30), fill=_FADED, anchor="ls")
    draw.text((WIDTH - _MARGIN, HEIGHT - 44), call, font=_font(30), fill=_LIT, anchor="rs")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


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


def _words(address: Address) -> str:
    """Return what the card says: the prompt if this font can write it, else what kind of page it is."""
    if address.kind == "mark":
        return f"A key with the mark {address.name}"
    if address.kind == "prompt" and not _can_write(address.name):
        return "A page named by a prompt"
    return address.name


@lru_cache(maxsize=4)
def _font(height: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(height)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is built with FreeType"
    return font


def _can_write(text: str) -> bool:
    """Say whether the font has every character: a missing one is drawn as the same box as U+FFFF's."""
    font = _font(30)
    missing = bytes(font.getmask("\uffff"))
    return all(c == " " or bytes(font.getmask(c)) != missing for c in set(text))


def _lines(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Return the text in at most three lines that fit the card's width, the last ending in … where it is cut."""
    room = WIDTH - 2 * _MARGIN
    lines = [""]
    for word in text.split(" "):
        pieces = [word] if draw.textlength(word, font) <= room else list(word)
        for number, piece in enumerate(pieces):
            joined = f"{lines[-1]} {piece}".strip() if number == 0 else lines[-1] + piece
            if draw.textlength(joined, font) <= room:
                lines[-1] = joined
            else:
                lines.append(piece)
    if len(lines) > _LINES:
        last = lines[_LINES - 1]
        while draw.textlength(last + "…", font) > room:
            last = last[:-1]
        lines = [*lines[: _LINES - 1], last.rstrip() + "…"]
    return lines
