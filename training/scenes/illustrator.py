"""Draws training examples: example number n of a kind, its caption and where its subjects are (NumPy, Pillow).

An example's kind and number decide everything about it, whoever draws it and when.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.plans import Kind
from training.scenes.backdrops.painting import paint
from training.scenes.backdrops.setting import HEIGHT, WIDTH, Backdrop, Setting
from training.scenes.caption_source import CaptionSource
from training.scenes.captions import Writer
from training.scenes.drawing import Cells, render_cells
from training.scenes.scene import CROP, Director, Scene, draw_setting
from training.scenes.sprites import SpritePack

SHAPES: dict[Kind, tuple[int, int]] = {"crops": (24, 24), "several": (36, 56), "pages": (52, 80)}
"""Rows and columns of an example's latents, each of 8 × 8 pixels."""
_PER_BACKDROP = 6  # crops drawn on one backdrop: painting it costs ten times as much as a crop


@dataclass(frozen=True)
class Example:
    """A picture (H, W, 3) uint8, where its subjects and their shadows are (H, W) bool, its caption and its scene.

    `cells` say more closely what lies where; an example of the kind "several" has none.
    """

    pixels: NDArray[np.uint8]
    subjects: NDArray[np.bool_]
    text: str
    scene: Scene
    cells: Cells | None


class Illustrator:
    """Draws example number n of one kind."""

    def __init__(
        self, kind: Kind, pack: SpritePack, seed: int, everything: bool = False, oftener: tuple[str, ...] = ()
    ) -> None:
        self.kind, self.seed = kind, seed
        self.source = CaptionSource(pack, 0, everything, oftener)
        self.director: Director = self.source.director
        self._backdrop: tuple[int, Setting, Backdrop] | None = None

    def draw(self, number: int) -> Example:
        """The example of this number, always the same."""
        rng = np.random.default_rng((self.seed, 11, number))
        if self.kind == "crops":
            setting, backdrop = self._shared_backdrop(number // _PER_BACKDROP)
        else:
            setting = draw_setting(rng)
            backdrop = paint(setting, rng)
        self.director.rng = rng
        writer = Writer(rng)
        if self.kind == "crops":
            scene, (x, y) = self.director.crop(backdrop, setting)
            window = (x, y, CROP, CROP)
        else:
            scene = self.director.scene(backdrop, setting)
            window = (0, 0, WIDTH, HEIGHT)
        cells: Cells | None
        pixels, subjects, cells = _drawn(scene, backdrop, self.director.pack, window)
        if self.kind == "several":
            (pixels, subjects), cells = self._window(pixels, subjects, scene, rng), None
        caption = writer.write(scene, plain=self.kind != "pages")
        return Example(pixels, subjects, self.source.disturb(caption).text, scene, cells)

    def _shared_backdrop(self, number: int) -> tuple[Setting, Backdrop]:
        if self._backdrop is None or self._backdrop[0] != number:
            rng = np.random.default_rng((self.seed, 12, number))
            setting = draw_setting(rng)
            self._backdrop = (number, setting, paint(setting, rng))
        return self._backdrop[1:]

    def _window(
        self, pixels: NDArray[np.uint8], subjects: NDArray[np.bool_], scene: Scene, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """A part of 448 × 288 pixels with every subject in it whole, or the page made smaller where none fits."""
        height, width = (8 * side for side in SHAPES["several"])
        margins = [
            (i.x - i.height * 0.75, i.base - i.height * 1.1, i.x + i.height * 0.75, i.base + 8) for i in scene.items
        ]
        left, top = (min((m[k] for m in margins), default=WIDTH * 0.3 + k) for k in (0, 1))
        right, bottom = (max((m[k] for m in margins), default=WIDTH * 0.5) for k in (2, 3))
        if right - left > width or bottom - top > height:
            small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
            where = Image.fromarray(subjects).resize((width, height), Image.Resampling.NEAREST)
            return np.asarray(small), np.asarray(where)
        x = int(np.clip(rng.uniform(min(left, right - width), max(left, right - width)), 0, WIDTH - width))
        y = int(np.clip(rng.uniform(min(top, bottom - height), max(top, bottom - height)), 0, HEIGHT - height))
        rows, columns = slice(y, y + height), slice(x, x + width)
        return np.ascontiguousarray(pixels[rows, columns]), subjects[rows, columns]


def _drawn(
    scene: Scene, backdrop: Backdrop, pack: SpritePack, window: tuple[int, int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Cells]:
    """The window (x, y, width, height) of a scene, where it differs from the bare backdrop, and its cells."""
    x, y, width, height = window
    pixels, cells = render_cells(scene, backdrop, pack, window)
    bare = backdrop.image[y : y + height, x : x + width].astype(np.uint8)
    return pixels, (pixels != bare).any(2), cells
