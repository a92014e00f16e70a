"""Paints what stands behind the subjects: a sky, a ground and the weather, as smooth float images (NumPy and Pillow).

A setting is (sky, ground, colour). All shapes are drawn with analytic soft edges: a mask is clip(distance + ½, 0, 1)
in pixels, so nothing is supersampled and a page costs about 25 ms.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

HEIGHT, WIDTH = 416, 640
F = NDArray[np.floating]

SKIES = ("day", "dawn", "sunset", "night", "storm", "overcast", "space")
GROUNDS = ("meadow", "desert", "snow", "sea", "beach", "forest", "mountains", "city", "road", "room", "plain")
COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (244, 244, 240),
    "grey": (150, 152, 158),
    "black": (38, 38, 44),
    "red": (214, 62, 58),
    "orange": (244, 150, 62),
    "yellow": (250, 216, 92),
    "green": (96, 186, 104),
    "blue": (84, 148, 226),
    "purple": (146, 104, 206),
    "pink": (246, 160, 196),
}
WALLS = ("white", "orange", "yellow", "green", "blue", "purple", "pink")
# Top and bottom of each sky, and the light that falls on the ground under it.
PALETTE: dict[
    str, tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int], tuple[float, float, float]]
] = {
    "day": ((70, 150, 238), (128, 192, 248), (206, 234, 252), (1.0, 1.0, 1.0)),
    "dawn": ((150, 176, 232), (238, 190, 206), (255, 226, 176), (0.98, 0.90, 0.86)),
    "sunset": ((92, 62, 142), (232, 104, 92), (255, 190, 84), (0.86, 0.66, 0.58)),
    "night": ((9, 14, 46), (20, 32, 84), (44, 62, 122), (0.34, 0.40, 0.62)),
    "storm": ((48, 54, 72), (82, 90, 108), (122, 130, 142), (0.56, 0.60, 0.66)),
    "overcast": ((162, 172, 184), (186, 194, 204), (214, 219, 225), (0.82, 0.84, 0.87)),
    "space": ((8, 5, 24), (20, 10, 46), (34, 16, 66), (0.7, 0.7, 0.8)),
}


@dataclass(frozen=True)
class Setting:
    """What lies behind the subjects; `colour` names the wall of a room or the plain colour, else None."""

    sky: str
    ground: str
    colour: str | None = None
    extra: str | None = None  # rainbow, rain, snowfall, moon, sun or stars, where the caption may name it


@dataclass
class Backdrop:
    """A painted setting: (416, 640, 3) float32 in 0 … 255, where the ground begins (row), and the light on it."""

    image: F
    horizon: float
    light: F


@functools.cache
def _grid() -> tuple[F, F]:
    """Rows (416, 1) and columns (1, 640) as float32."""
    return np.arange(HEIGHT, dtype=np.float32)[:, None], np.arange(WIDTH, dtype=np.float32)[None, :]


def _blend(image: F, colour: F | tuple[float, ...], mask: F) -> None:
    """image ← image + (colour − image) · mask, in place; mask (H, W), colour (3,) or (H, 1 or W, 3)."""
    paint = np.asarray(colour, np.float32)
    image += (paint - image) * mask[..., None]


def _wave(rng: np.random.Generator, roughness: float = 1.0) -> F:
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


def _below(
    image: F, line: F, top: tuple[float, ...] | F, bottom: tuple[float, ...] | F, soft: float = 1.0, depth: float = 0
) -> None:
    """Fills what lies below a line (640,) with a vertical gradient from `top` to `bottom` over `depth` rows."""
    rows, _ = _grid()
    start = int(max(0, np.floor(line.min() - 2)))
    y = rows[start:]
    mask = np.clip((y - line[None, :]) / soft + 0.5, 0, 1)
    span = depth or max(1.0, HEIGHT - float(line.min()))
    t = np.clip((y - line[None, :]) / span, 0, 1)[..., None]
    paint = np.asarray(top, np.float32) * (1 - t) + np.asarray(bottom, np.float32) * t
    part = image[start:]
    part += (paint - part) * mask[..., None]


def _disc(
    image: F, cx: float, cy: float, radius: float, colour: tuple[float, ...], glow: float = 0.0, strength: float = 0.6
) -> None:
    """A soft-edged disc with a glow of `glow` pixels around it."""
    rows, columns = _grid()
    distance = np.sqrt((rows - cy) ** 2 + (columns - cx) ** 2)
    if glow:
        _blend(image, colour, strength * np.exp(-np.clip(distance - radius, 0, None) / glow).astype(np.float32))
    _blend(image, colour, np.clip(radius - distance + 0.5, 0, 1))


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
            _blend(image[y - 2 : y + 3, x - 2 : x + 3], (255.0, 250.0, 225.0), mask.astype(np.float32))


def _paint_sky(image: F, rng: np.random.Generator, setting: Setting, horizon: float) -> None:
    """Gradient, sun or moon, stars, clouds, rainbow; down to the horizon (row) and a little below."""
    rows, _ = _grid()
    top, middle, bottom, _ = (np.array(c, np.float32) for c in PALETTE[setting.sky])
    shift = rng.normal(0, 5, 3).astype(np.float32)
    t = np.clip(rows / max(60.0, horizon), 0, 1)[..., None]  # (416, 1, 1)
    image[:] = np.where(t < 0.5, top + (middle - top) * t * 2, middle + (bottom - middle) * (t * 2 - 1)) + shift
    if setting.sky == "space":
        for _ in range(int(rng.integers(2, 4))):
            colour = [(110, 50, 150), (40, 70, 160), (150, 50, 110), (30, 110, 130)][int(rng.integers(4))]
            rows, columns = _grid()
            spread = rng.uniform(70, 170)
            distance = ((rows - rng.uniform(0, HEIGHT)) * rng.uniform(1, 1.8)) ** 2 + (
                columns - rng.uniform(0, WIDTH)
            ) ** 2
            _blend(image, colour, (0.55 * np.exp(-distance / (2 * spread**2))).astype(np.float32))
        _stars(image, rng, HEIGHT, int(rng.integers(70, 130)))
        if rng.random() < 0.5:
            _planet(image, rng)
        return
    if setting.sky == "night":
        _stars(image, rng, horizon, int(rng.integers(30, 70)))
        if setting.extra == "moon":
            cx, cy, radius = rng.uniform(60, WIDTH - 60), rng.uniform(40, max(60, horizon * 0.5)), rng.uniform(20, 32)
            _disc(image, cx, cy, radius, (250, 244, 214), glow=26, strength=0.35)
            for dx, dy, r in ((-0.3, -0.2, 0.22), (0.35, 0.1, 0.16), (-0.05, 0.42, 0.14)):
                _disc(image, cx + dx * radius, cy + dy * radius, r * radius, (224, 216, 184))
    elif setting.extra == "sun" or setting.sky in ("sunset", "dawn"):
        low = setting.sky != "day"
        cy = horizon * rng.uniform(0.62, 0.98) if low else rng.uniform(36, max(50, horizon * 0.45))
        radius = rng.uniform(28, 42) if low else rng.uniform(22, 32)
        colour = {"day": (255, 226, 92), "dawn": (255, 240, 190), "sunset": (255, 222, 110)}.get(
            setting.sky, (255, 226, 92)
        )
        _disc(image, rng.uniform(70, WIDTH - 70), cy, radius, colour, glow=60 if low else 34, strength=0.6)
    if setting.extra == "rainbow":
        rows, columns = _grid()
        radius, cx = rng.uniform(230, 300), rng.uniform(220, 420)
        distance = np.sqrt((rows - horizon - 20) ** 2 + (columns - cx) ** 2)
        bands = ((236, 70, 70), (246, 156, 60), (250, 226, 90), (100, 196, 110), (80, 140, 230), (150, 100, 200))
        for i, band in enumerate(bands):
            _blend(
                image, band, (0.75 * np.clip(6.0 - np.abs(distance - radius + i * 11) + 0.5, 0, 1)).astype(np.float32)
            )
    number = {"day": (2, 6), "dawn": (1, 4), "sunset": (2, 5), "night": (0, 3), "storm": (7, 11), "overcast": (5, 9)}[
        setting.sky
    ]
    white, shade = {
        "day": ((255, 255, 255), (220, 234, 248)),
        "dawn": ((255, 236, 232), (246, 200, 204)),
        "sunset": ((255, 176, 128), (198, 98, 120)),
        "night": ((62, 76, 128), (38, 48, 94)),
        "storm": ((106, 112, 128), (58, 64, 80)),
        "overcast": ((226, 230, 236), (176, 184, 194)),
    }[setting.sky]
    for _ in range(int(rng.integers(*number))):
        _cloud(
            image, rng,
            rng.uniform(-20, WIDTH + 20), rng.uniform(15, max(40, horizon * 0.8)), int(rng.uniform(90, 270)),
            np.array(white, np.float32), np.array(shade, np.float32), rng.uniform(0.65, 0.95),
        )  # fmt: skip
    if setting.sky == "storm" and rng.random() < 0.4:
        _lightning(image, rng, horizon)


def _planet(image: F, rng: np.random.Generator) -> None:
    """A shaded ball, sometimes with a ring, near the edge of the picture."""
    colour = np.array(
        [(224, 150, 96), (110, 170, 226), (200, 120, 150), (150, 196, 150)][int(rng.integers(4))], np.float32
    )
    radius = rng.uniform(26, 60)
    cx = rng.uniform(20, 150) if rng.random() < 0.5 else rng.uniform(WIDTH - 150, WIDTH - 20)
    cy = rng.uniform(20, 170)
    rows, columns = _grid()
    distance = np.sqrt((rows - cy) ** 2 + (columns - cx) ** 2)
    light = np.clip(0.75 - ((columns - cx) + (rows - cy)) / (2.6 * radius), 0.25, 1.15)[..., None]
    part = np.clip(radius - distance + 0.5, 0, 1)[..., None]
    image += (colour * light - image) * part
    if rng.random() < 0.4:
        ring = np.sqrt(((rows - cy) * 3.2 + (columns - cx) * 0.6) ** 2 + (columns - cx) ** 2)
        band = np.clip(7 - np.abs(ring - radius * 1.55) + 0.5, 0, 1) * np.where(distance < radius, rows > cy, True)
        _blend(image, colour * 0.6 + 90, (0.8 * band).astype(np.float32))


def _lightning(image: F, rng: np.random.Generator, horizon: float) -> None:
    """One zigzag bolt from the clouds to the horizon."""
    layer = Image.new("L", (WIDTH, HEIGHT), 0)
    x, y = rng.uniform(80, WIDTH - 80), 20.0
    points = [(x, y)]
    while y < horizon - 8:
        x, y = x + rng.uniform(-24, 24), y + rng.uniform(18, 40)
        points.append((x, min(y, horizon)))
    ImageDraw.Draw(layer).line(points, fill=255, width=5, joint="curve")
    _blend(image, (255, 246, 190), np.asarray(layer.filter(ImageFilter.GaussianBlur(1.2)), np.float32) / 255)


def _tint(colour: tuple[float, ...], light: F) -> F:
    """A ground colour under the light of its sky."""
    return np.asarray(colour, np.float32) * light


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


def _tree(
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


def _tufts(image: F, rng: np.random.Generator, line: float, colour: F, count: int) -> None:
    """Short blades of grass below the row `line`, larger towards the front."""
    layer = Image.new("L", (WIDTH, HEIGHT), 0)
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        y = rng.uniform(line + 14, HEIGHT)
        x, size = rng.uniform(0, WIDTH), 3 + 9 * (y - line) / max(40, HEIGHT - line)
        for dx in (-0.5, 0.0, 0.5):
            draw.line((x + dx * size * 0.5, y, x + dx * size * 1.3, y - size), fill=150, width=2)
    _blend(image, colour, np.asarray(layer, np.float32) / 255)


def _flowers(image: F, rng: np.random.Generator, line: float, light: F, count: int) -> None:
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
        _blend(part, _tint(colours[int(rng.integers(4))], light), mask)


def _paint_ground(image: F, rng: np.random.Generator, setting: Setting, horizon: float, light: F) -> None:
    """Everything below the horizon, and what stands on it far away."""
    ground = setting.ground
    jitter = rng.normal(0, 5, 3).astype(np.float32)
    if ground in ("meadow", "forest", "mountains", "road"):
        if ground == "mountains":
            _paint_mountains(image, rng, horizon, light)
        far, near = _tint((142, 194, 116), light) + jitter, _tint((74, 146, 66), light) + jitter
        hills = horizon + 5 + _wave(rng, 0.5) * rng.uniform(4, 14)
        if ground in ("meadow", "road") or rng.random() < 0.3:
            back = horizon - rng.uniform(2, 16) + _wave(rng, 0.6) * rng.uniform(8, 20)
            _below(image, back, far * 0.94 + 8, far * 0.86)
        if ground == "forest":
            for row, far_off in ((0.0, 0.35), (10.0, 0.12)):
                x = rng.uniform(-30, 0)
                while x < WIDTH + 20:
                    height = int(rng.uniform(80, 150) * (0.85 if row == 0 else 1.05))
                    _tree(image, rng, x, horizon + 8 + row, height, light, bool(rng.random() < 0.35), far_off)
                    x += rng.uniform(26, 58)
            hills = horizon + 12 + _wave(rng, 0.5) * 4
            far, near = _tint((98, 150, 84), light) + jitter, _tint((58, 112, 58), light) + jitter
        _below(image, hills, far, near)
        if ground == "meadow" and rng.random() < 0.5:
            for _ in range(int(rng.integers(1, 5))):
                x = rng.uniform(10, WIDTH - 10)
                base = float(hills[int(x)]) + rng.uniform(4, 14)
                _tree(image, rng, x, base, int(rng.uniform(36, 64)), light, bool(rng.random() < 0.6), 0.15)
        _tufts(image, rng, horizon, near * 0.78, int(rng.integers(25, 60)))
        if ground == "meadow":
            _flowers(image, rng, horizon, light, int(rng.integers(0, 40)))
        if ground == "road":
            _paint_road(image, rng, horizon, light)
    elif ground == "desert":
        for i in range(3):
            line = horizon + i * (HEIGHT - horizon) * 0.27 + _wave(rng, 0.3) * (12 + 8 * i)
            top, low = (
                _tint((248 - 6 * i, 216 - 8 * i, 150 - 8 * i), light) + jitter,
                _tint((222, 176, 108), light) + jitter,
            )
            _below(image, line, top, low, depth=70 + 60 * i)
    elif ground == "snow":
        _below(
            image,
            horizon - 4 + _wave(rng, 0.4) * 14,
            _tint((226, 236, 248), light) + jitter * 0.4,
            _tint((200, 216, 238), light),
        )
        if rng.random() < 0.5:
            for _ in range(int(rng.integers(2, 7))):
                _tree(
                    image,
                    rng,
                    rng.uniform(0, WIDTH),
                    horizon + rng.uniform(6, 16),
                    int(rng.uniform(44, 80)),
                    light,
                    False,
                    0.3,
                )
        _below(image, horizon + 16 + _wave(rng, 0.3) * 10, _tint((250, 252, 255), light), _tint((214, 226, 244), light))
    elif ground in ("sea", "beach"):
        _paint_sea(image, rng, setting, horizon, light, jitter)
    elif ground == "city":
        _paint_city(image, rng, setting, horizon, light)


def _paint_mountains(image: F, rng: np.random.Generator, horizon: float, light: F) -> None:
    """Two ridges of jagged peaks, the far one with snow, lit from the left."""
    for i, (tone, tall) in enumerate((((132, 146, 178), 1.0), ((98, 118, 138), 0.55))):
        count = int(rng.integers(3, 6)) + i * 2
        xs = np.sort(rng.uniform(-60, WIDTH + 60, count))
        xs += np.linspace(-30, 30, count)
        tops = rng.uniform(90, 190, count) * tall
        _, columns = _grid()
        x = columns[0]
        slopes = rng.uniform(0.75, 1.25, count)
        heights = np.max([t - np.abs(x - c) * s for c, t, s in zip(xs, tops, slopes, strict=True)], axis=0)
        nearest = np.argmax([t - np.abs(x - c) * s for c, t, s in zip(xs, tops, slopes, strict=True)], axis=0)
        detail = _wave(rng, 3.0) * 4
        line = (horizon + 6 - np.clip(heights, 0, None) + detail * (heights > 0)).astype(np.float32)
        lit = np.where(x < xs[nearest] + _wave(rng, 3.0) * 6, 1.12, 0.86).astype(np.float32)[None, :, None]
        base = _tint(tone, light)
        _below(image, line, base * lit, base * lit * 0.9 + _tint((40, 48, 50), light) * 0.4, depth=200)
        if i == 0:
            rows, _ = _grid()
            cap = 26 + _wave(rng, 6.0) * 9
            mask = np.clip(rows - line[None, :] + 0.5, 0, 1) * np.clip(
                line[None, :] + cap[None, :] * np.clip(heights / 130, 0, 1.4)[None, :] - rows, 0, 1
            )
            mask = (mask * (heights > 60)[None, :]).astype(np.float32)
            image += (_tint((246, 250, 255), light) * np.minimum(lit, 1.0) - image) * mask[..., None]


def _paint_sea(image: F, rng: np.random.Generator, setting: Setting, horizon: float, light: F, jitter: F) -> None:
    """Water with rows of short crests that grow towards the front; for a beach, sand with a rim of foam before it."""
    rows, columns = _grid()
    deep = {"sunset": (150, 84, 110), "dawn": (130, 160, 200), "night": (40, 92, 170), "storm": (64, 100, 128)}.get(
        setting.sky, (30, 118, 196)
    )
    shallow = {
        "sunset": (236, 140, 104),
        "dawn": (226, 190, 196),
        "night": (70, 116, 190),
        "storm": (110, 140, 158),
    }.get(setting.sky, (94, 182, 226))
    _below(
        image,
        np.full(WIDTH, horizon, np.float32),
        _tint(shallow, light**0.5) + jitter,
        _tint(deep, light**0.5) + jitter,
        depth=150,
    )
    t = np.clip((rows - horizon) / max(40, HEIGHT - horizon), 0, 1)
    phase = (
        (np.log1p(9 * t) * rng.uniform(24, 32))
        + 0.9 * np.sin(columns / (22 + 60 * t) + rng.uniform(0, 6))
        + rng.uniform(0, 6)
    )
    crest = np.clip(np.sin(phase) - 0.72, 0, 1) * 3 * np.clip(np.sin(columns / (46 + 90 * t) + phase * 1.7) + 0.2, 0, 1)
    _blend(
        image,
        _tint((214, 236, 248), light**0.5),
        (np.clip(crest, 0, 1) * 0.5 * (rows > horizon + 3)).astype(np.float32),
    )
    if setting.ground == "beach":
        shore = horizon + (HEIGHT - horizon) * rng.uniform(0.22, 0.36) + _wave(rng, 0.6) * 7
        _below(image, shore - 7, _tint((250, 252, 252), light), _tint((250, 252, 252), light))
        _below(image, shore, _tint((206, 172, 118), light), _tint((206, 172, 118), light))
        _below(image, shore + 6, _tint((240, 214, 160), light) + jitter, _tint((226, 192, 132), light) + jitter, soft=6)


def _paint_city(image: F, rng: np.random.Generator, setting: Setting, horizon: float, light: F) -> None:
    """Two rows of houses with windows (lit where it is dark), a pavement and a street."""
    dark = setting.sky in ("night", "storm", "sunset")
    tones = ((150, 164, 186), (190, 150, 136), (214, 190, 156), (134, 152, 160), (176, 178, 190), (160, 134, 150))
    layer = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(layer)
    for depth, (low, high) in ((0, (110, 230)), (1, (60, 150))):
        x = rng.uniform(-50, 0)
        while x < WIDTH:
            width, height = rng.uniform(44, 92), rng.uniform(low, high)
            tone = _tint(tones[int(rng.integers(len(tones)))], light) * (0.86 if depth else 1.0)
            if depth == 0:
                tone = tone * 0.6 + np.asarray(PALETTE[setting.sky][2], np.float32) * 0.35
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
    _below(
        image,
        np.full(WIDTH, horizon + 12, np.float32),
        _tint((186, 186, 184), light),
        _tint((160, 160, 162), light),
        depth=60,
    )
    kerb = horizon + 12 + (HEIGHT - horizon) * rng.uniform(0.5, 0.7)
    _below(image, np.full(WIDTH, kerb, np.float32), _tint((120, 120, 124), light), _tint((120, 120, 124), light))
    _below(image, np.full(WIDTH, kerb + 5, np.float32), _tint((92, 94, 102), light), _tint((76, 78, 86), light))


def _paint_road(image: F, rng: np.random.Generator, horizon: float, light: F) -> None:
    """A grey road: across the picture with a dashed middle line, or running to the horizon."""
    rows, columns = _grid()
    asphalt, line = _tint((104, 106, 114), light), _tint((244, 240, 220), light)
    if rng.random() < 0.5:
        top = horizon + (HEIGHT - horizon) * rng.uniform(0.32, 0.48)
        bottom = top + (HEIGHT - horizon) * rng.uniform(0.38, 0.5)
        inside = np.clip(rows - top + 0.5, 0, 1) * np.clip(bottom - rows + 0.5, 0, 1)
        _blend(image, asphalt, np.broadcast_to(inside, (HEIGHT, WIDTH)))
        for edge in (top + 3, bottom - 3):
            _blend(image, line, np.broadcast_to(np.clip(2.0 - np.abs(rows - edge), 0, 1), (HEIGHT, WIDTH)))
        dash = np.clip(3.0 - np.abs(rows - (top + bottom) / 2), 0, 1) * ((columns + rng.uniform(0, 80)) % 84 < 48)
        _blend(image, line, dash.astype(np.float32))
    else:
        t = np.clip((rows - horizon - 6) / (HEIGHT - horizon - 6), 0, 1)
        centre = rng.uniform(240, 400) + (1 - t) * rng.uniform(-90, 90)
        half = 6 + t * rng.uniform(150, 230)
        offset = np.abs(columns - centre)
        below = rows > horizon + 6
        _blend(image, asphalt, (np.clip(half - offset + 0.5, 0, 1) * below).astype(np.float32))
        _blend(image, line, (np.clip(1 + half * 0.02 - np.abs(offset - half * 0.93), 0, 1) * below).astype(np.float32))
        dash = np.clip(0.6 + half * 0.025 - offset, 0, 1) * (np.sin(np.log1p(8 * t) * 14 + 1) > 0) * below
        _blend(image, line, dash.astype(np.float32))


def _paint_room(image: F, rng: np.random.Generator, setting: Setting, horizon: float) -> None:
    """A wall in a named colour, a skirting board, floor boards; sometimes a window or a picture."""
    rows, columns = _grid()
    wall = np.array(COLOURS[setting.colour or "white"], np.float32) * 0.62 + 92 + rng.normal(0, 4, 3).astype(np.float32)
    image[:] = wall * (1.03 - 0.12 * rows / HEIGHT)[..., None]
    if rng.random() < 0.4:
        image *= (1 - 0.05 * ((columns + rng.uniform(0, 60)) % 60 < 30))[..., None]
    if rng.random() < 0.55:
        w, h = rng.uniform(90, 150), rng.uniform(90, 120)
        x, y = rng.uniform(20, WIDTH - w - 20), rng.uniform(24, max(26, horizon - h - 40))
        glass = np.array(PALETTE[("day", "day", "night", "sunset")[int(rng.integers(4))]][1], np.float32)
        inside = np.clip(
            np.minimum(np.minimum(columns - x, x + w - columns), np.minimum(rows - y, y + h - rows)) + 0.5, 0, 9
        )
        _blend(image, (250, 248, 242), np.clip(inside, 0, 1))
        _blend(image, glass, np.clip(inside - 7, 0, 1))
        bars = np.maximum(3.5 - np.abs(columns - x - w / 2), 3.5 - np.abs(rows - y - h / 2))
        _blend(image, (250, 248, 242), np.clip(bars, 0, 1) * np.clip(inside, 0, 1))
    wood = np.array(((196, 150, 104), (172, 122, 84), (214, 184, 146))[int(rng.integers(3))], np.float32)
    t = np.clip((rows - horizon) / (HEIGHT - horizon), 0, 1)
    shade = (0.9 + 0.14 * t)[..., None]
    mask = np.clip(rows - horizon + 0.5, 0, 1)
    image += (wood * shade - image) * mask[..., None]
    vanishing = rng.uniform(250, 390)
    board = (columns - vanishing) / (60 + 70 * t)
    seams = np.clip(1.3 - np.abs((board % 1) - 0.5) * (60 + 70 * t), 0, 1) * mask
    _blend(image, wood * 0.8, (0.7 * seams).astype(np.float32))
    _blend(
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
            _blend(image, paint, np.clip((1 - distance) * 60 + 0.5, 0, 1).astype(np.float32))


def _paint_plain(image: F, rng: np.random.Generator, setting: Setting, horizon: float) -> None:
    """One named colour, a little lighter in the middle and darker towards a soft floor."""
    rows, columns = _grid()
    colour = np.array(COLOURS[setting.colour or "white"], np.float32) + rng.normal(0, 4, 3).astype(np.float32)
    glow = np.exp(-(((columns - WIDTH / 2) / 300) ** 2 + ((rows - HEIGHT * 0.45) / 210) ** 2))
    image[:] = colour * (0.94 + 0.09 * glow)[..., None]
    image *= (1 - 0.08 / (1 + np.exp(-(rows - horizon) / 14)))[..., None]


def _paint_weather(image: F, rng: np.random.Generator, setting: Setting) -> None:
    """Rain or snow before everything behind the subjects."""
    if setting.extra == "rain":
        layer = Image.new("L", (WIDTH, HEIGHT), 0)
        draw = ImageDraw.Draw(layer)
        slant = rng.uniform(2, 9)
        for _ in range(int(rng.integers(90, 170))):
            x, y, length = rng.uniform(-10, WIDTH), rng.uniform(-10, HEIGHT), rng.uniform(12, 26)
            draw.line((x, y, x - slant * length / 26, y + length), fill=130, width=2)
        _blend(image, (206, 222, 240), np.asarray(layer, np.float32) / 255)
    elif setting.extra == "snowfall":
        layer = Image.new("L", (WIDTH, HEIGHT), 0)
        draw = ImageDraw.Draw(layer)
        for _ in range(int(rng.integers(80, 170))):
            x, y, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(1.2, 3.6)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=235)
        _blend(image, (252, 253, 255), np.asarray(layer.filter(ImageFilter.GaussianBlur(0.8)), np.float32) / 255)


def paint(setting: Setting, rng: np.random.Generator) -> Backdrop:
    """Paints a setting; the same generator state gives the same picture."""
    image = np.empty((HEIGHT, WIDTH, 3), np.float32)
    light = np.array(PALETTE[setting.sky][3], np.float32)
    if setting.ground == "room":
        horizon = HEIGHT * rng.uniform(0.58, 0.7)
        light = np.ones(3, np.float32)
        _paint_room(image, rng, setting, horizon)
    elif setting.ground == "plain":
        horizon = HEIGHT * rng.uniform(0.62, 0.74)
        light = np.ones(3, np.float32)
        _paint_plain(image, rng, setting, horizon)
    elif setting.sky == "space":
        horizon = HEIGHT * 0.5
        _paint_sky(image, rng, setting, HEIGHT)
    else:
        horizon = HEIGHT * rng.uniform(0.46, 0.66)
        _paint_sky(image, rng, setting, horizon)
        _paint_ground(image, rng, setting, horizon, light)
    _paint_weather(image, rng, setting)
    np.clip(image, 0, 255, out=image)
    return Backdrop(image, horizon, light)
