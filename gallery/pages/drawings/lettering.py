"""How words are set on cards and postcards: the site's own typeface, lines that fit, what of a name it can write."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from PIL import ImageDraw, ImageFont

from worker.catalogue.address import PAGES, Address

_FONTS: Final = Path(__file__).parents[3] / "static" / "fonts"
_FILES: Final = {"": "literata-wide.woff2", "italic": "literata-italic-wide.woff2", "mono": "mono.woff2"}


def words_of(address: Address) -> str:
    """Return the words of a page's name that the typeface can write; empty where it can write less than half of it."""
    if address.kind == "mark":
        return ""
    written = [c for c in address.name if c == " " or _can_write(c)]
    return " ".join("".join(written).split()) if 2 * len(written) > len(address.name) else ""


def place_of(address: Address) -> str:
    """Return what stands for words that cannot be written: which page it is."""
    return address.name if address.page is None else f"Picture {address.page} of {PAGES}"


def where_of(address: Address) -> str:
    """Return the edition and the page, as they stand below its words."""
    return address.edition if address.page is None else f"{address.edition} · picture {address.page} of {PAGES}"


def draw_emblem(draw: ImageDraw.ImageDraw, centre: tuple[int, int], radius: int, colour: tuple[int, ...]) -> None:
    """Draw the site's emblem as in static/img/favicon.svg: a hexagon on a corner with a picture in it."""
    x, y = centre
    draw.regular_polygon((x, y, radius), 6, rotation=30, outline=colour, width=round(0.17 * radius))
    wide, high = 0.4 * radius, 0.35 * radius
    draw.rectangle((round(x - wide), round(y - high), round(x + wide), round(y + high)), fill=colour)


@lru_cache(maxsize=32)
def font_of(height: int, style: str = "") -> ImageFont.FreeTypeFont:
    """Return the site's typeface in letters of a height in pixels; `style`: "italic", "mono" or none."""
    return ImageFont.truetype(_FONTS / _FILES[style], height)


@lru_cache(maxsize=4096)
def _can_write(character: str) -> bool:
    """Say whether the typeface has a character: a missing one is drawn as the same box as U+FFFF's."""
    font = font_of(30, "italic")
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))


def lines_of(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, room: int, most: int) -> list[str]:
    """Return the text in at most so many lines that fit into `room` pixels, the last ending in … where it is cut."""
    lines = [""]
    for word in text.split(" "):
        if len(lines) > most:
            break
        pieces = [word] if draw.textlength(word, font) <= room else list(word)
        for number, piece in enumerate(pieces):
            joined = f"{lines[-1]} {piece}".strip() if number == 0 else lines[-1] + piece
            if draw.textlength(joined, font) <= room:
                lines[-1] = joined
            elif len(lines) > most:
                break
            else:
                lines.append(piece)
    if len(lines) > most:
        last = lines[most - 1]
        while draw.textlength(last + "…", font) > room:
            last = last[:-1]
        lines = [*lines[: most - 1], last.rstrip() + "…"]
    return lines
