"""bench.floor: what is counted as the work of a model."""

import torch

from bench.floor import count_operations


def test_a_product_counts_two_operations_for_each_pair_of_numbers():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert count_operations(lambda: torch.mm(a, b)) == 2 * 3 * 5 * 7


def test_the_pocket_model_has_the_operations_that_the_floor_is_stated_for():
    """12.7 GFLOP a guided evaluation; ours leaves out what both texts share, and 5/9 of each upsampling."""
    import json
    from pathlib import Path

    from diffusers import UNet2DConditionModel

    from bench.random_weights import fill
    from worker.engine.networks.unet import UNet

    folder = Path(__file__).parents[2] / "editions" / "pocket-1" / "unet"
    config = json.loads((folder / "config.json").read_text())
    with torch.device("meta"):
        model = UNet2DConditionModel.from_config(config)
    model = fill(model, 1).float().requires_grad_(False).eval()
    latents, timestep, states = torch.zeros(2, 4, 52, 80), torch.tensor(500), torch.zeros(2, 77, 768)
    with torch.inference_mode():
        theirs = count_operations(lambda: model(latents, timestep, encoder_hidden_states=states))
        own = UNet(model, "eager", (2, 4, 52, 80))
        text = own.read(states)
        ours = count_operations(lambda: own(latents[:1], timestep, text))
    assert round(theirs / 1e9, 1) == 12.7
    assert 0.75 < ours / theirs < 0.85
