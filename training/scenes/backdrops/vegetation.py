"""What grows: far trees, tufts of grass, flowers. NumPy, Pillow and brushes."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw

from training.scenes.backdrops.brushes import blend, tint
from training.scenes.backdrops.setting import HEIGHT, WIDTH, F


@functools.cache
def _tree_masks() -> tuple[tuple[F, F], ...]:
    """Twelve far trees, (110, 80) crown and trunk masks: six firs, six round ones."""
    rng = np.random.default_rng(11)
    trees = []
    for i in range(12):
        crown, trunk = Image.new("L", (320, 440), 0), Image.new("L", (320, 440), 0)
        draw = ImageDraw.Draw(crown)
        ImageDraw.Draw(trunk).rectangle((144, 330, 176, 440), fill=255)
        if i < 6:
            width = rng.uniform(90, 130)
            for k in range(3):
                top, base = 20 + k * 95, 170 + k * 100
                half = width * (0.6 + 0.2 * k)
                draw.polygon([(160, top), (160 - half, base), (160 + half, base)], fill=255)
        else:
            for _ in range(9):
                cx, cy, r = rng.normal(160, 42), rng.normal(170, 56), rng.uniform(60, 85)
                draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=255)
        small = [np.asarray(m.resize((80, 110), Image.Resampling.BOX), np.float32) / 255 for m in (crown, trunk)]
        trees.append((small[0], small[1]))
    return tuple(trees)


def paint_tree(
    image: F, rng: np.random.Generator, x: float, base: float, height: int, light: F, round_tree: bool, far: float
) -> None:
    """A far tree that stands at row `base`; `far` 0 … 1 fades it into haze."""
    crown, trunk = _tree_masks()[int(rng.integers(6)) + (6 if round_tree else 0)]
    width = int(height * 0.73)
    left, top = int(x - width / 2), int(base - height)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + width), min(HEIGHT, top + height)
    if x0 >= x1 or y0 >= y1:
        return
    green = np.array((58, 132, 70) if round_tree else (36, 104, 74), np.float32) + rng.normal(0, 8, 3).astype(
        np.float32
    )
    haze = np.array((170, 190, 200), np.float32)
    part = image[y0:y1, x0:x1]
    shade = np.linspace(1.15, 0.75, height, dtype=np.float32)[y0 - top : y1 - top, None, None]
    for mask, colour in ((trunk, np.array((104, 76, 56), np.float32)), (crown, green)):
        m = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR), np.float32)
        m = m[y0 - top : y1 - top, x0 - left : x1 - left, None]
        part += (((colour * (1 - far) + haze * far) * light) * shade - part) * m


def paint_tufts(image: F, rng: np.random.Generator, line: float, colour: F, count: int) -> None:
    """Short blades of grass below the row `line`, larger towards the front."""
    layer = Image.new("L", (WIDTH, HEIGHT), 0)
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        y = rng.uniform(line + 14, HEIGHT)
        x, size = rng.uniform(0, WIDTH), 3 + 9 * (y - line) / max(40, HEIGHT - line)
        for dx in (-0.5, 0.0, 0.5):
            draw.line((x + dx * size * 0.5, y, x + dx * size * 1.3, y - size), fill=150, width=2)
    blend(image, colour, np.asarray(layer, np.float32) / 255)


def paint_flowers(image: F, rng: np.random.Generator, line: float, light: F, count: int) -> None:
    """Small round flowers strewn over a meadow."""
    colours = ((255, 255, 255), (250, 220, 90), (240, 120, 160), (200, 120, 220))
    for _ in range(count):
        y = rng.uniform(line + 24, HEIGHT - 4)
        radius = 1.4 + 2.2 * (y - line) / max(40, HEIGHT - line)
        x = rng.uniform(6, WIDTH - 6)
        x0, y0 = int(x) - 5, int(y) - 5
        yy, xx = np.mgrid[y0 : y0 + 11, x0 : x0 + 11].astype(np.float32)
        mask = np.clip(radius - np.sqrt((yy - y) ** 2 + (xx - x) ** 2) + 0.5, 0, 1)
        part = image[max(0, y0) : y0 + 11, max(0, x0) : x0 + 11]
        mask = mask[max(0, -y0) :, max(0, -x0) :][: part.shape[0], : part.shape[1]]
        blend(part, tint(colours[int(rng.integers(4))], light), mask)
