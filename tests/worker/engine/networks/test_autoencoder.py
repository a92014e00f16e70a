"""The autoencoder of pocket-1: an eighth of the size, in the form that diffusers' pipelines ask for."""

import json

import pytest
import torch

from tests import ROOT
from training.scenes.sprites import open_pack
from training.trainers.autoencoder import held_out_pages, normalise, psnr, to_model
from worker.engine.networks.autoencoder import PocketAutoencoder

WEIGHTS = ROOT / "editions" / "pocket-1" / "vae"


@pytest.fixture(scope="module")
def shipped() -> PocketAutoencoder:
    model = PocketAutoencoder.from_pretrained(str(WEIGHTS), torch_dtype=torch.float32, local_files_only=True)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def held_out() -> torch.Tensor:
    """64 pages never trained on, (64, 3, 416, 640) in −1 … 1. Read only."""
    return held_out_pages(open_pack(), 64)


def test_a_picture_becomes_latents_of_an_eighth_and_comes_back_whole():
    model = PocketAutoencoder()
    x = torch.zeros(2, 3, 32, 48)
    latents = model.encode(x).latents
    assert latents.shape == (2, 4, 4, 6)
    assert model.decode(latents).sample.shape == x.shape
    assert torch.equal(model.decode(latents, return_dict=False)[0], model.decode(latents).sample)
    assert torch.equal(model.encode(x, return_dict=False)[0], latents)


def test_pipelines_read_a_factor_of_eight_from_its_config():
    config = PocketAutoencoder().config
    assert 2 ** (len(config.block_out_channels) - 1) == 8
    assert config.scaling_factor == 1.0 and config.latent_channels == 4


def test_it_is_saved_and_loaded_without_a_changed_value(tmp_path):
    model = PocketAutoencoder()
    model.save_pretrained(tmp_path, safe_serialization=True)
    again = PocketAutoencoder.from_pretrained(str(tmp_path), local_files_only=True)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_normalising_gives_latents_of_zero_mean_and_unit_variance_and_changes_no_picture():
    torch.manual_seed(0)
    model = PocketAutoencoder()
    pages = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    before = model(to_model(pages))
    normalise(model, pages, "cpu")
    latents = model.encode(to_model(pages)).latents
    assert latents.mean((0, 2, 3)).abs().max() < 1e-5
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 1e-3
    assert torch.allclose(model(to_model(pages)), before), "encode and decode undo each other's scale"
    assert torch.allclose(model.decode(latents).sample, before, atol=1e-5)


def test_the_shipped_one_gives_held_out_pages_back(shipped, held_out):
    assert psnr(shipped, held_out) > 35  # 35.90 measured; 34 is what it has to reach


def test_the_shipped_latents_have_unit_variance(shipped, held_out):
    latents = torch.cat([shipped.encode(page[None]).latents for page in held_out])
    assert latents.mean().abs() < 0.2  # pages differ in their means by 0.3, so that of 64 is known to 0.04
    assert 0.9 < latents.std() < 1.1


def test_the_shipped_one_is_small_and_in_half_precision():
    from safetensors import safe_open

    with safe_open(WEIGHTS / "diffusion_pytorch_model.safetensors", "pt") as file:
        tensors = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors} == {torch.float16}
    assert sum(tensor.numel() for tensor in tensors) < 2_200_000
    assert json.loads((WEIGHTS / "config.json").read_text())["_class_name"] == "PocketAutoencoder"
