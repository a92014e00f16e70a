"""What the U-Net must say beside its prediction while it is trained: where, how much, which thing, which part of it.

The first two heads are those of trainers.auxiliary. The other two read the features at half of the latents' resolution:
the subject of a place, and where in the subject's picture it lies. A rendered picture knows both exactly, so they stand
in for features of a large network (REPA, Yu et al. 2024). Heads are never shipped (torch, trainers.auxiliary).
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from training.quarter_hour.networks import Unet
from training.trainers import auxiliary

THINGS, PLACES = 0.05, 0.2  # how much the two losses count beside that on latents
_LEVEL = 1  # of the way up: the block at half of the latents' resolution


class Said(NamedTuple):
    """The prediction (B, 4, h, w), what `auxiliary.loss` takes, and logits (B, things, h/2, w/2), places (B, 2, …)."""

    prediction: Tensor
    position: Tensor
    subjects: list[Tensor]
    things: Tensor
    places: Tensor


class Learner(nn.Module):
    """A U-Net and its heads."""

    def __init__(self, unet: Unet, things: int) -> None:
        super().__init__()
        self.unet = unet
        widths = unet.channels[::-1]
        self.heads = nn.ModuleDict({"position": nn.Conv2d(widths[0], 2, 1)})
        for level, width in enumerate(widths):
            self.heads[f"subjects-{level}"] = nn.Conv2d(width, 1, 1)
        self.heads["things"] = nn.Conv2d(widths[_LEVEL], things, 1)
        self.heads["places"] = nn.Conv2d(widths[_LEVEL], 2, 1)

    def forward(self, noised: Tensor, timestep: Tensor, states: Tensor) -> Said:
        """See Said."""
        seen = self.unet(noised, timestep, states)
        subjects = [self.heads[f"subjects-{level}"](features) for level, features in enumerate(seen.up)]
        half = seen.up[_LEVEL]
        position, things, places = (self.heads[name](x) for name, x in (
            ("position", seen.middle), ("things", half), ("places", half),
        ))  # fmt: skip
        return Said(seen.prediction, position, subjects, things, places)


def loss(said: Said, where: Tensor, things: Tensor, places: Tensor, whole: bool) -> Tensor:
    """The heads' loss; `where` (B, 1, h, w) is 1 in every latent that a subject touches, the rest is of drawing.Cells.

    Position and cover are asked of whole pages only: a crop may lie anywhere.
    """
    true, where_in = things[:, ::2, ::2].long() - 1, places[:, :, ::2, ::2].float() / 255
    there = (true >= 0).float()
    count = there.sum().clamp(min=1)
    named = F.cross_entropy(said.things.float(), true, ignore_index=-1, reduction="sum") / count
    placed = ((said.places.float() - where_in).pow(2).sum(1) * there).sum() / count
    lost = THINGS * named + PLACES * placed
    return lost + auxiliary.loss(said.position, said.subjects, where) if whole else lost
