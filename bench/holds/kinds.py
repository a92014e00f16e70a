"""The six kinds of pictures that are searched for, each picture by its number: the same ones on every machine.

May import bench.pictures, which draws five of the kinds, the engine and worker.finding. Photographs and drawings are
files that scikit-image ships, each given to everybody by whoever made it, as its documentation says, so that the
pairs may be shown; they are read without importing it.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.pictures import Kind, pictures
from worker.engine.engine import Engine
from worker.errors import InputRefused
from worker.finding.fitting import fit_picture

KINDS: Final[tuple[Kind, ...]] = ("pages", "scenes", "photographs", "flat", "text", "noise")


@dataclass(frozen=True)
class Asked:
    """A picture to search for, uint8 (416, 640, 3), and what is to be said of it."""

    pixels: npt.NDArray[np.uint8]
    name: str
    source: str = ""
    address: str = ""


PHOTOGRAPHS: Final = (
    ("astronaut.png", "An astronaut", "NASA, public domain"),
    ("chelsea.png", "A cat", "S. van der Walt, CC0"),
    ("coffee.png", "A cup of coffee", "R. Michetti, CC0"),
    ("rocket.jpg", "A rocket", "SpaceX, public domain"),
    ("horse.png", "A horse, drawn", "A. Preuss, CC0"),
    ("hubble_deep_field.jpg", "The Hubble deep field", "NASA, public domain"),
    ("camera.png", "A photographer", "L. Varshney, CC0"),
    ("retina.jpg", "A retina", "M. Häggström, CC0"),
    ("gravel.png", "Gravel", "CC0Textures, CC0"),
    ("brick.png", "Bricks", "CC0Textures, CC0"),
    ("grass.png", "Grass", "linolafett, CC0"),
    ("coins.png", "Coins from Pompeii", "Brooklyn Museum, no known restrictions"),
)
MOST: Final = len(PHOTOGRAPHS)
"""Pictures of each kind that there are."""


def picture(kind: Kind, number: int, engine: Engine) -> Asked:
    """Return a picture of a kind. Raises InputRefused where the photographs are not there."""
    if kind == "photographs":
        return _photograph(number)
    (found,) = pictures(kind, 1, engine, first=number)
    if kind == "pages":
        return Asked(found.pixels, "A page by lot", address=found.name)
    return Asked(found.pixels, found.name.capitalize())


def _photograph(number: int) -> Asked:
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise InputRefused(
            "The photographs are files of scikit-image, which is not installed.",
            hint="`pip install --no-deps -r requirements-bench.txt` brings it.",
        )
    file, name, source = PHOTOGRAPHS[number]
    data = (Path(found.origin).parent / "data" / file).read_bytes()
    return Asked(fit_picture(data).pixels, name, source)
