"""The averages of a training in files that a killed run leaves whole, and reading them back (torch, shards).

One saving is one set of files. All are written beside first and renamed only then, so a kill leaves the set before, or
one of which every part is there under one name or the other: `finish` then completes it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from training.errors import TrainingError
from training.quarter_hour import shards
from training.quarter_hour.vectors import Vectors

_SHIPPED = "diffusion_pytorch_model"


def name_of(width: float, part: int, parts: int) -> str:
    """A file's name: average-0.05-1-of-2.safetensors."""
    return f"average-{width:.2f}-{part}-of-{parts}.safetensors"


def save(folder: Path, vectors: Vectors, facts: dict[str, str]) -> int:
    """Writes all averages of the U-Net in float16 and returns the bytes; TrainingError where that cannot be done."""
    if not bool(torch.isfinite(vectors.now).all()):
        raise TrainingError(
            "The weights are no longer finite, so this saving was left out.",
            f"{folder} holds the one before: go on from it with half the rate.",
        )
    written: list[Path] = []
    try:
        for width, average in vectors.averages.items():
            named = vectors.named(average)
            unet = {name.removeprefix("unet."): t for name, t in named.items() if name.startswith("unet.")}
            parts = shards.divide(unet)
            for number, part in enumerate(parts, 1):
                about = facts | {"average": f"{width:.2f}", "step": str(vectors.step_number)}
                path = folder / (name_of(width, number, len(parts)) + ".partial")
                shards.write_half(path, part, about)
                written.append(path)
        size = sum(path.stat().st_size for path in written)
        for path in written:
            path.replace(path.with_suffix(""))
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise TrainingError(
            f"The averages could not be written to {folder}: {error.strerror or error}.",
            "What was written before is whole: make room and run the same command again.",
        ) from error
    return size


def finish(folder: Path) -> None:
    """After a kill: completes a saving of which every file is there, else removes what it had begun."""
    begun = sorted(folder.glob("average-*.safetensors.partial"))
    names = sorted({path.name.removesuffix(".partial") for path in folder.glob("average-*.safetensors*")})
    steps = {path: _step(path) for path in begun}
    newest = max((step for step in steps.values() if step is not None), default=None)
    whole = newest is not None and all(
        _step(folder / name) == newest or steps.get(folder / (name + ".partial")) == newest for name in names
    )
    for path, step in steps.items():
        if whole and step == newest:
            path.replace(path.with_suffix(""))
        else:
            path.unlink()


def _step(path: Path) -> int | None:
    """The step that a whole file is of."""
    try:
        return int(shards.read(path)[1].get("step", 0))
    except TrainingError:
        return None


def are_in(folder: Path) -> bool:
    """Whether a folder holds averages."""
    return any(folder.glob("average-*.safetensors"))


def load(folder: Path, width: float | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A U-Net's weights and what is known of them: the average of this width, or the narrowest, or an edition's U-Net.

    TrainingError where there is none, or where its files are of different savings.
    """
    found = sorted(folder.glob("average-*.safetensors" if width is None else f"average-{width:.2f}-*.safetensors"))
    if found:
        narrowest = found[0].name.split("-")[1]
        found = [path for path in found if path.name.split("-")[1] == narrowest]
        expected = int(found[0].stem.rsplit("-", 1)[1])
        if len(found) != expected:
            raise TrainingError(
                f"{folder} holds {len(found)} of {expected} files of the average {narrowest}.", "Bring all of them."
            )
    else:
        found = sorted(folder.glob(f"{_SHIPPED}*.safetensors"))
    if not found:
        what = "averages" if width is None else f"average {width:.2f}"
        raise TrainingError(f"There is no {what} in {folder}.", "Name the --output of a run, or an edition's unet.")
    weights: dict[str, Tensor] = {}
    facts: dict[str, str] = {}
    for path in found:
        part, about = shards.read(path)
        if facts and about.get("step") != facts.get("step"):
            raise TrainingError(f"The files of {folder} are of different savings.", "Bring all files of one of them.")
        weights |= part
        facts = about
    return weights, facts
