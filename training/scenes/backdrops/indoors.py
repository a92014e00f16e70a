"""Settings without a sky: a room, and one plain colour (NumPy, brushes)."""

from __future__ import annotations

import numpy as np

from training.scenes.backdrops.brushes import blend, grid
from training.scenes.backdrops.palette import PALETTE
from training.scenes.backdrops.setting import COLOURS, HEIGHT, WIDTH, F, Setting


def paint_room(image: F, rng: np.random.Generator, setting: Setting, horizon: float) -> None:
    """A wall in a named colour, a skirting board, floor boards; sometimes a window or a picture."""
    rows, columns = grid()
    wall = np.array(COLOURS[setting.colour or "white"], np.float32) * 0.62 + 92 + rng.normal(0, 4, 3).astype(np.float32)
    image[:] = wall * (1.03 - 0.12 * rows / HEIGHT)[..., None]
    if rng.random() < 0.4:
        image *= (1 - 0.05 * ((columns + rng.uniform(0, 60)) % 60 < 30))[..., None]
    if rng.random() < 0.55:
        w, h = rng.uniform(90, 150), rng.uniform(90, 120)
        x, y = rng.uniform(20, WIDTH - w - 20), rng.uniform(24, max(26, horizon - h - 40))
        glass = np.array(PALETTE[("day", "day", "night", "sunset")[int(rng.integers(4))]].middle, np.float32)
        inside = np.clip(
            np.minimum(np.minimum(columns - x, x + w - columns), np.minimum(rows - y, y + h - rows)) + 0.5, 0, 9
        )
        blend(image, (250, 248, 242), np.clip(inside, 0, 1))
        blend(image, glass, np.clip(inside - 7, 0, 1))
        bars = np.maximum(3.5 - np.abs(columns - x - w / 2), 3.5 - np.abs(rows - y - h / 2))
        blend(image, (250, 248, 242), np.clip(bars, 0, 1) * np.clip(inside, 0, 1))
    wood = np.array(((196, 150, 104), (172, 122, 84), (214, 184, 146))[int(rng.integers(3))], np.float32)
    t = np.clip((rows - horizon) / (HEIGHT - horizon), 0, 1)
    shade = (0.9 + 0.14 * t)[..., None]
    mask = np.clip(rows - horizon + 0.5, 0, 1)
    image += (wood * shade - image) * mask[..., None]
    vanishing = rng.uniform(250, 390)
    board = (columns - vanishing) / (60 + 70 * t)
    seams = np.clip(1.3 - np.abs((board % 1) - 0.5) * (60 + 70 * t), 0, 1) * mask
    blend(image, wood * 0.8, (0.7 * seams).astype(np.float32))
    blend(
        image,
        (248, 246, 240),
        np.broadcast_to(np.clip(np.minimum(rows - horizon + 13, horizon - rows) + 0.5, 0, 1), (HEIGHT, WIDTH)),
    )
    if rng.random() < 0.45:
        rug = np.array(COLOURS[tuple(COLOURS)[int(rng.integers(3, 10))]], np.float32)
        cx, cy = rng.uniform(220, 420), horizon + (HEIGHT - horizon) * 0.58
        for scale, paint in ((1.0, rug), (0.82, rug * 0.5 + 120)):
            distance = np.sqrt(
                ((columns - cx) / (200 * scale)) ** 2 + ((rows - cy) / ((HEIGHT - horizon) * 0.34 * scale)) ** 2
            )
            blend(image, paint, np.clip((1 - distance) * 60 + 0.5, 0, 1).astype(np.float32))


def paint_plain(image: F, rng: np.random.Generator, setting: Setting, horizon: float) -> None:
    """One named colour, a little lighter in the middle and darker towards a soft floor."""
    rows, columns = grid()
    colour = np.array(COLOURS[setting.colour or "white"], np.float32) + rng.normal(0, 4, 3).astype(np.float32)
    glow = np.exp(-(((columns - WIDTH / 2) / 300) ** 2 + ((rows - HEIGHT * 0.45) / 210) ** 2))
    image[:] = colour * (0.94 + 0.09 * glow)[..., None]
    image *= (1 - 0.08 / (1 + np.exp(-(rows - horizon) / 14)))[..., None]
