"""Laying one picture on another: the scale and place at which they agree best. NumPy and Pillow alone.

Gauss-Newton on the squared difference of grey levels (Lucas & Kanade 1981) from coarse to fine, over four numbers: a
scale and a shift for each axis. That is all that a screenshot, a cut or another shape does to a picture.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.float32]
_LEVELS: Final = ((52, 80), (104, 160), (208, 320), (416, 640))
_TURNS: Final = (12, 8, 6, 4)
_STRETCH: Final = 0.25
"""How far a scale may be from 1, and a shift from 0 as a share of the picture, before it is no copy any more."""
_COVERED: Final = 0.6


class Place(NamedTuple):
    """Where (x, y) of the one lies in the other, both 0 … 1: (x · wide + right, y · high + down)."""

    wide: float
    high: float
    right: float
    down: float


def register(page: npt.NDArray[np.uint8], picture: npt.NDArray[np.uint8]) -> Place | None:
    """Where each place of `picture` lies in `page`, both (416, 640, 3); None where they do not fit on each other."""
    place = np.array([1.0, 1.0, 0.0, 0.0])
    first, second = (Image.fromarray(array).convert("L") for array in (page, picture))
    for (height, width), turns in zip(_LEVELS, _TURNS, strict=True):
        grey, wanted = (
            np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32) for image in (first, second)
        )
        for _ in range(turns):
            moved = _step(grey, wanted, place)
            if moved is None:
                return None
            place = place + moved
            if abs(place - [1, 1, 0, 0]).max() > _STRETCH:
                return None
            if abs(moved).max() < 0.02 / width:
                break
    return Place(*(float(number) for number in place))


def warp(
    page: npt.NDArray[np.uint8], place: Place, size: tuple[int, int]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """`page` as it lies under a picture of `size`: (H, W, 3) float32, and where it is there at all, (H, W)."""
    y, x, covered = _lattice(page.shape[:2], np.array(place), size)
    return _sample(page.astype(np.float32), y, x), covered


def _lattice(
    shape: tuple[int, ...], place: npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Rows and columns of a picture of `shape` under those of one of `size`, and which of these places are inside."""
    wide, high, right, down = place
    y = (((np.arange(size[0]) + 0.5) / size[0]) * high + down) * shape[0] - 0.5
    x = (((np.arange(size[1]) + 0.5) / size[1]) * wide + right) * shape[1] - 0.5
    inside_y = (y >= -0.5) & (y <= shape[0] - 0.5)
    inside_x = (x >= -0.5) & (x <= shape[1] - 0.5)
    return y, x, inside_y[:, None] & inside_x[None, :]


def _sample(
    picture: npt.NDArray[np.float32], y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """The picture at rows `y` and columns `x`, linear between pixels; at the edge's value beyond it."""
    for axis, at in ((0, y), (1, x)):
        at = np.clip(at, 0, picture.shape[axis] - 1)
        low = np.minimum(at.astype(np.intp), picture.shape[axis] - 2)
        share = (at - low).astype(np.float32)
        share = share.reshape([-1 if a == axis else 1 for a in range(picture.ndim)])
        picture = picture.take(low, axis) * (1 - share) + picture.take(low + 1, axis) * share
    return picture


def _step(page: Grey, wanted: Grey, place: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """The change of the four numbers that makes the difference least, as far as a linear picture can tell."""
    height, width = wanted.shape
    y, x, covered = _lattice(page.shape, place, (height, width))
    if covered.mean() < _COVERED:
        return None
    laid = _sample(page, y, x)
    down, right = np.gradient(laid)
    down, right = down * (height / place[1]), right * (width / place[0])  # by shares of the picture
    across = np.broadcast_to((np.arange(width) + 0.5)[None, :] / width, laid.shape)
    along = np.broadcast_to((np.arange(height) + 0.5)[:, None] / height, laid.shape)
    slopes = np.stack([(right * across)[covered], (down * along)[covered], right[covered], down[covered]])
    slopes = slopes.astype(np.float64)
    missing = (wanted - laid)[covered].astype(np.float64)
    missing -= missing.mean()  # a copy may be a little lighter
    square = slopes @ slopes.T
    if not square.diagonal().min() > 1e-3 * covered.sum():
        return None  # nothing along one axis that could be laid on anything
    found: npt.NDArray[np.float64] = np.linalg.lstsq(square, slopes @ missing, rcond=1e-9)[0]
    return found
