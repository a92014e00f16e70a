"""Grounds out of doors but the city's: meadow, forest, desert, snow, mountains, sea, beach, road (NumPy, brushes)."""

from __future__ import annotations

import numpy as np

from training.scenes.backdrops.brushes import below, blend, grid, tint, wave
from training.scenes.backdrops.city import paint_city
from training.scenes.backdrops.palette import PALETTE
from training.scenes.backdrops.setting import HEIGHT, WIDTH, F, Setting
from training.scenes.backdrops.vegetation import paint_flowers, paint_tree, paint_tufts


def paint_ground(image: F, rng: np.random.Generator, setting: Setting, horizon: float, light: F) -> None:
    """Everything below the horizon, and what stands on it far away."""
    ground = setting.ground
    jitter = rng.normal(0, 5, 3).astype(np.float32)
    if ground in ("meadow", "forest", "mountains", "road"):
        if ground == "mountains":
            paint_mountains(image, rng, horizon, light)
        far, near = tint((142, 194, 116), light) + jitter, tint((74, 146, 66), light) + jitter
        hills = horizon + 5 + wave(rng, 0.5) * rng.uniform(4, 14)
        if ground in ("meadow", "road") or rng.random() < 0.3:
            back = horizon - rng.uniform(2, 16) + wave(rng, 0.6) * rng.uniform(8, 20)
            below(image, back, far * 0.94 + 8, far * 0.86)
        if ground == "forest":
            for row, far_off in ((0.0, 0.35), (10.0, 0.12)):
                x = rng.uniform(-30, 0)
                while x < WIDTH + 20:
                    height = int(rng.uniform(80, 150) * (0.85 if row == 0 else 1.05))
                    paint_tree(image, rng, x, horizon + 8 + row, height, light, bool(rng.random() < 0.35), far_off)
                    x += rng.uniform(26, 58)
            hills = horizon + 12 + wave(rng, 0.5) * 4
            far, near = tint((98, 150, 84), light) + jitter, tint((58, 112, 58), light) + jitter
        below(image, hills, far, near)
        if ground == "meadow" and rng.random() < 0.5:
            for _ in range(int(rng.integers(1, 5))):
                x = rng.uniform(10, WIDTH - 10)
                base = float(hills[int(x)]) + rng.uniform(4, 14)
                paint_tree(image, rng, x, base, int(rng.uniform(36, 64)), light, bool(rng.random() < 0.6), 0.15)
        paint_tufts(image, rng, horizon, near * 0.78, int(rng.integers(25, 60)))
        if ground == "meadow":
            paint_flowers(image, rng, horizon, light, int(rng.integers(0, 40)))
        if ground == "road":
            paint_road(image, rng, horizon, light)
    elif ground == "desert":
        for i in range(3):
            line = horizon + i * (HEIGHT - horizon) * 0.27 + wave(rng, 0.3) * (12 + 8 * i)
            top, low = (
                tint((248 - 6 * i, 216 - 8 * i, 150 - 8 * i), light) + jitter,
                tint((222, 176, 108), light) + jitter,
            )
            below(image, line, top, low, depth=70 + 60 * i)
    elif ground == "snow":
        below(
            image,
            horizon - 4 + wave(rng, 0.4) * 14,
            tint((226, 236, 248), light) + jitter * 0.4,
            tint((200, 216, 238), light),
        )
        if rng.random() < 0.5:
            for _ in range(int(rng.integers(2, 7))):
                paint_tree(
                    image,
                    rng,
                    rng.uniform(0, WIDTH),
                    horizon + rng.uniform(6, 16),
                    int(rng.uniform(44, 80)),
                    light,
                    False,
                    0.3,
                )
        below(image, horizon + 16 + wave(rng, 0.3) * 10, tint((250, 252, 255), light), tint((214, 226, 244), light))
    elif ground in ("sea", "beach"):
        paint_sea(image, rng, setting, horizon, light, jitter)
    elif ground == "city":
        paint_city(image, rng, setting, horizon, light)


