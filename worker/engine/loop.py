"""The denoising loop: a function of (denoiser, plan, latents). May import torch and worker.engine.solvers.

It takes all it needs and fetches nothing; previews, progress, cancelling and tests consume the same generator, and
nothing survives it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.engine.solvers import Plan

Predict = Callable[[Tensor, Tensor], Tensor]
"""(latents (B, 4, h, w), timestep ()) → what the model predicts, (B, 4, h, w), guidance applied."""
Noise = Callable[[int], Tensor]
"""Step 1, 2, … → the normal numbers after it, (B, 4, h, w), on the latents' device."""


@dataclass(frozen=True)
class Step:
    """What the loop knows after a step, `index` 1 … `of`: the latents, and the picture's latents as the model predicts
    them now, (B, 4, h, w) each, float32, on the engine's device. After the last step the latents are the picture."""

    index: int
    of: int
    latents: Tensor
    predicted: Tensor


@torch.inference_mode()
def denoise(predict: Predict, plan: Plan, latents: Tensor, noise: Noise | None = None) -> Iterator[Step]:
    """Run the plan (formulas: worker.engine.solvers) from the initial latents; yield a Step after each of its steps.

    Stop iterating, or close the generator, to cancel. The coefficients are Python numbers and the timesteps go to the
    device once, before the first step, so that no step makes the host wait for the device.
    """
    timesteps = torch.tensor([update.timestep for update in plan], device=latents.device)  # (steps,)
    predicted = torch.zeros_like(latents)
    for index, update in enumerate(plan):
        output = predict(latents, timesteps[index])  # (B, 4, h, w)
        previous, predicted = predicted, update.of_latents * latents + update.of_output * output
        latents = update.keep * latents + update.to_predicted * predicted + update.to_previous * previous
        if update.to_noise:
            assert noise is not None, "a plan with noise, and none to take"
            latents = latents + update.to_noise * noise(index + 1)
        yield Step(index + 1, len(plan), latents, predicted)
