"""Found pages printed again: each key by an engine of a fresh process. May import worker and NumPy.

A module of its own, for a fresh process does not import what was begun with `python -m`.
"""

import hashlib
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from worker.catalogue.key import Key
from worker.editions.edition import load_edition


def digest(pixels: npt.NDArray[np.uint8]) -> str:
    """SHA-256 of a page's pixels, uint8 (416, 640, 3), row by row, in hexadecimal."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def reprinted(edition: str, data: Path, threads: int | None, keys: Sequence[Key]) -> list[str]:
    """The digests of the pages that a fresh process prints from the keys."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(_print, (edition, data, threads, list(keys)))


def _print(edition: str, data: Path, threads: int | None, keys: Sequence[Key]) -> list[str]:
    from worker.engine.engine import Engine

    engine = Engine(load_edition(edition, data), threads=threads)
    return [digest(engine.print_page(key).pixels) for key in keys]
