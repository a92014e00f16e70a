"""Auxiliary heads that make the U-Net know where it is and where subjects belong (torch; training only).

A convolutional network learns of absolute places only through the padding at the edges, and the loss on latents rewards
it little for that: before these heads, pages asked for on the left came out on the left as often as anywhere else.
Two linear heads read the coarsest features: one, where on the page each of them lies; the other, how much of it a
subject covers. The weights of the heads are kept in checkpoints and never shipped.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

PLACE, SUBJECTS = 0.1, 0.3  # how much the heads' losses count beside that on latents


class WithHeads(nn.Module):
    """A U-Net of `training.export.new_unet` with a head on its middle block and one before its first upsampling."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        channels = unet.config.block_out_channels[-1]
        self.unet = unet
        self.heads = nn.ModuleDict({"place": nn.Conv2d(channels, 2, 1), "subjects": nn.Conv2d(channels, 1, 1)})
        self._middle: torch.Tensor | None = None
        self._last: torch.Tensor | None = None
        unet.mid_block.register_forward_hook(self._keep_middle)
        unet.up_blocks[0].attentions[-1].register_forward_hook(self._keep_last)

    def _keep_middle(self, _: nn.Module, __: Any, output: torch.Tensor) -> None:
        self._middle = output

    def _keep_last(self, _: nn.Module, __: Any, output: tuple[torch.Tensor]) -> None:
        self._last = output[0]

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The prediction (B, 4, h, w), places (B, 2, h/4, w/4) and logits of subjects (B, 1, h/4, w/4)."""
        prediction = self.unet(sample, timestep, states).sample
        place, subjects = self.heads["place"](self._middle), self.heads["subjects"](self._last)
        self._middle = self._last = None
        return prediction, place, subjects


def places(height: int, width: int) -> torch.Tensor:
    """Where each feature lies, (1, 2, height, width): column and row, each of mean 0 and variance 1."""
    side = math.sqrt(3)
    rows = torch.linspace(-side, side, height).view(1, 1, height, 1).expand(1, 1, height, width)
    columns = torch.linspace(-side, side, width).view(1, 1, 1, width).expand(1, 1, height, width)
    return torch.cat((columns, rows), 1)


def loss(place: torch.Tensor, subjects: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The heads' loss on whole pages; `where` (B, 1, h, w) is 1 in every latent that a subject touches."""
    height, width = place.shape[2:]
    lost = F.mse_loss(place.float(), places(height, width).to(place.device).expand_as(place))
    covered = F.adaptive_avg_pool2d(where, (height, width))
    return PLACE * lost + SUBJECTS * F.binary_cross_entropy_with_logits(subjects.float(), covered)
