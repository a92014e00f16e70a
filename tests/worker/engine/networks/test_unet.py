"""worker.engine.networks.unet: diffusers' U-Net in our own layers gives diffusers' numbers."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from bench.random_weights import FORMS, fill, unet_config
from worker.engine.networks.kernels import Kernels, choose_kernels
from worker.engine.networks.unet import UNet
from worker.errors import WeightsRefused

POCKET = {
    "block_out_channels": [32, 64, 128],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "attention_head_dim": 4,
}
LINEAR_PROJECTIONS = {"use_linear_projection": True, "layers_per_block": 2}
SHAPES: dict[str, dict[str, Any]] = {"pocket": POCKET, "linear-projections": LINEAR_PROJECTIONS} | {
    form: unet_config("tiny", form) for form in FORMS
}
"""What `unet_config("tiny")` is changed to: our own, and every form that was distilled from Stable Diffusion 1.5's."""
SIZE = (26, 40)
"""Height and width of the latents: with three ways down 13 × 20, 7 × 10 and 4 × 5, so two ways up are not twice."""


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def make(changes: dict[str, Any], dtype: torch.dtype) -> Any:
    """A U-Net of the blocks of `tiny` with random weights; equal arguments, equal weights. Attention is made peaked."""
    with torch.device("meta"):
        empty = UNet2DConditionModel(**(unet_config("tiny") | changes))
    model = fill(empty, 1)
    for name, parameter in model.named_parameters():
        if ".to_q." in name:
            parameter.mul_(3)
    return torch.nn.Module.to(model, dtype).eval().requires_grad_(False)


def inputs(rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(rows, 4, *SIZE, generator=generator).to(dtype).contiguous(memory_format=torch.channels_last)
    return latents, torch.randn(rows, 77, 768, generator=generator).to(dtype)


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.parametrize("kernels", ["eager", "onednn"])
@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_in_float32_it_is_the_u_net_of_diffusers(changes: dict[str, Any], kernels: Kernels) -> None:
    """Within 1e-5 of it, relative, in Euclidean norms: the same sums in another order."""
    latents, states = inputs(2, torch.float32)
    told = torch.linspace(-1, 1, 256)[None] if "time_cond_proj_dim" in changes else None
    expected = make(changes, torch.float32)(latents, torch.tensor(501), states, timestep_cond=told).sample
    ours = UNet(make(changes, torch.float32), kernels, (2, 4, *SIZE))
    found = ours(latents, torch.tensor(501), ours.read(states), told)
    print(f"relative difference {error(found, expected):.1e}")
    assert error(found, expected) < 1e-5


@pytest.mark.skipif(choose_kernels(torch.device("cpu"), torch.bfloat16) != "onednn", reason="no bfloat16 on this CPU")
@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_in_bfloat16_it_is_as_near_to_float32_as_diffusers_is(changes: dict[str, Any]) -> None:
    """Roundings fall differently, so its error may be a tenth more than that of diffusers; or less."""
    latents, states = inputs(2, torch.float32)
    exact = make(changes, torch.float32)(latents, torch.tensor(501), states).sample
    latents, states = inputs(2, torch.bfloat16)
    theirs = make(changes, torch.bfloat16)(latents, torch.tensor(501), states).sample
    ours = UNet(make(changes, torch.bfloat16), "onednn", (2, 4, *SIZE))
    found = ours(latents, torch.tensor(501), ours.read(states))
    print(f"error {error(found, exact):.2e}, of diffusers {error(theirs, exact):.2e}")
    assert error(found, exact) < 1.1 * error(theirs, exact)


@pytest.mark.parametrize("kernels", ["eager", "onednn"])
def test_latents_that_go_with_two_texts_are_those_latents_twice(kernels: Kernels) -> None:
    """What comes before the first cross-attention is computed once; a batch of another size may round otherwise."""
    latents, states = inputs(2, torch.float32)
    ours = UNet(make({}, torch.float32), kernels, (2, 4, *SIZE))
    text = ours.read(states)
    once = ours(latents[:1], torch.tensor(7), text)
    twice = ours(torch.cat([latents[:1], latents[:1]]), torch.tensor(7), text)
    assert once.shape == (2, 4, *SIZE)
    assert error(once, twice) < 1e-5
    assert error(once[0], once[1]) > 0.01, "the two texts give the same"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_it_gives_the_same_bits_again_whatever_came_between(dtype: torch.dtype) -> None:
    ours = UNet(make({}, dtype), choose_kernels(torch.device("cpu"), dtype), (2, 4, *SIZE))
    latents, states = inputs(4, dtype)
    first = ours(latents[:1], torch.tensor(301), ours.read(states[:2]))
    other = ours(latents[1:2], torch.tensor(99), ours.read(states[2:]))
    again = ours(latents[:1], torch.tensor(301), ours.read(states[:2]))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_it_takes_the_weights_over_and_leaves_none_behind() -> None:
    source = make({}, torch.float32)
    UNet(source, "onednn", (2, 4, *SIZE))
    left = [name for name, _ in source.named_parameters() if "_blocks" in name or "mid_block" in name]
    assert left == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"act_fn": "gelu"}, "act_fn should be silu and is gelu"),
        ({"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift"),
        ({"time_embedding_type": "fourier"}, "time_embedding_type"),
        ({"transformer_layers_per_block": 2}, "transformer_layers_per_block should be 1 and is 2"),
        ({"down_block_types": ["AttnDownBlock2D"] * 3 + ["DownBlock2D"]}, "one is AttnDownBlock2D"),
    ],
)
def test_it_refuses_another_form_by_name(changes: dict[str, Any], named: str) -> None:
    with torch.device("meta"):
        source = UNet2DConditionModel(**(unet_config("tiny") | changes))
    with pytest.raises(WeightsRefused, match=named):
        UNet(source, "eager", (2, 4, *SIZE))


def test_it_runs_on_the_meta_device() -> None:
    """Which refuses every tensor from elsewhere, so none is made on the host."""
    with torch.device("meta"):
        source = UNet2DConditionModel(**unet_config("tiny")).requires_grad_(False)
    ours = UNet(source, "eager", (2, 4, *SIZE))
    text = ours.read(torch.empty(2, 77, 768, device="meta"))
    found = ours(torch.empty(1, 4, *SIZE, device="meta"), torch.empty((), device="meta", dtype=torch.int64), text)
    assert found.is_meta
    assert found.shape == (2, 4, *SIZE)
