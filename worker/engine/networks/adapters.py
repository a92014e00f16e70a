"""LoRA files, fused into a U-Net and a text encoder by diffusers and peft. May import both, and editions.adapters.

A LoRA (Hu et al. 2021) adds to a layer's weight W the product of two narrow matrices, strength · (alpha / rank) · B·A.
Files are spelt as kohya's scripts write them (`lora_unet_…`, `lora_te_…`) or as diffusers does; its own loader brings
both to one spelling. What a file has for another model is refused before anything is loaded into a layer: peft would
pass over names that it does not find.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.loaders.lora_base import fuse_text_encoder_lora
from diffusers.utils import logging as diffusers_logging
from diffusers.utils.peft_utils import recurse_remove_peft_layers
from diffusers.utils.state_dict_utils import (
    convert_state_dict_to_diffusers,
    convert_state_dict_to_peft,
    convert_unet_state_dict_to_peft,
)
from torch import Tensor, nn

from worker.editions.adapters import Adapter
from worker.editions.weights import read_header
from worker.errors import WeightsRefused

Part = Literal["unet", "text_encoder"]
_PARTS: Final = ("unet", "text_encoder")


def fuse(model: Any, part: Part, adapters: Sequence[Adapter]) -> None:
    """Add what the adapters hold for a part to its weights, in their precision; a file may hold nothing for it.

    Raises WeightsRefused for a file that is no LoRA, or that of a model of other layers or shapes.
    """
    for adapter in adapters:
        tensors, alphas, metadata = _read(adapter)
        if not _check(adapter, model, part, tensors):
            continue
        loader: Any = StableDiffusionLoraLoaderMixin
        with _quiet():
            if part == "unet":
                loader.load_lora_into_unet(tensors, alphas, model, "lora", metadata=metadata, low_cpu_mem_usage=True)
                model.fuse_lora(lora_scale=adapter.strength, adapter_names=["lora"])
                model.unload_lora()
            else:
                loader.load_lora_into_text_encoder(
                    tensors, alphas, model, adapter_name="lora", metadata=metadata, low_cpu_mem_usage=True
                )
                fuse_text_encoder_lora(model, adapter.strength, adapter_names=["lora"])
                recurse_remove_peft_layers(model)
                model.peft_config.clear()
                model._hf_peft_config_loaded = False


def _read(adapter: Adapter) -> tuple[dict[str, Tensor], dict[str, float] | None, Any]:
    """Tensors in the spelling of diffusers, alphas of a kohya file, and what a diffusers file says of itself."""
    path = adapter.file
    for name in read_header(path):
        if re.search("hada|lokr|dora|magnitude|oft_|lora_mid", name):
            raise WeightsRefused(
                f"{path} should be a LoRA of two matrices for each layer, and holds {name}, of another kind of adapter."
            )
    loader: Any = StableDiffusionLoraLoaderMixin
    try:
        with _quiet():
            tensors, alphas, metadata = loader.lora_state_dict(
                str(path.parent),
                weight_name=path.name,
                use_safetensors=True,
                local_files_only=True,
                return_lora_metadata=True,
            )
    except (ValueError, KeyError, IndexError) as error:
        raise _unread(adapter, error) from error
    for name in tensors:
        if name.partition(".")[0] not in _PARTS or "lora" not in name:
            raise WeightsRefused(
                f"{path} should be a LoRA for the U-Net or the text encoder of Stable Diffusion 1.x, and holds {name}."
            )
    return tensors, alphas, metadata


def _check(adapter: Adapter, model: nn.Module, part: Part, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a file has something for a part. Raises WeightsRefused where that fits none of the part's layers."""
    own = {name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")}
    if not own:
        return False
    try:
        if part == "text_encoder":
            own = convert_state_dict_to_peft(convert_state_dict_to_diffusers(own))
        elif "lora_A" not in next(iter(own)):
            own = convert_unet_state_dict_to_peft(own)
    except ValueError as error:
        raise _unread(adapter, error) from error
    if part == "text_encoder" and not hasattr(model, "text_model"):  # transformers 5 has left this name out
        own = {name.removeprefix("text_model."): tensor for name, tensor in own.items()}
    layers = dict(model.named_modules())
    for name, tensor in own.items():
        matched = re.fullmatch(r"(.+)\.lora_(A|B)\.weight", name)
        layer = layers.get(matched[1]) if matched else None
        if matched is None or not isinstance(layer, nn.Linear | nn.Conv2d):
            raise WeightsRefused(
                f"{adapter.file} should be a LoRA for this edition's {part}, and holds {name}, for which that has no"
                " layer.",
                hint="It may be meant for another model, such as SDXL or Stable Diffusion 2.",
            )
        axis, place = (1, "in") if matched[2] == "A" else (0, "out")
        wanted, found = layer.weight.shape[axis], tensor.shape[axis]
        if wanted != found:
            raise WeightsRefused(
                f"{name} in {adapter.file} should have {wanted} numbers {place}, as the layer of this edition's {part},"
                f" and has {found}."
            )
        other = own.get(f"{matched[1]}.lora_{'B' if matched[2] == 'A' else 'A'}.weight")
        if other is None or other.shape[axis] != tensor.shape[1 - axis]:
            rank = "none" if other is None else f"one of rank {other.shape[axis]}"
            raise WeightsRefused(
                f"{name} in {adapter.file} should have a partner of its rank {tensor.shape[1 - axis]}, and has {rank}."
            )
    return True


def _unread(adapter: Adapter, error: Exception) -> WeightsRefused:
    return WeightsRefused(
        f"{adapter.file} should be a LoRA in the spelling of kohya or of diffusers, and diffusers cannot read it:"
        f" {' '.join(str(error).split())[:200]}."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it, the libraries say nothing of a file that has no part for the text encoder, which most have not."""
    level = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        diffusers_logging.set_verbosity(level)
