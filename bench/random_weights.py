"""Random weights in the ordinary diffusers layout: `python -m bench.random_weights FOLDER`.

The model hub cannot be asked by a test or a bench, so this writes a folder of exactly Stable Diffusion 1.5's
configuration (`--size sd`) or a small one of the same blocks (`--size tiny`), and the forms that were distilled from it
(`--form bk-sdm-small` …, `--taesd`). Its pictures mean nothing; its
shapes, file names and cost are those of the real one. May import torch, diffusers, transformers; nothing of ours.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel
from transformers.utils import logging as transformers_logging

SIZES = ("sd", "tiny")
FORMS: dict[str, dict[str, Any]] = {
    "sd": {},
    "bk-sdm-base": {"layers_per_block": 1},
    "bk-sdm-small": {"layers_per_block": 1, "mid_block_type": None},
    "bk-sdm-tiny": {
        "layers_per_block": 1,
        "mid_block_type": None,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3,
        "up_block_types": ["CrossAttnUpBlock2D"] * 3,
    },
    "small-sd": {"layers_per_block": 1, "mid_block_type": "UNetMidBlock2D"},
    "lcm": {"time_cond_proj_dim": 256},
}
"""What the U-Nets that were distilled from Stable Diffusion 1.5's say otherwise than its `config.json`: Kim et al. 2023
(BK-SDM, `src/unet_config/` of Nota-NetsPresso/BK-SDM), Segmind's small-sd, and Luo et al. 2023 (LCM)."""

TIMESTEPS = 1000
VAE_SCALE = 0.18215  # SD 1.5's latent scale, kept for `tiny` so that both read alike
EMBEDDING_WIDTH = 768  # a key holds (77, 768)
EMBEDDING_LENGTH = 77


def unet_config(size: str, form: str = "sd") -> dict[str, Any]:
    """The U-Net's configuration; `sd` is `unet/config.json` of Stable Diffusion 1.5 (859.5 M parameters)."""
    channels = {"sd": [320, 640, 1280, 1280], "tiny": [32, 64, 64, 64]}[size]
    changes = FORMS[form]
    return {
        "sample_size": 64,
        "in_channels": 4,
        "out_channels": 4,
        "center_input_sample": False,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        "block_out_channels": channels[: len(changes.get("down_block_types", channels))],
        "layers_per_block": 2 if size == "sd" else 1,
        "downsample_padding": 1,
        "mid_block_scale_factor": 1,
        "act_fn": "silu",
        "norm_num_groups": 32 if size == "sd" else 8,
        "norm_eps": 1e-05,
        "cross_attention_dim": EMBEDDING_WIDTH,
        # SD 1.5's file says "dim" and means the number of heads; attention over 4,160 tokens is what a tiny step costs.
        "attention_head_dim": 8 if size == "sd" else 1,
        **changes,
    }


def vae_config(size: str) -> dict[str, Any]:
    """The autoencoder's configuration; `sd` is `vae/config.json` of Stable Diffusion 1.5 (83.7 M parameters)."""
    return {
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": {"sd": [128, 256, 512, 512], "tiny": [16, 16, 32, 32]}[size],
        "layers_per_block": 2 if size == "sd" else 1,
        "act_fn": "silu",
        "latent_channels": 4,
        "norm_num_groups": 32 if size == "sd" else 8,
        "sample_size": 512,
        "scaling_factor": VAE_SCALE,
    }


def taesd_config(size: str) -> dict[str, Any]:
    """The configuration of TAESD, an AutoencoderTiny; `sd` is that of madebyollin/taesd (2.4 M parameters)."""
    widths, blocks = ([64] * 4, [1, 3, 3, 3]) if size == "sd" else ([8] * 4, [1, 1, 1, 1])
    return {
        "in_channels": 3,
        "out_channels": 3,
        "encoder_block_out_channels": widths,
        "decoder_block_out_channels": widths,
        "act_fn": "relu",
        "latent_channels": 4,
        "upsampling_scaling_factor": 2,
        "num_encoder_blocks": blocks,
        "num_decoder_blocks": blocks[::-1],
        "latent_magnitude": 3,
        "latent_shift": 0.5,
        "scaling_factor": 1.0,
    }


