"""worker.engine.networks.loading against diffusers' own loading, and what it refuses."""

import shutil
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from worker.engine.networks.loading import load_model
from worker.errors import WeightsRefused

VAE = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture
def own_weights(tiny_weights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_weights, tmp_path / "weights"))


def state_of(model: Any) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("component", "kind"), [("unet", diffusers.UNet2DConditionModel), ("vae", diffusers.AutoencoderKL)]
)
def test_it_loads_what_diffusers_loads(tiny_weights: Path, component: str, kind: Any, dtype: torch.dtype) -> None:
    found = state_of(load_model(tiny_weights, component, dtype))
    expected = state_of(kind.from_pretrained(str(tiny_weights / component), dtype=dtype, local_files_only=True))
    assert found.keys() == expected.keys()
    assert all(found[name].dtype == dtype and torch.equal(found[name], expected[name]) for name in found)


def test_it_loads_shards(own_weights: Path) -> None:
    model = diffusers.UNet2DConditionModel.from_pretrained(str(own_weights / "unet"), local_files_only=True)
    (own_weights / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    model.save_pretrained(str(own_weights / "unet"), max_shard_size="1MB")
    assert len(list((own_weights / "unet").glob("*.safetensors"))) > 1
    found, expected = state_of(load_model(own_weights, "unet", torch.float32)), state_of(model)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_it_reads_the_attention_names_of_2022(own_weights: Path) -> None:
    expected = state_of(load_model(own_weights, "vae", torch.float32))
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(own_weights / VAE)
    for name in [name for name in tensors if ".attentions." in name]:
        for new, was in old.items():
            if f".{new}." in name:
                tensors[name.replace(f".{new}.", f".{was}.")] = tensors.pop(name)
    assert any(".query." in name for name in tensors)
    save_file(tensors, own_weights / VAE)
    found = state_of(load_model(own_weights, "vae", torch.float32))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t.pop("post_quant_conv.bias"),
            r"post_quant_conv\.bias in .*vae should be there of the shape \(4,\)",
        ),
        (lambda t: t.update(extra=torch.zeros(2)), r"extra in .* not at all, for a AutoencoderKL, and is of the shape"),
        (
            lambda t: t.update({"post_quant_conv.bias": torch.zeros(5)}),
            r"of the shape \(4,\), for a AutoencoderKL, and is of the shape \(5,\)",
        ),
    ],
)
def test_it_refuses_other_tensors_than_the_model_s(own_weights: Path, change: Any, said: str) -> None:
    tensors = load_file(own_weights / VAE)
    change(tensors)
    save_file(tensors, own_weights / VAE)
    with pytest.raises(WeightsRefused, match=said):
        load_model(own_weights, "vae", torch.float32)
