"""Auxiliary heads that make the U-Net know where it is and where subjects belong (torch; training only).

A convolutional network learns of absolute places only through the padding at the edges, and the loss on latents rewards
it little for that: before these heads, pages asked for on the left came out on the left as often as anywhere else.
One linear head reads off the coarsest features where on the page each of them lies; one in every block on the way up
reads how much of it a subject covers. The weights of the heads are kept in checkpoints and never shipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

POSITION, SUBJECTS = 0.1, 0.2  # how much the heads' losses count beside that on latents


class WithHeads(nn.Module):
    """A U-Net of `training.export.new_unet` with a head on its middle block and on each block on the way up."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet
        widths = unet.config.block_out_channels
        self.heads = nn.ModuleDict({"position": nn.Conv2d(widths[-1], 2, 1)})
        self._features: dict[str, torch.Tensor] = {}
        unet.mid_block.register_forward_hook(self._keeper("position"))
        for level, (block, width) in enumerate(zip(unet.up_blocks, reversed(widths), strict=True)):
            name = f"subjects-{level}"
            self.heads[name] = nn.Conv2d(width, 1, 1)
            layers = block.attentions if getattr(block, "attentions", None) else block.resnets
            layers[-1].register_forward_hook(self._keeper(name))

    def _keeper(self, name: str) -> Callable[..., None]:
        def keep(_: nn.Module, __: Any, output: torch.Tensor | tuple[torch.Tensor]) -> None:
            self._features[name] = output[0] if isinstance(output, tuple) else output

        return keep

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """The prediction (B, 4, h, w), positions (B, 2, h/4, w/4) and logits of subjects (B, 1, …), coarse to fine."""
        prediction = self.unet(sample, timestep, states).sample
        position, *subjects = (head(self._features[name]) for name, head in self.heads.items())
        self._features.clear()
        return prediction, position, subjects


def positions(height: int, width: int) -> torch.Tensor:
    """Where each feature lies, (1, 2, height, width): column and row, each from −√3 to √3."""
    side = math.sqrt(3)
    rows = torch.linspace(-side, side, height).view(1, 1, height, 1).expand(1, 1, height, width)
    columns = torch.linspace(-side, side, width).view(1, 1, 1, width).expand(1, 1, height, width)
    return torch.cat((columns, rows), 1)


def loss(position: torch.Tensor, subjects: list[torch.Tensor], where: torch.Tensor) -> torch.Tensor:
    """The heads' loss on whole pages; `where` (B, 1, h, w) is 1 in every latent that a subject touches."""
    height, width = position.shape[2:]
    true = positions(height, width).to(position.device).expand_as(position)
    lost = POSITION * F.mse_loss(position.float(), true)
    for logits in subjects:
        covered = F.adaptive_avg_pool2d(where, (logits.shape[2], logits.shape[3]))
        lost = lost + SUBJECTS * F.binary_cross_entropy_with_logits(logits.float(), covered)
    return lost
