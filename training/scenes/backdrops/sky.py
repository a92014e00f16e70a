"""Skies: gradient, sun and moon, stars, clouds, rainbow, planets, lightning. NumPy, Pillow, brushes, palette."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.scenes.backdrops.brushes import blend, disc, grid
from training.scenes.backdrops.palette import PALETTE
from training.scenes.backdrops.setting import HEIGHT, WIDTH, F, Setting


def paint_sky(image: F, rng: np.random.Generator, setting: Setting, horizon: float) -> None:
    """Gradient, sun or moon, stars, clouds, rainbow; down to the horizon (row) and a little below."""
    rows, _ = grid()
    colours = PALETTE[setting.sky]
    top, middle, bottom = (np.array(c, np.float32) for c in (colours.top, colours.middle, colours.bottom))
    shift = rng.normal(0, 5, 3).astype(np.float32)
    t = np.clip(rows / max(60.0, horizon), 0, 1)[..., None]  # (416, 1, 1)
    image[:] = np.where(t < 0.5, top + (middle - top) * t * 2, middle + (bottom - middle) * (t * 2 - 1)) + shift
    if setting.sky == "space":
        for _ in range(int(rng.integers(2, 4))):
            colour = [(110, 50, 150), (40, 70, 160), (150, 50, 110), (30, 110, 130)][int(rng.integers(4))]
            rows, columns = grid()
            spread = rng.uniform(70, 170)
            distance = ((rows - rng.uniform(0, HEIGHT)) * rng.uniform(1, 1.8)) ** 2 + (
                columns - rng.uniform(0, WIDTH)
            ) ** 2
            blend(image, colour, (0.55 * np.exp(-distance / (2 * spread**2))).astype(np.float32))
        _stars(image, rng, HEIGHT, int(rng.integers(70, 130)))
        if rng.random() < 0.5:
            _planet(image, rng)
        return
    if setting.sky == "night":
        _stars(image, rng, horizon, int(rng.integers(30, 70)))
        if setting.extra == "moon":
            cx, cy, radius = rng.uniform(60, WIDTH - 60), rng.uniform(40, max(60, horizon * 0.5)), rng.uniform(20, 32)
            disc(image, cx, cy, radius, (250, 244, 214), glow=26, strength=0.35)
            for dx, dy, r in ((-0.3, -0.2, 0.22), (0.35, 0.1, 0.16), (-0.05, 0.42, 0.14)):
                disc(image, cx + dx * radius, cy + dy * radius, r * radius, (224, 216, 184))
    elif setting.extra == "sun" or setting.sky in ("sunset", "dawn"):
        low = setting.sky != "day"
        cy = horizon * rng.uniform(0.62, 0.98) if low else rng.uniform(36, max(50, horizon * 0.45))
        radius = rng.uniform(28, 42) if low else rng.uniform(22, 32)
        disc(image, rng.uniform(70, WIDTH - 70), cy, radius, colours.sun, glow=60 if low else 34, strength=0.6)
    if setting.extra == "rainbow":
        rows, columns = grid()
        radius, cx = rng.uniform(230, 300), rng.uniform(220, 420)
        distance = np.sqrt((rows - horizon - 20) ** 2 + (columns - cx) ** 2)
        bands = ((236, 70, 70), (246, 156, 60), (250, 226, 90), (100, 196, 110), (80, 140, 230), (150, 100, 200))
        for i, band in enumerate(bands):
            blend(
                image, band, (0.75 * np.clip(6.0 - np.abs(distance - radius + i * 11) + 0.5, 0, 1)).astype(np.float32)
            )
    number = {"day": (2, 6), "dawn": (1, 4), "sunset": (2, 5), "night": (0, 3), "storm": (7, 11), "overcast": (5, 9)}[
        setting.sky
    ]
    for _ in range(int(rng.integers(*number))):
        _cloud(
            image, rng,
            rng.uniform(-20, WIDTH + 20), rng.uniform(15, max(40, horizon * 0.8)), int(rng.uniform(90, 270)),
            np.array(colours.cloud, np.float32), np.array(colours.cloud_base, np.float32), rng.uniform(0.65, 0.95),
        )  # fmt: skip
    if setting.sky == "storm" and rng.random() < 0.4:
        _lightning(image, rng, horizon)


@functools.cache
def _cloud_masks() -> tuple[F, ...]:
    """Sixteen cloud shapes (120, 240) in 0 … 1: heaps of discs on a flat base, blurred."""
    rng = np.random.default_rng(5)
    masks = []
    for _ in range(16):
        picture = Image.new("L", (480, 240), 0)
        draw = ImageDraw.Draw(picture)
        for _ in range(int(rng.integers(5, 9))):
            cx = rng.normal(240, 75)
            radius = rng.uniform(34, 70) * (1 - abs(cx - 240) / 330)
            cy = 165 - radius * rng.uniform(0.5, 0.95)
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=255)
        draw.rounded_rectangle((95, 128, 385, 176), 24, fill=255)
        picture = picture.filter(ImageFilter.GaussianBlur(5)).resize((240, 120), Image.Resampling.BOX)
        masks.append(np.asarray(picture, np.float32) / 255)
    return tuple(masks)


def _cloud(
    image: F, rng: np.random.Generator, cx: float, cy: float, width: int, colour: F, shade: F, strength: float
) -> None:
    """Pastes a cloud centred at (cx, cy): `colour` above, `shade` at its base."""
    mask = _cloud_masks()[int(rng.integers(16))]
    if rng.random() < 0.5:
        mask = mask[:, ::-1]
    height = max(8, int(width * rng.uniform(0.36, 0.5)))
    scaled = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR), np.float32) * strength
    x, y = int(cx - width / 2), int(cy - height / 2)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(WIDTH, x + width), min(HEIGHT, y + height)
    if x0 >= x1 or y0 >= y1:
        return
    scaled = scaled[y0 - y : y1 - y, x0 - x : x1 - x]
    t = np.linspace(0, 1, height, dtype=np.float32)[y0 - y : y1 - y, None, None]
    part = image[y0:y1, x0:x1]
    part += (colour * (1 - t) + shade * t - part) * scaled[..., None]


def _stars(image: F, rng: np.random.Generator, bottom: float, count: int) -> None:
    """Small round stars of several sizes down to the row `bottom`."""
    for _ in range(count):
        x, y = int(rng.integers(2, WIDTH - 3)), int(rng.uniform(2, max(4, bottom - 4)))
        radius = float(rng.choice([0.6, 0.8, 1.2, 1.7], p=[0.45, 0.3, 0.17, 0.08]))
        yy, xx = np.mgrid[-2:3, -2:3].astype(np.float32)
        mask = np.clip(radius - np.sqrt(yy**2 + xx**2) + 0.5, 0, 1) * rng.uniform(0.5, 1)
        if y + 3 <= HEIGHT and y >= 2:
            blend(image[y - 2 : y + 3, x - 2 : x + 3], (255.0, 250.0, 225.0), mask.astype(np.float32))


def _planet(image: F, rng: np.random.Generator) -> None:
    """A shaded ball, sometimes with a ring, near the edge of the picture."""
    colour = np.array(
        [(224, 150, 96), (110, 170, 226), (200, 120, 150), (150, 196, 150)][int(rng.integers(4))], np.float32
    )
    radius = rng.uniform(26, 60)
    cx = rng.uniform(20, 150) if rng.random() < 0.5 else rng.uniform(WIDTH - 150, WIDTH - 20)
    cy = rng.uniform(20, 170)
    rows, columns = grid()
    distance = np.sqrt((rows - cy) ** 2 + (columns - cx) ** 2)
    light = np.clip(0.75 - ((columns - cx) + (rows - cy)) / (2.6 * radius), 0.25, 1.15)[..., None]
    part = np.clip(radius - distance + 0.5, 0, 1)[..., None]
    image += (colour * light - image) * part
    if rng.random() < 0.4:
        ring = np.sqrt(((rows - cy) * 3.2 + (columns - cx) * 0.6) ** 2 + (columns - cx) ** 2)
        band = np.clip(7 - np.abs(ring - radius * 1.55) + 0.5, 0, 1) * np.where(distance < radius, rows > cy, True)
        blend(image, colour * 0.6 + 90, (0.8 * band).astype(np.float32))


def _lightning(image: F, rng: np.random.Generator, horizon: float) -> None:
    """One zigzag bolt from the clouds to the horizon."""
    layer = Image.new("L", (WIDTH, HEIGHT), 0)
    x, y = rng.uniform(80, WIDTH - 80), 20.0
    points = [(x, y)]
    while y < horizon - 8:
        x, y = x + rng.uniform(-24, 24), y + rng.uniform(18, 40)
        points.append((x, min(y, horizon)))
    ImageDraw.Draw(layer).line(points, fill=255, width=5, joint="curve")
    blend(image, (255, 246, 190), np.asarray(layer.filter(ImageFilter.GaussianBlur(1.2)), np.float32) / 255)
