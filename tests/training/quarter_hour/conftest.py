"""What several tests of the quarter of an hour share: the frozen parts of the edition, and a chunk of examples."""

import numpy as np
import pytest

from tests import ROOT
from training.quarter_hour.renderers import Chunk
from training.quarter_hour.training import Frozen
from training.scenes.illustrator import SHAPES

EDITION = ROOT / "editions" / "pocket-1"


@pytest.fixture(scope="module")
def frozen() -> Frozen:
    return Frozen.of(EDITION, "cpu")


def chunk(kind, number: int, seed: int = 0) -> Chunk:
    h, w = SHAPES[kind]
    rng = np.random.default_rng(seed)
    pixels = np.repeat(rng.integers(0, 256, (number, 1, 1, 3), np.uint8), h * 8, 1).repeat(w * 8, 2)
    marks = np.zeros((number, h, w), np.uint8)
    return Chunk(kind, 0.1, pixels, marks, marks.astype(np.int16), np.zeros((number, 2, h, w), np.uint8),
                 np.full((number, 77), 5, np.int16))  # fmt: skip
