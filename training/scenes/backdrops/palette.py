"""The colours of every sky and of what stands in its light: change a sunset's colours here. Imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class SkyColours:
    """Red, green and blue in 0 … 255 of all that a sky decides."""

    top: Colour
    middle: Colour
    bottom: Colour
    light: tuple[float, float, float]  # by which the ground's colours and the subjects are multiplied
    cloud: Colour = (255, 255, 255)
    cloud_base: Colour = (220, 234, 248)
    sun: Colour = (255, 226, 92)
    far_water: Colour = (94, 182, 226)
    near_water: Colour = (30, 118, 196)


PALETTE: dict[str, SkyColours] = {
    "day": SkyColours((70, 150, 238), (128, 192, 248), (206, 234, 252), light=(1.0, 1.0, 1.0)),
    "dawn": SkyColours(
        (150, 176, 232), (238, 190, 206), (255, 226, 176), light=(0.98, 0.90, 0.86), cloud=(255, 236, 232),
        cloud_base=(246, 200, 204), sun=(255, 240, 190), far_water=(226, 190, 196), near_water=(130, 160, 200),
    ),
    "sunset": SkyColours(
        (92, 62, 142), (232, 104, 92), (255, 190, 84), light=(0.86, 0.66, 0.58), cloud=(255, 176, 128),
        cloud_base=(198, 98, 120), sun=(255, 222, 110), far_water=(236, 140, 104), near_water=(150, 84, 110),
    ),
    "night": SkyColours(
        (9, 14, 46), (20, 32, 84), (44, 62, 122), light=(0.34, 0.40, 0.62), cloud=(62, 76, 128),
        cloud_base=(38, 48, 94), far_water=(70, 116, 190), near_water=(40, 92, 170),
    ),
    "storm": SkyColours(
        (48, 54, 72), (82, 90, 108), (122, 130, 142), light=(0.56, 0.60, 0.66), cloud=(106, 112, 128),
        cloud_base=(58, 64, 80), far_water=(110, 140, 158), near_water=(64, 100, 128),
    ),
    "overcast": SkyColours(
        (162, 172, 184), (186, 194, 204), (214, 219, 225), light=(0.82, 0.84, 0.87), cloud=(226, 230, 236),
        cloud_base=(176, 184, 194),
    ),
    "space": SkyColours((8, 5, 24), (20, 10, 46), (34, 16, 66), light=(0.7, 0.7, 0.8)),
}  # fmt: skip
"""By the sky's name; a sky runs from `top` over `middle` to `bottom` at the horizon."""
