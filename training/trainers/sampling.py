"""Draws with a U-Net in training, through the press's own solvers and loop (torch, worker.engine)."""

from __future__ import annotations

from typing import Any

import torch

from training.configs import SCHEDULER
from training.trainers.precision import autocast
from worker.engine.loop import denoise
from worker.engine.solvers import make_plan

PROMPTS = (
    "a dog on a beach at sunset", "a cat in the snow", "a red car on a road", "an elephant in the desert",
    "a sailboat in the sea", "a house in the mountains at night", "two apples on a yellow background",
    "a robot in space",
    "a blue balloon on a meadow", "a tiger in a forest", "three mushrooms in the grass", "a penguin left of a snowman",
)  # fmt: skip
"""What a training draws now and then, to be looked at."""


@torch.no_grad()
def sample(
    unet: Any, embeddings: torch.Tensor, empty: torch.Tensor, shape: tuple[int, int], guidance: float, steps: int,
    seed: int, device: str = "cpu",
) -> torch.Tensor:  # fmt: skip
    """Latents (B, 4, h, w) for embeddings (B, 77, 768), all from the noise of one seed; bf16 inside."""
    number = len(embeddings)
    start = torch.randn((number, 4, *shape), generator=torch.Generator().manual_seed(seed)).to(device)
    rows = torch.cat([empty.expand_as(embeddings), embeddings]).float().to(device)  # (2B, 77, 768)

    def predict(latents: torch.Tensor, timestep: torch.Tensor, _: int) -> torch.Tensor:
        with autocast(device):
            both = unet(
                torch.cat([latents, latents]).contiguous(memory_format=torch.channels_last), timestep, rows
            ).sample
        uncond, cond = both.float().chunk(2)
        guided: torch.Tensor = uncond + guidance * (cond - uncond)
        return guided

    latents = start
    for step in denoise(predict, make_plan("dpm-solver++", SCHEDULER, steps), start):
        latents = step.latents
    return latents
