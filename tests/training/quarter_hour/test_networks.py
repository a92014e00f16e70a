"""The networks in plain torch compute what the classes of diffusers and transformers compute, under the same names."""

import json

import pytest
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from tests import ROOT
from training.configs import UNET
from training.plans import QuarterPlan
from training.presets import QUARTER_HOUR, QUARTERS
from training.quarter_hour import shards
from training.quarter_hour.home import config_of
from training.quarter_hour.networks import Autoencoder, TextEncoder, Unet
from worker.engine.networks.autoencoder import PocketAutoencoder
from worker.engine.networks.unet import other_form

EDITION = ROOT / "editions" / "pocket-1"


@pytest.mark.parametrize("plan", QUARTERS.values(), ids=list(QUARTERS))
def test_the_unet_of_every_plan_computes_what_that_of_diffusers_does(plan: QuarterPlan):
    torch.manual_seed(0)
    theirs = UNet2DConditionModel(**config_of(plan))
    assert other_form(theirs) is None
    ours = Unet(plan.channels, plan.layers, plan.heads)
    ours.load_state_dict(theirs.state_dict())
    noised, timesteps, states = torch.randn(2, 4, 16, 24), torch.tensor([3, 999]), torch.randn(2, 77, 768)
    with torch.no_grad():
        expected, found = theirs(noised, timesteps, states).sample, ours(noised, timesteps, states)
    assert torch.allclose(found.prediction, expected, atol=1e-5), "sums in another order and nothing else"
    assert found.middle.shape == (2, plan.channels[-1], 4, 6)
    assert [features.shape[1:] for features in found.up] == [
        (plan.channels[2], 4, 6), (plan.channels[1], 8, 12), (plan.channels[0], 16, 24),
    ]  # fmt: skip


def test_weights_trained_here_load_into_the_class_of_diffusers_and_back():
    ours = Unet((16, 24, 32), 2, 2)
    theirs = UNet2DConditionModel(
        **UNET | {"block_out_channels": [16, 24, 32], "layers_per_block": 2, "attention_head_dim": 2}
    )
    assert theirs.load_state_dict(ours.state_dict()).missing_keys == []
    assert {name: p.shape for name, p in ours.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}


def test_the_unet_of_the_quarter_hour_has_12_million_parameters():
    unet = Unet(QUARTER_HOUR.channels, QUARTER_HOUR.layers, QUARTER_HOUR.heads)
    assert sum(p.numel() for p in unet.parameters()) == 12_214_020


def test_the_shipped_autoencoder_is_the_same_without_diffusers():
    theirs = PocketAutoencoder.from_pretrained(str(EDITION / "vae"), torch_dtype=torch.float32, local_files_only=True)
    ours = Autoencoder(json.loads((EDITION / "vae" / "config.json").read_text()))
    ours.load_state_dict(shards.read(EDITION / "vae" / "diffusion_pytorch_model.safetensors")[0])
    pictures = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        latents = theirs.encode(pictures).latents
        assert torch.equal(ours.encode(pictures), latents)
        assert torch.equal(ours.decode(latents), theirs.decode(latents).sample)


def test_the_shipped_text_encoder_is_the_same_without_transformers():
    theirs = CLIPTextModel.from_pretrained(
        str(EDITION / "text_encoder"), dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    ).eval()
    ours = TextEncoder(json.loads((EDITION / "text_encoder" / "config.json").read_text()))
    ours.load_state_dict(shards.read(EDITION / "text_encoder" / "model.safetensors")[0])
    tokens = torch.randint(0, theirs.config.vocab_size, (3, 77), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(input_ids=tokens).last_hidden_state, ours(tokens)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
