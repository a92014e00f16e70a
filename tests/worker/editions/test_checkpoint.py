"""What a single file is, by its tensors: checkpoints of Stable Diffusion 1.x, and all that is refused by name."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest

from worker.editions.checkpoint import read_checkpoint, read_claims
from worker.errors import WeightsRefused

UNET = "model.diffusion_model."
CONV_IN = f"{UNET}input_blocks.0.0.weight"
CROSS = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
VAE = "first_stage_model.decoder.conv_in.weight"
TEXT = "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight"
SD1 = {CONV_IN: (8, 4, 3, 3), CROSS: (8, 768), VAE: (2,), TEXT: (77, 768)}


def write(path: Path, shapes: dict[str, tuple[int, ...]], **metadata: str) -> Path:
    """A safetensors file of one byte a number, whose tensors have these names and shapes."""
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, shape in shapes.items():
        begin = end
        size = 1
        for length in shape:
            size *= length
        end += size
        header[name] = {"dtype": "U8", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))
    return path


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, pickle.dumps({"state_dict": 1}))
    return buffer.getvalue()


def test_a_checkpoint_is_read_by_its_header(tmp_path: Path) -> None:
    tensors = read_checkpoint(write(tmp_path / "sd.safetensors", SD1))
    assert {name: tensor.shape for name, tensor in tensors.items()} == SD1


OTHERS: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "sdxl": ({**SD1, "conditioner.embedders.1.model.ln_final.weight": (1,)}, "Stable Diffusion XL"),
    "sdxl unet": ({CONV_IN: (8, 4, 3, 3), f"{UNET}label_emb.0.0.weight": (1,)}, "Stable Diffusion XL"),
    "refiner": ({CONV_IN: (8, 4, 3, 3), "conditioner.embedders.0.model.ln_final.weight": (1,)}, "refiner"),
    "sd2": ({**SD1, CROSS: (8, 1024)}, "Stable Diffusion 2.x"),
    "sd2 text": ({CONV_IN: (8, 4, 3, 3), "cond_stage_model.model.ln_final.weight": (1,)}, "Stable Diffusion 2.x"),
    "sd3": ({f"{UNET}joint_blocks.0.x_block.attn.qkv.weight": (1,)}, "Stable Diffusion 3"),
    "flux": ({"double_blocks.0.img_attn.norm.key_norm.scale": (1,)}, "Flux"),
    "controlnet": ({"control_model.input_blocks.0.0.weight": (1,)}, "a ControlNet"),
    "controlnet of diffusers": ({"controlnet_cond_embedding.conv_in.weight": (1,)}, "a ControlNet"),
    "lora of kohya": ({"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (1,)}, "a LoRA"),
    "lora of peft": ({"unet.down_blocks.0.attentions.0.attn1.to_q.lora_A.weight": (1,)}, "a LoRA"),
    "vae": ({"encoder.conv_in.weight": (1,), "decoder.conv_in.weight": (1,)}, "a VAE alone"),
    "vae with a prefix": ({VAE: (1,)}, "a VAE alone"),
    "text encoder": ({"text_model.embeddings.token_embedding.weight": (1,)}, "a text encoder alone"),
    "unet of diffusers": ({"conv_in.weight": (1,), "down_blocks.0.resnets.0.conv1.weight": (1,)}, "a U-Net of diff"),
    "inpainting": ({**SD1, CONV_IN: (8, 9, 3, 3)}, "a model for inpainting, whose U-Net takes 9 channels"),
    "instruct": ({**SD1, CONV_IN: (8, 8, 3, 3)}, "a model that edits pictures"),
    "depth": ({**SD1, CONV_IN: (8, 5, 3, 3)}, "takes 4 channels, and takes 5"),
    "unet alone": ({CONV_IN: (8, 4, 3, 3), CROSS: (8, 768)}, r"has no VAE \(first_stage_model.…\)"),
    "no text encoder": ({CONV_IN: (8, 4, 3, 3), VAE: (1,)}, "has no text encoder"),
    "motion": ({"down_blocks.0.motion_modules.0.temporal_transformer.norm.bias": (1,)}, "AnimateDiff"),
    "embedding": ({"emb_params": (4, 768)}, "a textual inversion"),
    "adapter": ({"image_proj.norm.weight": (1,)}, "IP-Adapter"),
    "something": ({"model.0.weight": (1,)}, r"has no U-Net \(model.diffusion_model.…\): its tensors begin model\."),
    "nothing": ({}, "begin nowhere, as it has none"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_another_model_is_refused_by_name(case: str, tmp_path: Path) -> None:
    shapes, said = OTHERS[case]
    with pytest.raises(WeightsRefused, match=f"should be a checkpoint of Stable Diffusion 1.x.*{said}"):
        read_checkpoint(write(tmp_path / "other.safetensors", shapes))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.ckpt", pickle.dumps([1] * 99, 2), "is a pickle, which is never loaded"),
        ("a.safetensors", pickle.dumps([1] * 99, 3), "is a pickle, which is never loaded"),
        ("a.ckpt", zipped("archive/data.pkl"), r"is a zip with a pickle inside \(archive/data.pkl\)"),
        ("a.safetensors", zipped("pytorch_model.bin"), "is a zip with a pickle inside"),
        ("a.safetensors", zipped("readme.txt"), "is a zip, which is not unpacked"),
        ("a.bin", b"x" * 99, r"is named as a pickle \(.bin\)"),
        ("a.safetensors", b"GGUF" + bytes(99), "is a GGUF file"),
        ("a.safetensors", b"<!DOCTYPE html>", "is a web page"),
        ("a.safetensors", b"", "does not begin like one"),
        ("a.safetensors", b"\xff" * 99, "does not begin like one"),
    ],
)
def test_a_file_that_is_no_safetensors_is_refused(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsRefused, match=f"should be a safetensors file and {said}"):
        read_checkpoint(tmp_path / name)


def test_a_file_that_is_cut_short_says_how_much_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "sd.safetensors", SD1)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(WeightsRefused, match=f"cut short: it should have {len(content):,} bytes"):
        read_checkpoint(path)


def test_what_a_checkpoint_says_of_itself_is_read(tmp_path: Path) -> None:
    said = {"modelspec.prediction_type": "v", "modelspec.license": "MIT", "modelspec.title": "My model"}
    path = write(tmp_path / "said.safetensors", SD1, **said)
    claims = read_claims(path, read_checkpoint(path))
    assert (claims.prediction, claims.licence, claims.title) == ("v_prediction", "MIT", "My model")
    assert not claims.zero_terminal_snr
    path = write(tmp_path / "marked.safetensors", SD1 | {"v_pred": (0,), "ztsnr": (0,)})
    claims = read_claims(path, read_checkpoint(path))
    assert (claims.prediction, claims.zero_terminal_snr, claims.licence) == ("v_prediction", True, None)
    path = write(tmp_path / "silent.safetensors", SD1)
    assert read_claims(path, read_checkpoint(path)).prediction is None
