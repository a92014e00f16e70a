"""Random weights in one file, as checkpoints of Stable Diffusion 1.x are.

`python -m bench.adding.checkpoints FOLDER FILE` writes one.

FOLDER is what `python -m bench.random_weights` wrote. Its tensors get the names of the code that the model was trained
with (CompVis's latent-diffusion), the way back from what diffusers' `from_single_file` does. May import safetensors.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Tensors = dict[str, Tensor]

_UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def unet_name(name: str, layers: int, attends: Sequence[bool]) -> str:
    """A U-Net's tensor as a checkpoint calls it; `layers` a block, `attends`: whether an up block has attention."""
    for new, old in _UNET.items():
        if name.startswith(f"{new}."):
            return _inside(old + name.removeprefix(new))
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    assert found is not None, name
    way, block, part, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    first = block * (layers + 1) + (1 if way == "down" else 0)
    home = "input_blocks" if way == "down" else "output_blocks"
    if part == "downsamplers":
        return f"{home}.{first + layers}.0.op.{rest.removeprefix('conv.')}"
    if part == "upsamplers":
        return f"{home}.{first + layers}.{2 if attends[block] else 1}.{rest}"
    return _inside(f"{home}.{first + layer}.{0 if part == 'resnets' else 1}.{rest}")


def _inside(name: str) -> str:
    """The layers of a residual block by their old names; those of transformers never changed."""
    head, _, tail = name.rpartition(".")
    first, _, last = head.rpartition(".")
    return f"{first}.{_RESNET[last]}.{tail}" if last in _RESNET and "transformer_blocks" not in head else name


def vae_name(name: str, blocks: int) -> str:
    """A VAE's tensor as a checkpoint calls it; `blocks` is how many sizes it works at."""
    name = re.sub(r"up_blocks\.(\d+)\.", lambda found: f"up.{blocks - 1 - int(found[1])}.", name)
    name = re.sub(r"down_blocks\.(\d+)\.", r"down.\1.", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("resnets.", "block.")
    name = re.sub(r"(down|up)samplers\.0\.", r"\1sample.", name).replace("conv_shortcut", "nin_shortcut")
    for new, old in _ATTENTION.items():
        name = name.replace(f"attn_1.{new}.", f"attn_1.{old}.")
    return name.replace("conv_norm_out", "norm_out")


def checkpoint(folder: Path) -> Tensors:
    """The tensors of a folder under the names of a checkpoint; attention of the VAE as 1×1 convolutions, as there."""
    unet_config, vae_config = (json.loads((folder / part / "config.json").read_text()) for part in ("unet", "vae"))
    made: Tensors = {}
    attends = ["CrossAttn" in kind for kind in unet_config["up_block_types"]]
    for name, tensor in load_file(folder / "unet" / "diffusion_pytorch_model.safetensors").items():
        made[f"model.diffusion_model.{unet_name(name, unet_config['layers_per_block'], attends)}"] = tensor
    for name, tensor in load_file(folder / "vae" / "diffusion_pytorch_model.safetensors").items():
        old = vae_name(name, len(vae_config["block_out_channels"]))
        projects = ".attn_1." in old and tensor.ndim == 2
        made[f"first_stage_model.{old}"] = tensor[:, :, None, None] if projects else tensor
    for name, tensor in load_file(folder / "text_encoder" / "model.safetensors").items():
        made[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    positions = torch.arange(77)[None]
    return made | {"cond_stage_model.transformer.text_model.embeddings.position_ids": positions}


def write(folder: Path, file: Path, **metadata: str) -> Path:
    """Write the checkpoint `file` of a folder's weights, with what it says of itself, and give its path back."""
    save_file(checkpoint(folder), file, metadata)
    return file


def main(arguments: list[str] | None = None) -> int:
    """The command line: a folder, a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.adding.checkpoints", description=__doc__)
    parser.add_argument("folder", type=Path, help="what `python -m bench.random_weights` wrote")
    parser.add_argument("file", type=Path, help="the .safetensors file to write")
    options = parser.parse_args(arguments)
    write(options.folder, options.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
