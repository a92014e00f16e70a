"""U-Net and VAE of an edition, read from their safetensors into the classes of diffusers. May import torch, diffusers.

`from_pretrained` maps the whole file into memory beside the model that it fills: Stable Diffusion 1.5 in bfloat16 takes
1.7 GB, and 3.4 GB more while it is loaded. Here one tensor after the other is read, brought to the precision of the
press and let go, and the classes are filled by `load_state_dict`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import diffusers
import numpy as np
import torch
from torch import Tensor

from worker.editions.adapters import Adapter
from worker.editions.weights import deciding_files
from worker.engine.networks.autoencoder import PocketAutoencoder
from worker.errors import WeightsRefused

_CLASSES: Final[dict[str, Any]] = {
    "UNet2DConditionModel": diffusers.UNet2DConditionModel,
    "AutoencoderKL": diffusers.AutoencoderKL,
    "AutoencoderTiny": diffusers.AutoencoderTiny,
    "PocketAutoencoder": PocketAutoencoder,
}
_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}
_OLD_NAMES: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What the attention of a VAE's middle was called in weights of 2022, Stable Diffusion 1.5's among them."""


def load_model(weights: Path, component: str, dtype: torch.dtype) -> Any:
    """The "unet" or "vae" of a weights folder that `check_weights` has looked at, on the CPU in `dtype`.

    Raises WeightsRefused where it lacks a tensor, has one too many, or has one of another shape.
    """
    folder = weights / component
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = config["_class_name"]
    if name == "AutoencoderTiny":
        config.pop("block_out_channels", None)  # written by diffusers for its pipelines, and not read by it
    with torch.device("meta"):
        model = model_class(name).from_config(config)
    wanted = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    tensors: dict[str, Tensor] = {}
    for file in deciding_files(weights):
        if file.startswith(f"{component}/") and file.endswith(".safetensors"):
            tensors |= {present_name(key): tensor for key, tensor in _read(weights / file, dtype)}
    for key in sorted(wanted.keys() | tensors.keys()):
        found = tuple(tensors[key].shape) if key in tensors else None
        if found != wanted.get(key):
            expected = f"of the shape {wanted[key]}" if key in wanted else "not at all"
            there = f"is of the shape {found}" if key in tensors else "is missing"
            raise WeightsRefused(f"The tensor {key} in {folder} should be there {expected}, for a {name}, and {there}.")
    model.load_state_dict(tensors, assign=True)
    return model


def model_class(name: str) -> Any:
    """The class of a U-Net or a VAE by its name in a config.json that `check_weights` has looked at."""
    return _CLASSES[name]


def load_unet(weights: Path, adapters: Sequence[Adapter], dtype: torch.dtype) -> Any:
    """The U-Net of a weights folder in `dtype`, with the adapters fused in float32 before it is rounded."""
    if not adapters:
        return load_model(weights, "unet", dtype)
    from worker.engine.networks.adapters import fuse  # peft takes seconds to import, and few editions have adapters

    unet = load_model(weights, "unet", torch.float32)
    fuse(unet, "unet", adapters)
    return unet.to(dtype)


def _read(path: Path, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a safetensors file, in the order of its data; numbers with a fraction in `dtype`.

    The format is described at editions.weights.read_header, which has seen that there is no hole between two tensors.
    """
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        header.pop("__metadata__", None)
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            if entry["dtype"] not in _DTYPES:
                raise WeightsRefused(
                    f"The tensor {name} in {path} has the dtype {entry['dtype']}, which is not read here."
                )
            begin, end = entry["data_offsets"]
            data = torch.from_numpy(np.fromfile(file, np.uint8, end - begin))
            tensor = data.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
            yield name, tensor.to(dtype) if tensor.is_floating_point() else tensor


def present_name(name: str) -> str:
    """`name` as today's classes have it."""
    old = re.fullmatch(r"(.*\.attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)", name)
    return f"{old[1]}.{_OLD_NAMES[old[2]]}.{old[3]}" if old else name
