"""What stands behind the subjects, in words: skies, grounds, colours, and the setting made of them. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
