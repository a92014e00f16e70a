"""The six kinds of pictures that are searched for, each picture by its number: the same ones on every machine.

May import the engine, the training's scenes, worker.finding and Pillow. Photographs and drawings are files that
scikit-image ships, each given to all by whoever made it, as its documentation says; they are read without importing it.
"""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from training.scenes.sprites import open_pack
from training.trainers.autoencoder import HELD_OUT_SEED, page_of_seed
from worker.catalogue.address import Address
from worker.catalogue.png import HEIGHT, WIDTH
from worker.editions.edition import SHIPPED
from worker.engine.engine import Engine
from worker.errors import InputRefused
from worker.finding.fitting import fit_picture

Pixels = npt.NDArray[np.uint8]
SEED: Final = 20_261_201


@dataclass(frozen=True)
class Asked:
    """A picture to search for, uint8 (416, 640, 3), and what is to be said of it."""

    pixels: Pixels
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
FLAT: Final = (
    *(("White", "#ffffff"), ("Black", "#000000"), ("Grey", "#808080"), ("Red", "#e02020"), ("Green", "#20a040")),
    *(("Blue", "#2040c0"), ("Yellow", "#f8e040"), ("Pink", "#f0a0c0"), ("Brown", "#704020"), ("Orange", "#f08020")),
    *(("Violet", "#8030a0"), ("Turquoise", "#30c0c0")),
)


def photograph(engine: Engine, number: int) -> Asked:  # noqa: ARG001  (every kind is asked for alike)
    """A photograph or drawing. Raises InputRefused where scikit-image is not there."""
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise InputRefused(
            "The photographs are files of scikit-image, which is not installed.",
            hint="`pip install --no-deps -r requirements-bench.txt` brings it.",
        )
    file, name, source = PHOTOGRAPHS[number]
    data = (Path(found.origin).parent / "data" / file).read_bytes()
    return Asked(fit_picture(data).pixels, name, source)


def own_page(engine: Engine, number: int) -> Asked:
    """The page of a short key that nobody chose."""
    address = Address(engine.edition.slug, "key", f"holds-pictures-{number + 1}", 1)
    pixels = engine.print_page(engine.resolve(address)).pixels
    return Asked(pixels, f"The page of the name {address.name}", address=address.format())


def scene(engine: Engine, number: int) -> Asked:  # noqa: ARG001
    """A rendered scene that no stage of the training has seen."""
    pack = open_pack()
    return Asked(page_of_seed(pack, HELD_OUT_SEED + number), f"Scene {number + 1}")


def flat(engine: Engine, number: int) -> Asked:  # noqa: ARG001
    """One colour."""
    name, colour = FLAT[number]
    return Asked(np.asarray(Image.new("RGB", (WIDTH, HEIGHT), colour)), name)


def text(engine: Engine, number: int) -> Asked:  # noqa: ARG001
    """A page of letters, the larger the higher the number: this project's licence, in the site's typeface."""
    words = " ".join((SHIPPED.parent / "LICENSE").read_text(encoding="utf-8").split())
    size = 14 + 4 * number
    font = ImageFont.truetype(str(SHIPPED.parent / "static" / "fonts" / "literata.woff2"), size)
    picture = Image.new("RGB", (WIDTH, HEIGHT), "#ffffff")
    lines = "\n".join(textwrap.wrap(words, round((WIDTH - 40) / size * 2)))
    ImageDraw.Draw(picture).multiline_text((20, 14), lines, "#000000", font)
    return Asked(np.asarray(picture), f"Letters of {size} pixels")


def noise(engine: Engine, number: int) -> Asked:  # noqa: ARG001
    """Every value of every pixel by chance, as nearly every picture is."""
    pixels = np.random.default_rng((SEED, number)).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return Asked(pixels, f"Noise {number + 1}")


KINDS: Final[dict[str, Callable[[Engine, int], Asked]]] = {
    "pages": own_page,
    "scenes": scene,
    "photographs": photograph,
    "flat": flat,
    "text": text,
    "noise": noise,
}
MOST: Final = 12
"""Pictures of each kind that there are."""