def paint_mountains(image: F, rng: np.random.Generator, horizon: float, light: F) -> None:
    """Two ridges of jagged peaks, the far one with snow, lit from the left."""
    for i, (tone, tall) in enumerate((((132, 146, 178), 1.0), ((98, 118, 138), 0.55))):
        count = int(rng.integers(3, 6)) + i * 2
        xs = np.sort(rng.uniform(-60, WIDTH + 60, count))
        xs += np.linspace(-30, 30, count)
        tops = rng.uniform(90, 190, count) * tall
        _, columns = grid()
        x = columns[0]
        slopes = rng.uniform(0.75, 1.25, count)
        heights = np.max([t - np.abs(x - c) * s for c, t, s in zip(xs, tops, slopes, strict=True)], axis=0)
        nearest = np.argmax([t - np.abs(x - c) * s for c, t, s in zip(xs, tops, slopes, strict=True)], axis=0)
        detail = wave(rng, 3.0) * 4
        line = (horizon + 6 - np.clip(heights, 0, None) + detail * (heights > 0)).astype(np.float32)
        lit = np.where(x < xs[nearest] + wave(rng, 3.0) * 6, 1.12, 0.86).astype(np.float32)[None, :, None]
        base = tint(tone, light)
        below(image, line, base * lit, base * lit * 0.9 + tint((40, 48, 50), light) * 0.4, depth=200)
        if i == 0:
            rows, _ = grid()
            cap = 26 + wave(rng, 6.0) * 9
            mask = np.clip(rows - line[None, :] + 0.5, 0, 1) * np.clip(
                line[None, :] + cap[None, :] * np.clip(heights / 130, 0, 1.4)[None, :] - rows, 0, 1
            )
            mask = (mask * (heights > 60)[None, :]).astype(np.float32)
            image += (tint((246, 250, 255), light) * np.minimum(lit, 1.0) - image) * mask[..., None]


def paint_sea(image: F, rng: np.random.Generator, setting: Setting, horizon: float, light: F, jitter: F) -> None:
    """Water with rows of short crests that grow towards the front; for a beach, sand with a rim of foam before it."""
    rows, columns = grid()
    colours = PALETTE[setting.sky]
    below(
        image,
        np.full(WIDTH, horizon, np.float32),
        tint(colours.far_water, light**0.5) + jitter,
        tint(colours.near_water, light**0.5) + jitter,
        depth=150,
    )
    t = np.clip((rows - horizon) / max(40, HEIGHT - horizon), 0, 1)
    phase = (
        (np.log1p(9 * t) * rng.uniform(24, 32))
        + 0.9 * np.sin(columns / (22 + 60 * t) + rng.uniform(0, 6))
        + rng.uniform(0, 6)
    )
    crest = np.clip(np.sin(phase) - 0.72, 0, 1) * 3 * np.clip(np.sin(columns / (46 + 90 * t) + phase * 1.7) + 0.2, 0, 1)
    blend(
        image,
        tint((214, 236, 248), light**0.5),
        (np.clip(crest, 0, 1) * 0.5 * (rows > horizon + 3)).astype(np.float32),
    )
    if setting.ground == "beach":
        shore = horizon + (HEIGHT - horizon) * rng.uniform(0.22, 0.36) + wave(rng, 0.6) * 7
        below(image, shore - 7, tint((250, 252, 252), light), tint((250, 252, 252), light))
        below(image, shore, tint((206, 172, 118), light), tint((206, 172, 118), light))
        below(image, shore + 6, tint((240, 214, 160), light) + jitter, tint((226, 192, 132), light) + jitter, soft=6)


def paint_road(image: F, rng: np.random.Generator, horizon: float, light: F) -> None:
    """A grey road: across the picture with a dashed middle line, or running to the horizon."""
    rows, columns = grid()
    asphalt, line = tint((104, 106, 114), light), tint((244, 240, 220), light)
    if rng.random() < 0.5:
        top = horizon + (HEIGHT - horizon) * rng.uniform(0.32, 0.48)
        bottom = top + (HEIGHT - horizon) * rng.uniform(0.38, 0.5)
        inside = np.clip(rows - top + 0.5, 0, 1) * np.clip(bottom - rows + 0.5, 0, 1)
        blend(image, asphalt, np.broadcast_to(inside, (HEIGHT, WIDTH)))
        for edge in (top + 3, bottom - 3):
            blend(image, line, np.broadcast_to(np.clip(2.0 - np.abs(rows - edge), 0, 1), (HEIGHT, WIDTH)))
        dash = np.clip(3.0 - np.abs(rows - (top + bottom) / 2), 0, 1) * ((columns + rng.uniform(0, 80)) % 84 < 48)
        blend(image, line, dash.astype(np.float32))
    else:
        t = np.clip((rows - horizon - 6) / (HEIGHT - horizon - 6), 0, 1)
        centre = rng.uniform(240, 400) + (1 - t) * rng.uniform(-90, 90)
        half = 6 + t * rng.uniform(150, 230)
        offset = np.abs(columns - centre)
        below = rows > horizon + 6
        blend(image, asphalt, (np.clip(half - offset + 0.5, 0, 1) * below).astype(np.float32))
        blend(image, line, (np.clip(1 + half * 0.02 - np.abs(offset - half * 0.93), 0, 1) * below).astype(np.float32))
        dash = np.clip(0.6 + half * 0.025 - offset, 0, 1) * (np.sin(np.log1p(8 * t) * 14 + 1) > 0) * below
        blend(image, line, dash.astype(np.float32))
