"""Draws scenes: every sprite on its backdrop with its shadow, and for every cell of latents what lies there.

May import NumPy, Pillow, scene, sprites and backdrops.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.scenes.backdrops.painting import paint
from training.scenes.backdrops.setting import HEIGHT, WIDTH, Backdrop, Setting
from training.scenes.scene import Director, Item, Scene, draw_setting
from training.scenes.sprites import SpritePack

CELL = 8  # pixels: edge of what one latent stands for
TILTED = 1.0  # degrees up to which a sprite stands upright


@functools.cache
def _shadow_mask() -> Image.Image:
    """A soft ellipse, (64, 256) in 0 … 255."""
    y = np.linspace(-1, 1, 64)[:, None]
    x = np.linspace(-1, 1, 256)[None, :]
    return Image.fromarray((np.clip(1.25 - np.sqrt(x**2 + y**2) * 1.25, 0, 1) ** 0.8 * 255).astype(np.uint8))


@dataclass(frozen=True)
class Cells:
    """What lies in the middle of every cell of 8 × 8 pixels: h rows and w columns, one for each latent.

    `things` (h, w) int16 is a subject's number + 1, or 0 where no sprite is; `places` (2, h, w) uint8 says where in the
    upright sprite that is, column and row from 0 to 255 from one edge to the other; a mirrored sprite is turned back.
    """

    things: NDArray[np.int16]
    places: NDArray[np.uint8]


def render(
    scene: Scene, backdrop: Backdrop, pack: SpritePack, window: tuple[int, int, int, int] | None = None
) -> NDArray[np.uint8]:
    """Draws a scene on its backdrop, (H, W, 3) uint8; `window` (x, y, width, height): that part of the page only."""
    return render_cells(scene, backdrop, pack, window)[0]


def render_cells(
    scene: Scene, backdrop: Backdrop, pack: SpritePack, window: tuple[int, int, int, int] | None = None
) -> tuple[NDArray[np.uint8], Cells]:
    """As `render`, and the cells of what it drew; shadows are not in them."""
    x0, y0, width, height = window or (0, 0, WIDTH, HEIGHT)
    canvas = Image.fromarray(backdrop.image[y0 : y0 + height, x0 : x0 + width].astype(np.uint8))
    shape = height // CELL, width // CELL
    cells = Cells(np.zeros(shape, np.int16), np.zeros((2, *shape), np.uint8))
    for item in sorted(scene.items, key=lambda i: (i.grounded, i.base)):
        sprite = _sprite(item, pack, backdrop)
        left, top = item.x - sprite.width / 2 - x0, item.base - item.height - (sprite.height - item.height) / 2 - y0
        if item.grounded:
            _shadow(canvas, item, sprite.width, scene.setting, x0, y0)
        corner = round(left), round(top)
        canvas.paste(sprite, corner, sprite)
        _mark(cells, item, pack, sprite, corner)
    return np.asarray(canvas), cells


def _mark(cells: Cells, item: Item, pack: SpritePack, sprite: Image.Image, corner: tuple[int, int]) -> None:
    """Enters a pasted sprite in the cells whose middle it covers."""
    rows, columns = (
        (np.arange(max(0, math.ceil((at - CELL / 2) / CELL)), min(n, (at + size - 1 - CELL // 2) // CELL + 1)))
        for at, size, n in zip(corner[::-1], (sprite.height, sprite.width), cells.things.shape, strict=True)
    )
    if not len(rows) or not len(columns):
        return
    y, x = (cells_ * CELL + CELL // 2 - at for cells_, at in zip((rows, columns), corner[::-1], strict=True))
    covered = np.asarray(sprite.getchannel("A"))[np.ix_(y, x)] > 127
    width, height = _size(item, pack)
    dx, dy = x[None, :] + 0.5 - sprite.width / 2, y[:, None] + 0.5 - sprite.height / 2
    turn = math.radians(item.angle) if abs(item.angle) > TILTED else 0.0
    across = (math.cos(turn) * dx - math.sin(turn) * dy) / width
    down = (math.sin(turn) * dx + math.cos(turn) * dy) / height
    places = np.stack(np.broadcast_arrays(-across if item.mirrored else across, down)) + 0.5
    there = np.ix_(rows, columns)
    cells.things[there] = np.where(covered, item.subject.number + 1, cells.things[there])
    for axis, part in zip(cells.places, places, strict=True):
        axis[there] = np.where(covered, np.clip(part * 255, 0, 255).round(), axis[there])


def _size(item: Item, pack: SpritePack) -> tuple[int, int]:
    """Width and height in pixels of the item's picture before it is turned."""
    picture = pack.image(item.subject.sprite, item.hue)
    return max(8, round(item.height * picture.width / picture.height)), max(8, round(item.height))


def _sprite(item: Item, pack: SpritePack, backdrop: Backdrop) -> Image.Image:
    """The item's picture, scaled, turned, mirrored and lit like its backdrop."""
    picture = pack.image(item.subject.sprite, item.hue)
    width, height = _size(item, pack)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS if height < 128 else Image.Resampling.BICUBIC)
    if item.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if abs(item.angle) > TILTED:
        picture = picture.rotate(item.angle, Image.Resampling.BICUBIC, expand=True)
    factors = 1 - 0.42 * (1 - backdrop.light)
    if float(factors.min()) > 0.98:
        return picture
    red, green, blue, alpha = picture.split()
    bands = [
        band.point([round(v * float(f)) for v in range(256)])
        for band, f in zip((red, green, blue), factors, strict=True)
    ]
    return Image.merge("RGBA", (*bands, alpha))


def _shadow(canvas: Image.Image, item: Item, width: int, setting: Setting, x0: int, y0: int) -> None:
    """A soft shadow under the feet, or a ring of foam where the ground is water."""
    wide, tall = max(8, round(width * 0.95)), max(4, round(width * 0.17))
    mask = _shadow_mask().resize((wide, tall), Image.Resampling.BILINEAR)
    water = setting.ground == "sea"
    strength = 0.55 if water else 0.36
    mask = mask.point([round(v * strength) for v in range(256)])
    colour = (226, 242, 250) if water else (18, 20, 30)
    canvas.paste(colour, (round(item.x - wide / 2 - x0), round(item.base - tall * 0.55 - y0)), mask)


def draw_page(director: Director) -> tuple[Scene, NDArray[np.uint8]]:
    """A fresh setting and a scene in it, drawn: (scene, (416, 640, 3) uint8)."""
    setting = draw_setting(director.rng)
    backdrop = paint(setting, director.rng)
    scene = director.scene(backdrop, setting)
    return scene, render(scene, backdrop, director.pack)
