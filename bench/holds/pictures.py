"""How near a search comes to pictures of six kinds, at each depth, beside what the autoencoder alone gives back.

May import worker.finding, the kinds and Pillow. A search is the visitor's own, and what counts is the page that its key
prints. All pictures are searched for at one depth before any is at the next, so that a measurement that is stopped has
as many of each kind as it can.
"""

import io
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.holds.kinds import KINDS, MOST, picture
from bench.pictures import Kind
from worker.engine.engine import Engine
from worker.errors import InputRefused
from worker.finding import search as searching
from worker.finding.search import Depth, Wish, search

SHOWN: Final = (320, 208)
QUALITY: Final = 70


class Found(NamedTuple):
    """A row, its place (at the end where it is new), and pictures to write: file name to WebP."""

    place: int
    row: dict[str, Any]
    pictures: dict[str, bytes]


def measure(engine: Engine, rows: Sequence[dict[str, Any]], count: int, depths: Sequence[Depth]) -> Iterator[Found]:
    """What is missing of `count` pictures of each kind at each depth; a depth whose effort has changed is missing.

    Raises InputRefused where there are not so many pictures.
    """
    if count > MOST:
        raise InputRefused(f"There are {MOST} pictures of each kind, and {count} were asked for.")
    for depth in depths:
        effort = list(vars(searching._EFFORTS[depth]).values())
        for number in range(count):
            for kind in KINDS:
                place = next((i for i, r in enumerate(rows) if (r["kind"], r["number"]) == (kind, number)), len(rows))
                before = rows[place] if place < len(rows) else None
                if before is None or before["efforts"].get(depth) != effort:
                    yield Found(place, *_searched(engine, kind, number, depth, effort, before))


def _searched(
    engine: Engine, kind: Kind, number: int, depth: Depth, effort: list[int], before: dict[str, Any] | None
) -> tuple[dict[str, Any], dict[str, bytes]]:
    asked = picture(kind, number, engine)
    began, drawn, step = time.process_time(), None, None
    for step in search(engine, asked.pixels, Wish(engine.edition.slug, depth)):
        drawn = drawn if step.pixels is None else step.pixels
    assert step is not None and step.key is not None and drawn is not None, "a search ends with a page"
    took = round(time.process_time() - began, 1)
    name = f"{kind}-{number + 1}"
    row: dict[str, Any] = before or {
        "kind": kind,
        "number": number,
        "name": asked.name,
        **({"source": asked.source} if asked.source else {}),
        **({"address": asked.address} if asked.address else {}),
        "dB": {},
        "efforts": {},
        "seconds": {},
        "files": {"asked": f"{name}-asked", "found": f"{name}-found"},
    }
    row["dB"] |= {"bound": round(step.bound, 2), depth: step.decibels}
    row["efforts"][depth], row["seconds"][depth], row["mark"] = effort, took, step.key.mark
    return row, {f"{name}-asked.webp": _webp(asked.pixels), f"{name}-found.webp": _webp(drawn)}


def _webp(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A picture at half its size, as a file of some kB; all of one noise would take more than all others together."""
    file = io.BytesIO()
    Image.fromarray(pixels).resize(SHOWN, Image.Resampling.LANCZOS).save(file, "WEBP", quality=QUALITY, method=6)
    return file.getvalue()
