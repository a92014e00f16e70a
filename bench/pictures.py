"""Six kinds of pictures to find, all the same from run to run. May import training.scenes, worker.*, NumPy and Pillow.

Photographs and drawings are those of Debian's package tuxpaint-data 0.9.28 (GPL 2 or later, and the public domain), 19
and some 40: `apt-get download tuxpaint-data && dpkg -x tuxpaint-data_*.deb FOLDER`, or installed. Everything else is
drawn here from fixed seeds: pages by lot, scenes of seeds that no stage of the training had, flat colours, text, noise.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from worker.catalogue.address import random_address
from worker.catalogue.png import HEIGHT, PIXELS_SHAPE, WIDTH
from worker.errors import InputRefused
from worker.finding.fitting import fit_picture

if TYPE_CHECKING:
    from worker.engine.engine import Engine

Kind = Literal["pages", "scenes", "photographs", "drawings", "flat", "text", "noise"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""Photographs and drawings count as one of the six kinds; they are told apart since they behave differently."""
TUXPAINT: Final = Path("/usr/share/tuxpaint")
_SCENES_SEED: Final = 10_100_019
"""The first seed of the scenes: beyond every seed of the training and of its evaluation."""
_DRAWINGS: Final = (
    *("shipwreck", "nagasaki", "tux_farmer", "carcassone", "street", "frog", "hat", "reef-back", "pansy"),
    *("worldmap_europe", "frame_flowers", "worldmap_africa", "reef", "worldmap_japan", "frame_heart", "chessboard"),
)
"""Drawings of `starters/`, the most picture-like first; what is transparent in some lies on white."""
_LINES: Final = (
    "The universe (which others call the Library)",
    "is composed of an indefinite and perhaps infinite",
    "number of hexagonal galleries, with vast air shafts",
    "between, surrounded by very low railings. From any",
    "of the hexagons one can see, interminably, the upper",
    "and lower floors. The distribution of the galleries",
    "is invariable. 0123456789 AaBbCcDdEe & @ # % ? !",
)


class Picture(NamedTuple):
    """A picture to find: its kind, a name that stays, and (416, 640, 3) uint8."""

    kind: Kind
    name: str
    pixels: npt.NDArray[np.uint8]


def pictures(
    kind: Kind, count: int, engine: "Engine | None" = None, folder: Path = TUXPAINT, first: int = 0
) -> Iterator[Picture]:
    """The pictures number `first` to `first + count` of a kind; "pages" needs an engine that draws them.

    Raises InputRefused where the folder of photographs and drawings is not there or has too few.
    """
    numbers = range(first, first + count)
    if kind == "pages":
        assert engine is not None, "pages are drawn by an engine"
        for number in numbers:
            address = random_address(engine.edition.slug, "pictures to find", number)
            yield Picture(kind, address.format(), engine.print_page(engine.resolve(address)).pixels)
    elif kind == "scenes":
        from training.scenes.drawing import draw_page
        from training.scenes.scene import Director
        from training.scenes.sprites import open_pack

        pack = open_pack()
        for number in numbers:
            yield Picture(kind, f"scene {number}", draw_page(Director(pack, _SCENES_SEED + number))[1])
    elif kind in ("photographs", "drawings"):
        for path in _shipped(kind, folder)[first : first + count]:
            yield Picture(kind, path.stem, fit_picture(path.read_bytes(), "fill").pixels)
    else:
        draw: Callable[[int], npt.NDArray[np.uint8]] = {"flat": _flat, "text": _text, "noise": _noise}[kind]
        for number in numbers:
            yield Picture(kind, f"{kind} {number}", draw(number))


def _shipped(kind: Kind, folder: Path) -> Sequence[Path]:
    if kind == "photographs":
        found = sorted((folder / "templates").glob("*.jpg"))
    else:
        found = [path for name in _DRAWINGS if (path := folder / "starters" / f"{name}.png").is_file()]
    if not found:
        raise InputRefused(
            f"There are no {kind} in {folder}.",
            hint="They are those of Debian's package tuxpaint-data; name where it lies with --tuxpaint.",
        )
    return found


def _flat(number: int) -> npt.NDArray[np.uint8]:
    """One colour: corners of the cube first, then any."""
    corners = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    colour = corners[number] if number < 8 else np.random.default_rng((1, number)).integers(0, 256, 3)
    return np.broadcast_to(np.array(colour, np.uint8), PIXELS_SHAPE).copy()


def _text(number: int) -> npt.NDArray[np.uint8]:
    """Black on white, from small to large."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    size = (14, 18, 22, 26, 30, 36, 44, 56)[number % 8]
    font = ImageFont.load_default(size)
    turn = number // 8 % len(_LINES)
    lines = (_LINES[turn:] + _LINES[:turn]) * (HEIGHT // size // len(_LINES) + 1)
    ImageDraw.Draw(image).multiline_text((16, 12), "\n".join(lines), fill="black", font=font)
    return np.asarray(image)


def _noise(number: int) -> npt.NDArray[np.uint8]:
    """Every channel of every pixel by itself, uniformly."""
    return np.random.default_rng((2, number)).integers(0, 256, PIXELS_SHAPE, np.uint8)
