"""worker.engine.networks.foreign: diffusers' classes behind the arguments of our own."""

import torch
from diffusers import UNet2DConditionModel

from bench.random_weights import unet_config
from worker.engine.networks.foreign import ForeignUNet


def test_latents_that_go_with_two_texts_are_those_latents_twice_and_none_is_made_on_the_host() -> None:
    """On the meta device, which refuses every tensor from elsewhere."""
    with torch.device("meta"):
        source = UNet2DConditionModel(**unet_config("tiny", "lcm")).requires_grad_(False)
        latents, states, told = torch.empty(1, 4, 26, 40), torch.empty(2, 77, 768), torch.empty(1, 256)
        timestep = torch.empty((), dtype=torch.int64)
    foreign = ForeignUNet(source)
    assert foreign(latents, timestep, foreign.read(states), told).shape == (2, 4, 26, 40)
    assert foreign(latents, timestep, foreign.read(states[:1])).shape == (1, 4, 26, 40)
