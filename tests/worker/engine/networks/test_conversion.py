"""worker.engine.networks.conversion against diffusers' own `from_single_file`, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from bench.adding.checkpoints import checkpoint, unet_name, vae_name, write
from worker.editions.adding import CONFIGURATION
from worker.editions.weights import COMPONENTS, Tensor, read_header
from worker.engine.networks.conversion import convert, keep, refuse_other_tensors
from worker.errors import WeightsRefused


@pytest.fixture(scope="module")
def single(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tiny_weights, tmp_path_factory.mktemp("single") / "tiny.safetensors")


def config_of(folder: Path, component: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / component / "config.json").read_text())
    return found


@pytest.mark.parametrize(
    ("component", "kind"), [("unet", diffusers.UNet2DConditionModel), ("vae", diffusers.AutoencoderKL)]
)
def test_a_checkpoint_becomes_what_diffusers_makes_of_it(
    single: Path, tiny_weights: Path, component: str, kind: Any
) -> None:
    model = kind.from_single_file(
        str(single), config=str(tiny_weights), subfolder=component, local_files_only=True, dtype=torch.float16
    )
    expected, values = model.state_dict(), load_file(single)
    names = convert(read_header(single), component, config_of(tiny_weights, component))
    assert names.keys() == expected.keys()
    assert all(torch.equal(values[old].reshape(shape), expected[new]) for new, (old, shape) in names.items())


def test_a_text_encoder_gets_the_names_of_its_folder_and_loses_what_its_class_makes_itself(
    single: Path, tiny_weights: Path
) -> None:
    names = convert(read_header(single), "text_encoder", config_of(tiny_weights, "text_encoder"))
    folder = keep(read_header(tiny_weights / "text_encoder" / "model.safetensors"), "text_encoder")
    assert {new: shape for new, (_, shape) in names.items()} == {new: shape for new, (_, shape) in folder.items()}
    assert all(new.startswith("text_model.") and old.endswith(new) for new, (old, _) in names.items())
    refuse_other_tensors("text_encoder", config_of(tiny_weights, "text_encoder"), names, "here")


def test_every_tensor_of_stable_diffusion_1_is_converted_with_the_configurations_that_ship() -> None:
    """At the exact configuration, without a number: on the device "meta" a model of 4 GB takes nothing."""
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel.from_config(config_of(CONFIGURATION, "unet"))
        vae = diffusers.AutoencoderKL.from_config(config_of(CONFIGURATION, "vae"))
        text = CLIPTextModel(CLIPTextConfig.from_dict(config_of(CONFIGURATION, "text_encoder")))
    attends = ["CrossAttn" in kind for kind in unet.config["up_block_types"]]
    old = {f"model.diffusion_model.{unet_name(name, 2, attends)}": t for name, t in unet.state_dict().items()}
    for name, tensor in vae.state_dict().items():
        projects = ".attentions." in name and tensor.ndim == 2
        old[f"first_stage_model.{vae_name(name, 4)}"] = tensor[:, :, None, None] if projects else tensor
    for name, tensor in text.state_dict().items():
        old[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    assert "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.attn2.to_k.weight" in old
    assert "first_stage_model.decoder.up.3.block.2.norm1.weight" in old
    tensors = {name: Tensor("F16", tuple(tensor.shape)) for name, tensor in old.items()}
    converted: set[str] = set()
    for component in COMPONENTS:
        config = config_of(CONFIGURATION, component)
        names = convert(tensors, component, config)
        refuse_other_tensors(component, config, names, "the checkpoint")
        converted |= {was for was, _ in names.values()}
    assert converted == tensors.keys()


def test_averaged_weights_and_what_training_left_are_not_taken(single: Path, tiny_weights: Path) -> None:
    tensors = read_header(single)
    config = config_of(tiny_weights, "unet")
    expected = convert(tensors, "unet", config)
    more = {f"model_ema.diffusion_model{index}": Tensor("F32", (1,)) for index in range(200)}
    more |= {"model_ema.decay": Tensor("F32", ()), "alphas_cumprod": Tensor("F32", (1000,))}
    assert convert(tensors | more, "unet", config) == expected


def test_a_tensor_that_is_missing_or_of_another_shape_is_named(single: Path, tiny_weights: Path) -> None:
    config = config_of(tiny_weights, "unet")
    names = convert(read_header(single), "unet", config)
    with pytest.raises(
        WeightsRefused, match=r"conv_in\.weight of the unet in x should be there of the shape .* is missing"
    ):
        refuse_other_tensors("unet", config, {n: e for n, e in names.items() if n != "conv_in.weight"}, "x")
    with pytest.raises(WeightsRefused, match=r"conv_out\.bias .* of the shape \(4,\).* is there of the shape \(5,\)"):
        refuse_other_tensors("unet", config, names | {"conv_out.bias": ("", (5,))}, "x")
    with pytest.raises(WeightsRefused, match="tensor more of the unet in x should be absent"):
        refuse_other_tensors("unet", config, names | {"more": ("", (5,))}, "x")


def test_tensors_that_are_no_unet_are_refused(tiny_weights: Path) -> None:
    tensors = {
        "model.diffusion_model.input_blocks.0.0.weight": Tensor("F16", (1, 4, 3, 3)),
        "model.diffusion_model.middle_block.x.weight": Tensor("F16", (1,)),
    }
    config = config_of(tiny_weights, "unet")
    with pytest.raises(WeightsRefused, match="of the unet"):
        refuse_other_tensors("unet", config, convert(tensors, "unet", config), "x")


def test_the_names_of_a_checkpoint_are_those_that_people_know(tiny_weights: Path) -> None:
    """Names that the loaders of other programs look for, so that this is no game with a mirror."""
    found = checkpoint(tiny_weights)
    known = (
        "model.diffusion_model.time_embed.0.weight",
        "model.diffusion_model.input_blocks.1.0.in_layers.2.weight",
        "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight",
        "model.diffusion_model.out.2.bias",
        "first_stage_model.encoder.down.0.block.0.conv1.weight",
        "first_stage_model.decoder.mid.attn_1.proj_out.weight",
        "first_stage_model.post_quant_conv.weight",
        "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
    )
    assert not [name for name in known if name not in found]
    assert found["first_stage_model.decoder.mid.attn_1.q.weight"].ndim == 4
