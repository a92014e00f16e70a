"""The brushes that everything here is painted with: gradients, lines, discs, all in place on float images (NumPy)."""

from __future__ import annotations

import functools

import numpy as np

from training.scenes.backdrops.setting import HEIGHT, WIDTH, F


@functools.cache
def grid() -> tuple[F, F]:
    """Rows (416, 1) and columns (1, 640) as float32."""
    return np.arange(HEIGHT, dtype=np.float32)[:, None], np.arange(WIDTH, dtype=np.float32)[None, :]


def blend(image: F, colour: F | tuple[float, ...], mask: F) -> None:
    """image ← image + (colour − image) · mask, in place; mask (H, W), colour (3,) or (H, 1 or W, 3)."""
    paint = np.asarray(colour, np.float32)
    image += (paint - image) * mask[..., None]


def wave(rng: np.random.Generator, roughness: float = 1.0) -> F:
    """A smooth line (640,) of about −1 … 1: a sum of sines that fall off with their frequency."""
    x = np.linspace(0, 2 * np.pi, WIDTH, dtype=np.float32)
    line = np.zeros(WIDTH, np.float32)
    for k, weight in (
        (0.7, 0.6),
        (1.4, 0.4),
        (2.7, 0.22 * roughness),
        (5.3, 0.10 * roughness),
        (11.0, 0.04 * roughness),
    ):
        line += weight * np.sin(k * rng.uniform(0.8, 1.25) * x + rng.uniform(0, 6.28)).astype(np.float32)
    return line


def below(
    image: F, line: F, top: tuple[float, ...] | F, bottom: tuple[float, ...] | F, soft: float = 1.0, depth: float = 0
) -> None:
    """Fills what lies below a line (640,) with a vertical gradient from `top` to `bottom` over `depth` rows."""
    rows, _ = grid()
    start = int(max(0, np.floor(line.min() - 2)))
    y = rows[start:]
    mask = np.clip((y - line[None, :]) / soft + 0.5, 0, 1)
    span = depth or max(1.0, HEIGHT - float(line.min()))
    t = np.clip((y - line[None, :]) / span, 0, 1)[..., None]
    paint = np.asarray(top, np.float32) * (1 - t) + np.asarray(bottom, np.float32) * t
    part = image[start:]
    part += (paint - part) * mask[..., None]


def disc(
    image: F, cx: float, cy: float, radius: float, colour: tuple[float, ...], glow: float = 0.0, strength: float = 0.6
) -> None:
    """A soft-edged disc with a glow of `glow` pixels around it."""
    rows, columns = grid()
    distance = np.sqrt((rows - cy) ** 2 + (columns - cx) ** 2)
    if glow:
        blend(image, colour, strength * np.exp(-np.clip(distance - radius, 0, None) / glow).astype(np.float32))
    blend(image, colour, np.clip(radius - distance + 0.5, 0, 1))


def tint(colour: tuple[float, ...], light: F) -> F:
    """A ground colour under the light of its sky."""
    return np.asarray(colour, np.float32) * light
