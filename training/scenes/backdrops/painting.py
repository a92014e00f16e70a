"""Paints what stands behind the subjects: a sky, a ground and the weather, as smooth float images (NumPy and Pillow).

A setting is (sky, ground, colour). All shapes are drawn with analytic soft edges: a mask is clip(distance + ½, 0, 1)
in pixels, so nothing is supersampled and a page costs about 25 ms.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.scenes.backdrops.brushes import blend
from training.scenes.backdrops.ground import paint_ground
from training.scenes.backdrops.indoors import paint_plain, paint_room
from training.scenes.backdrops.palette import PALETTE
from training.scenes.backdrops.setting import HEIGHT, WIDTH, Backdrop, F, Setting
from training.scenes.backdrops.sky import paint_sky


def paint(setting: Setting, rng: np.random.Generator) -> Backdrop:
    """Paints a setting; the same generator state gives the same picture."""
    image = np.empty((HEIGHT, WIDTH, 3), np.float32)
    light = np.array(PALETTE[setting.sky].light, np.float32)
    if setting.ground == "room":
        horizon = HEIGHT * rng.uniform(0.58, 0.7)
        light = np.ones(3, np.float32)
        paint_room(image, rng, setting, horizon)
    elif setting.ground == "plain":
        horizon = HEIGHT * rng.uniform(0.62, 0.74)
        light = np.ones(3, np.float32)
        paint_plain(image, rng, setting, horizon)
    elif setting.sky == "space":
        horizon = HEIGHT * 0.5
        paint_sky(image, rng, setting, HEIGHT)
    else:
        horizon = HEIGHT * rng.uniform(0.46, 0.66)
        paint_sky(image, rng, setting, horizon)
        paint_ground(image, rng, setting, horizon, light)
    paint_weather(image, rng, setting)
    np.clip(image, 0, 255, out=image)
    return Backdrop(image, horizon, light)


def paint_weather(image: F, rng: np.random.Generator, setting: Setting) -> None:
    """Rain or snow before everything behind the subjects."""
    if setting.extra == "rain":
        layer = Image.new("L", (WIDTH, HEIGHT), 0)
        draw = ImageDraw.Draw(layer)
        slant = rng.uniform(2, 9)
        for _ in range(int(rng.integers(90, 170))):
            x, y, length = rng.uniform(-10, WIDTH), rng.uniform(-10, HEIGHT), rng.uniform(12, 26)
            draw.line((x, y, x - slant * length / 26, y + length), fill=130, width=2)
        blend(image, (206, 222, 240), np.asarray(layer, np.float32) / 255)
    elif setting.extra == "snowfall":
        layer = Image.new("L", (WIDTH, HEIGHT), 0)
        draw = ImageDraw.Draw(layer)
        for _ in range(int(rng.integers(80, 170))):
            x, y, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(1.2, 3.6)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=235)
        blend(image, (252, 253, 255), np.asarray(layer.filter(ImageFilter.GaussianBlur(0.8)), np.float32) / 255)
