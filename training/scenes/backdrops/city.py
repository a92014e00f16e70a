"""The city: rows of houses with windows, a pavement and a street (NumPy, Pillow, brushes)."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from training.scenes.backdrops.brushes import below, tint
from training.scenes.backdrops.palette import PALETTE
from training.scenes.backdrops.setting import HEIGHT, WIDTH, F, Setting


def paint_city(image: F, rng: np.random.Generator, setting: Setting, horizon: float, light: F) -> None:
    """Two rows of houses with windows (lit where it is dark), a pavement and a street."""
    dark = setting.sky in ("night", "storm", "sunset")
    tones = ((150, 164, 186), (190, 150, 136), (214, 190, 156), (134, 152, 160), (176, 178, 190), (160, 134, 150))
    layer = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(layer)
    for depth, (low, high) in ((0, (110, 230)), (1, (60, 150))):
        x = rng.uniform(-50, 0)
        while x < WIDTH:
            width, height = rng.uniform(44, 92), rng.uniform(low, high)
            tone = tint(tones[int(rng.integers(len(tones)))], light) * (0.86 if depth else 1.0)
            if depth == 0:
                tone = tone * 0.6 + np.asarray(PALETTE[setting.sky].bottom, np.float32) * 0.35
            box = (x, horizon + 12 - height, x + width, horizon + 14)
            draw.rectangle(box, fill=tuple(int(v) for v in np.clip(tone, 0, 255)))
            step, size = (15, 7) if depth else (13, 6)
            wx = x + 7
            while wx + size < x + width - 3:
                wy = box[1] + 9
                while wy + size + 3 < horizon + 6:
                    lit = dark and rng.random() < 0.5
                    glass = np.array((255, 220, 120)) if lit else np.clip(tone * 0.62 + 18, 0, 255)
                    draw.rectangle((wx, wy, wx + size, wy + size + 3), fill=tuple(int(v) for v in glass))
                    wy += step + 5
                wx += step
            x += width + rng.uniform(-2, 8)
    image[:] = np.asarray(layer, np.float32)
    below(
        image,
        np.full(WIDTH, horizon + 12, np.float32),
        tint((186, 186, 184), light),
        tint((160, 160, 162), light),
        depth=60,
    )
    kerb = horizon + 12 + (HEIGHT - horizon) * rng.uniform(0.5, 0.7)
    below(image, np.full(WIDTH, kerb, np.float32), tint((120, 120, 124), light), tint((120, 120, 124), light))
    below(image, np.full(WIDTH, kerb + 5, np.float32), tint((92, 94, 102), light), tint((76, 78, 86), light))
