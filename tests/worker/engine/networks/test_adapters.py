"""worker.engine.networks.adapters: LoRA files of both spellings, fused to the bits of diffusers' own pipeline."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel

from worker.editions.adapters import Adapter
from worker.engine.networks.adapters import fuse
from worker.engine.networks.loading import load_model
from worker.engine.networks.text_encoder import TextEncoder
from worker.errors import WeightsRefused

ATTENTION = "down_blocks.2.attentions.0.transformer_blocks.0.attn2.to_k"
CONVOLUTION = "down_blocks.0.resnets.0.conv1"
TIME = "up_blocks.1.resnets.0.time_emb_proj"
TEXT = "text_model.encoder.layers.0."
SHAPES = {
    ATTENTION: (32, 768, 0),
    CONVOLUTION: (16, 16, 3),
    TIME: (32, 64, 0),
    f"{TEXT}self_attn.q_proj": (768, 768, 0),
    f"{TEXT}self_attn.out_proj": (768, 768, 0),
    f"{TEXT}mlp.fc1": (256, 768, 0),
}
"""Layers of the tiny weights that a LoRA changes: numbers out, in, and the side of a convolution."""
RANK, ALPHA = 4, 2.0


def lora(spelling: Literal["kohya", "diffusers"], text: bool = True) -> dict[str, Tensor]:
    """A LoRA of random numbers for layers of the tiny weights; both spellings have the same numbers.

    Only kohya's says an alpha, so the other has alpha / rank multiplied in.
    """
    generator = torch.Generator().manual_seed(7)
    tensors: dict[str, Tensor] = {}
    for layer, (out, into, side) in SHAPES.items():
        square = (side, side) if side else ()
        down = torch.randn(RANK, into, *square, generator=generator)
        up = torch.randn(out, RANK, *(1, 1)[: len(square)], generator=generator) * 0.2
        part = "te" if layer.startswith(TEXT) else "unet"
        if part == "te" and not text:
            continue
        if spelling == "kohya":
            name = f"lora_{part}_{layer.replace('.', '_')}"
            tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
            tensors[f"{name}.alpha"] = torch.tensor(ALPHA)
        else:
            name = f"{'text_encoder' if part == 'te' else 'unet'}.{layer}"
            tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up * (ALPHA / RANK)}
    return tensors


def write_lora(path: Path, tensors: dict[str, Tensor], strength: float = 0.7) -> Adapter:
    """Write a LoRA file and return the adapter that an edition would name."""
    save_file(tensors, path)
    return Adapter(path, strength, hashlib.sha256(path.read_bytes()).hexdigest())


def pipeline_with(weights: Path, adapters: list[Adapter]) -> Any:
    """diffusers' pipeline with the same files fused, one after the other."""
    pipeline: Any = StableDiffusionPipeline.from_pretrained(
        str(weights), dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    for adapter in adapters:
        pipeline.load_lora_weights(str(adapter.file.parent), weight_name=adapter.file.name)
        pipeline.fuse_lora(lora_scale=adapter.strength)
        pipeline.unload_lora_weights()
    return pipeline


def equal(found: Any, expected: Any) -> bool:
    found, expected = found.state_dict(), expected.state_dict()
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("spelling", ["kohya", "diffusers"])
def test_it_fuses_what_the_pipeline_of_diffusers_fuses_to_the_bit(
    spelling: Literal["kohya", "diffusers"], tiny_weights: Path, tmp_path: Path
) -> None:
    adapter = write_lora(tmp_path / "one.safetensors", lora(spelling))
    theirs = pipeline_with(tiny_weights, [adapter])
    unet = load_model(tiny_weights, "unet", torch.float32)
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    fuse(unet, "unet", [adapter])
    assert equal(unet, theirs.unet)
    moved = {name for name, tensor in unet.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {f"{layer}.weight" for layer in SHAPES if not layer.startswith(TEXT)}
    text = CLIPTextModel.from_pretrained(str(tiny_weights / "text_encoder"), dtype=torch.float32)
    fuse(text, "text_encoder", [adapter])
    assert equal(text, theirs.text_encoder)
    ours = TextEncoder(tiny_weights, [adapter]).embed("a dog")
    assert abs(ours - TextEncoder(tiny_weights).embed("a dog")).max() > 0.01, (
        "the text encoder's part changes no embedding"
    )


def test_both_spellings_are_the_same_weights_but_for_rounding(tiny_weights: Path, tmp_path: Path) -> None:
    fused = []
    for spelling in ("kohya", "diffusers"):
        adapter = write_lora(tmp_path / f"{spelling}.safetensors", lora(spelling))  # type: ignore[arg-type]
        unet = load_model(tiny_weights, "unet", torch.float32)
        text = CLIPTextModel.from_pretrained(str(tiny_weights / "text_encoder"), dtype=torch.float32)
        fuse(unet, "unet", [adapter])
        fuse(text, "text_encoder", [adapter])
        fused.append(unet.state_dict() | text.state_dict())
    for name, tensor in fused[0].items():
        torch.testing.assert_close(tensor, fused[1][name], rtol=1e-6, atol=1e-6)


def test_adapters_are_fused_one_after_the_other_and_strength_is_linear(tiny_weights: Path, tmp_path: Path) -> None:
    """Half and half again is the whole; none is none; and −1 after 1 is where it began."""
    tensors = lora("kohya", text=False)
    plain = load_model(tiny_weights, "unet", torch.float32).get_parameter(f"{ATTENTION}.weight")
    found = []
    for strengths in ([0.5, 0.5], [1.0], [1.0, -1.0], [0.0]):
        unet = load_model(tiny_weights, "unet", torch.float32)
        fuse(unet, "unet", [write_lora(tmp_path / "one.safetensors", tensors, strength) for strength in strengths])
        found.append(unet.get_parameter(f"{ATTENTION}.weight"))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[2], plain, rtol=1e-5, atol=1e-5)
    assert torch.equal(found[3], plain)
    assert float((found[1] - plain).detach().abs().max()) > 0.1


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    tensors = lora("diffusers", text=False) | changes
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


A, B = f"unet.{ATTENTION}.lora_A.weight", f"unet.{ATTENTION}.lora_B.weight"


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({A: torch.ones(4, 1024)}, r"attn2\.to_k\.lora_A\.weight in .* should have 768 numbers in, .* has 1024"),
        ({B: torch.ones(64, 4)}, r"lora_B\.weight in .* should have 32 numbers out, .* has 64"),
        ({B: torch.ones(32, 5)}, r"should have a partner of its rank 4, and has one of rank 5"),
        ({B: None}, r"should have a partner of its rank 4, and has none"),
        ({"unet.down_blocks.9.conv.lora_A.weight": torch.ones(4, 4)}, r"down_blocks\.9\.conv.* has no layer"),
        ({"text_encoder_2.layer.lora_A.weight": torch.ones(4, 4)}, r"Stable Diffusion 1\.x, and holds text_encoder_2"),
        ({"unet.conv_in.weight": torch.ones(4, 4)}, r"Stable Diffusion 1\.x, and holds unet\.conv_in\.weight"),
        ({"lora_unet_conv_in.hada_w1_a": torch.ones(4, 4)}, r"holds lora_unet_conv_in\.hada_w1_a, of another kind"),
    ],
)
def test_a_file_for_another_model_is_refused_by_name(
    tensors: dict[str, Tensor | None], said: str, tiny_weights: Path, tmp_path: Path
) -> None:
    adapter = write_lora(tmp_path / "other.safetensors", changed(**tensors))
    unet = load_model(tiny_weights, "unet", torch.float32)
    with pytest.raises(WeightsRefused, match=said):
        fuse(unet, "unet", [adapter])


def test_what_diffusers_cannot_read_is_refused_in_a_sentence(tiny_weights: Path, tmp_path: Path) -> None:
    tensors = lora("kohya", text=False) | {"lora_unet_mystery.weight": torch.ones(2)}
    adapter = write_lora(tmp_path / "other.safetensors", tensors)
    with pytest.raises(
        WeightsRefused, match="should be a LoRA in the spelling of kohya or of diffusers, and diffusers"
    ):
        fuse(load_model(tiny_weights, "unet", torch.float32), "unet", [adapter])
