"""How many of the uniformly random keys open mush: pages of the stacks beside rendered scenes and pages of short keys.

May import torch, the training's scenes and judges, the engine. The judge of pages (training.judging.judges) has seen
rendered scenes alone. Its evidence for a thing is a logit; that of a page is the largest of all things that it knows.
A page is mush where that is less than on 95 of 100 rendered scenes of one thing, which this part draws itself: where
the judge sees a thing less surely than on nearly any real one. Contrast and detail stand beside it, and decide
nothing.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from training.judging.judges import Examples, Judge, evidence, half, load_judges
from training.scenes.sprites import open_pack
from worker.catalogue.address import Address, Kind
from worker.catalogue.expansion import volume_phrases
from worker.engine.engine import Engine

SEED = 20_261_130
SCENES = 4
"""Rendered for each page of the stacks, with one thing on each."""

Pixels = npt.NDArray[np.uint8]


def measure(engine: Engine, number: int) -> Iterator[dict[str, Any]]:
    """Rows `number`, `number` + 1, …: a page of the stacks, one of a short key, one of words, some rendered scenes.

    The words are a phrase that the short key is drawn of, such as “a dog on a beach”.
    """
    judge, pack = load_judges()[0], open_pack()
    while True:
        row: dict[str, Any] = {}
        name = f"holds-mush-{number + 1}"
        names: dict[Kind, str] = {
            "stacks": name,
            "key": name,
            "prompt": volume_phrases(name, engine.edition.lexicon)[0],
        }
        for kind, said in names.items():
            address = Address(engine.edition.slug, kind, said, 1)
            key = engine.resolve(address)
            if key.steps <= engine.edition.step_limit:
                printed = engine.print_page(key)
                row[kind] = {"address": address.format(), "steps": printed.steps, **looked_at(judge, printed.pixels)}
        examples = Examples(pack, SEED + number, SCENES)
        yield row | {"scenes": [looked_at(judge, examples.single()[1]) for _ in range(SCENES)]}
        number += 1


@torch.no_grad()
def looked_at(judge: Judge, pixels: Pixels) -> dict[str, float]:
    """The judge's largest evidence for a thing; contrast, the deviation of the brightness, and detail, the mean
    difference of neighbours, both in grey levels."""
    maps, *_ = judge(F.avg_pool2d(half([pixels]), 2))
    light = pixels @ np.array([0.299, 0.587, 0.114])  # (416, 640)
    steps = np.abs(np.diff(light, axis=0)).mean(), np.abs(np.diff(light, axis=1)).mean()
    found = {"evidence": float(evidence(maps).max()), "contrast": light.std(), "detail": sum(steps) / 2}
    return {name: round(float(value), 3) for name, value in found.items()}