def text_config(size: str) -> dict[str, Any]:
    """The text encoder's configuration; `sd` is CLIP ViT-L/14's text model (123.1 M parameters)."""
    vocabulary = vocabulary_size(size)
    return {
        "vocab_size": vocabulary,
        "hidden_size": EMBEDDING_WIDTH,
        "intermediate_size": 3072 if size == "sd" else 256,
        "num_hidden_layers": 12 if size == "sd" else 1,
        "num_attention_heads": 12,
        "max_position_embeddings": EMBEDDING_LENGTH,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-05,
        "attention_dropout": 0.0,
        "projection_dim": EMBEDDING_WIDTH,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def vocabulary_size(size: str) -> int:
    """How many tokens the tokenizer knows: CLIP's 49,408, or 2,048 for `tiny`."""
    return {"sd": 49408, "tiny": 2048}[size]


SCHEDULER_CONFIG: dict[str, Any] = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": TIMESTEPS,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}

MODEL_INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def byte_characters() -> list[str]:
    """The 256 printable stand-ins that byte-level BPE (GPT-2's) uses for the 256 bytes, in CLIP's order."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + i) for i in range(len(others))]


def merge_pairs() -> Iterator[tuple[str, str]]:
    """Pairs of pieces to merge: every run of 2, 3, then 4 letters, each also as the end of a word."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    for length in itertools.count(1):
        for head in itertools.product(letters, repeat=length):
            for tail in letters:
                yield "".join(head), tail
                yield "".join(head), tail + "</w>"


def write_tokenizer(folder: Path, size: str) -> None:
    """Write `vocab.json`, `merges.txt` and their configuration: CLIP's formats, an invented vocabulary."""
    folder.mkdir()
    characters = byte_characters()
    count = vocabulary_size(size) - 2 * len(characters) - 2
    merges = list(itertools.islice(merge_pairs(), count))
    tokens = [*characters, *(character + "</w>" for character in characters), *(a + b for a, b in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    write_json(folder / "vocab.json", {token: i for i, token in enumerate(tokens)})
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    special["pad_token"] = "<|endoftext|>"
    write_json(folder / "special_tokens_map.json", special)
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": EMBEDDING_LENGTH,
        "do_lower_case": True,
    }
    write_json(folder / "tokenizer_config.json", {**special, **settings})


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented UTF-8 JSON."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fill(model: nn.Module, seed: int) -> nn.Module:
    """Give a model made on the `meta` device float16 weights drawn from `seed`.

    Matrices are normal with variance 1/fan-in, so that every layer passes on about the variance it gets; biases
    are small, gains of norms lie around one. The values depend on `seed` and the order of the parameters only.
    """
    model = model.half().to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            fan_in = math.prod(parameter.shape[1:])
            scale, centre = (1.0 if id(parameter) in embeddings else fan_in**-0.5), 0.0
        else:
            scale, centre = 0.1, (1.0 if name.endswith("weight") else 0.0)
        values = torch.empty(parameter.shape).normal_(centre, scale, generator=generator)
        parameter.data.copy_(values)
    return model


def write(
    folder: Path, size: str = "sd", say: Callable[[str], None] = print, form: str = "sd", taesd: bool = False
) -> Path:
    """Write the folder (2.1 GB for `sd`, 11 MB for `tiny`) and give it back; it appears whole or not at all.

    `form` is one of FORMS; with `taesd` the VAE is an AutoencoderTiny. Raises `FileExistsError` where `folder` exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; delete it first or name another folder.")
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    say("tokenizer and scheduler")
    write_tokenizer(beside / "tokenizer", size)
    (beside / "scheduler").mkdir()
    write_json(beside / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
    vae = ["diffusers", "AutoencoderTiny" if taesd else "AutoencoderKL"]
    write_json(beside / "model_index.json", MODEL_INDEX | {"vae": vae})
    parts: list[tuple[str, Callable[[], nn.Module]]] = [
        ("unet", lambda: UNet2DConditionModel(**unet_config(size, form))),
        ("vae", lambda: AutoencoderTiny(**taesd_config(size)) if taesd else AutoencoderKL(**vae_config(size))),
        ("text_encoder", lambda: CLIPTextModel(CLIPTextConfig(**text_config(size)))),
    ]
    for seed, (name, make) in enumerate(parts, start=1):
        with torch.device("meta"):
            empty = make()
        say(f"{name}: {sum(p.numel() for p in empty.parameters()):,} random weights")
        model: Any = fill(empty, seed)
        model.save_pretrained(beside / name, safe_serialization=True)
    beside.rename(folder)
    return folder


def main(arguments: list[str] | None = None) -> int:
    """The command line: one folder, one size."""
    parser = argparse.ArgumentParser(prog="python -m bench.random_weights", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder to write; must not exist")
    parser.add_argument("--size", choices=SIZES, default="sd", help="sd: Stable Diffusion 1.5; tiny: for tests")
    parser.add_argument("--form", choices=tuple(FORMS), default="sd", help="of the U-Net (sd)")
    parser.add_argument("--taesd", action="store_true", help="an AutoencoderTiny in place of the VAE")
    options = parser.parse_args(arguments)
    transformers_logging.disable_progress_bar()
    try:
        write(options.folder, options.size, lambda line: print(line, file=sys.stderr), options.form, options.taesd)
    except OSError as error:
        print(f"Could not write the weights: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
