"""What a single file of weights is, by the names and shapes of its tensors. Reads headers; never torch.

May import worker.errors and editions.weights. A checkpoint of Stable Diffusion 1.x is one safetensors file with all
three networks, in the names of the code that trained it (Rombach et al. 2022): `model.diffusion_model.` (the U-Net),
`first_stage_model.` (the VAE) and `cond_stage_model.transformer.` (the text encoder). What else people keep under the
same suffix is refused by name.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.editions.weights import PICKLES, Tensor, read_header, read_metadata
from worker.errors import WeightsRefused

__all__ = ["Claims", "read_checkpoint", "read_claims"]

_Tensors = Mapping[str, Tensor]

PARTS: Final = {
    "U-Net": "model.diffusion_model.",
    "VAE": "first_stage_model.",
    "text encoder": "cond_stage_model.transformer.",
}
_CONV_IN: Final = "model.diffusion_model.input_blocks.0.0.weight"
_CROSS: Final = re.compile(r".*\.attn2\.to_k\.weight")
WANTED: Final = "a checkpoint of Stable Diffusion 1.x"


@dataclass(frozen=True)
class Claims:
    """What a checkpoint says of itself; None where it says nothing. Most say nothing."""

    prediction: str | None
    """"epsilon" or "v_prediction"."""
    zero_terminal_snr: bool
    licence: str | None
    title: str | None


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of one checkpoint file by name, from its header.

    Raises WeightsRefused where it is no safetensors file, or the weights of something else: which, is said by name.
    """
    try:
        tensors = read_header(path)
    except WeightsRefused as error:
        if path.suffix.lower() in PICKLES and "pickle" not in str(error):
            raise WeightsRefused(
                f"{path} should be a safetensors file and is named as a pickle ({path.suffix}), which is never loaded."
            ) from error
        raise
    if other := other_model(tensors):
        raise WeightsRefused(f"{path} should be {WANTED} and is {other}.")
    for part, prefix in PARTS.items():
        if not any(name.startswith(prefix) for name in tensors):
            raise WeightsRefused(
                f"{path} should be {WANTED} and has no {part} ({prefix}…): its tensors begin {_beginnings(tensors)}.",
                hint="A checkpoint holds U-Net, VAE and text encoder; parts come in a folder of diffusers' layout.",
            )
    channels = tensors[_CONV_IN].shape[1:2] if _CONV_IN in tensors else ()
    if channels != (4,):
        raise WeightsRefused(
            f"{path} should be {WANTED}, whose U-Net takes 4 channels, and "
            + (f"takes {channels[0]}." if channels else f"has no {_CONV_IN}.")
        )
    return tensors


def other_model(tensors: _Tensors) -> str:
    """What the tensors are instead of a checkpoint of Stable Diffusion 1.x, as far as it is known; "" otherwise."""
    return next((name for name, holds in _OTHERS if holds(tensors)), "")


def read_claims(path: Path, tensors: _Tensors) -> Claims:
    """What a checkpoint says of itself: in its metadata (the keys of `modelspec`), or by tensors that only mark it.

    Checkpoints that predict v carry an empty tensor `v_pred`, those of zero terminal SNR one called `ztsnr`.
    """
    metadata = read_metadata(path)
    said = metadata.get("modelspec.prediction_type", "").strip().lower()
    prediction = {"v": "v_prediction", "v_prediction": "v_prediction", "epsilon": "epsilon"}.get(said)
    if "v_pred" in tensors:
        prediction = "v_prediction"
    return Claims(
        prediction,
        "ztsnr" in tensors,
        metadata.get("modelspec.license") or None,
        metadata.get("modelspec.title") or None,
    )


def _has(*prefixes: str) -> Callable[[_Tensors], bool]:
    return lambda tensors: any(name.startswith(prefixes) for name in tensors)


def _mentions(*parts: str) -> Callable[[_Tensors], bool]:
    return lambda tensors: any(part in name for name in tensors for part in parts)


def _takes(*channels: int) -> Callable[[_Tensors], bool]:
    return lambda tensors: _CONV_IN in tensors and tensors[_CONV_IN].shape[1:2] in {(count,) for count in channels}


def _reads(width: int) -> Callable[[_Tensors], bool]:
    return lambda tensors: any(_CROSS.fullmatch(name) and tensors[name].shape[1:] == (width,) for name in tensors)


def _is_only(*prefixes: str) -> Callable[[_Tensors], bool]:
    return lambda tensors: bool(tensors) and all(name.startswith(prefixes) for name in tensors)


_OTHERS: Final[tuple[tuple[str, Callable[[_Tensors], bool]], ...]] = (
    (
        "a LoRA, which changes a model and is none",
        _mentions("lora_down", "lora_up", ".lora_A.", ".lora_B.", ".lora.down", ".lora.up", "hada_w1_a", "lokr_w"),
    ),
    ("a ControlNet, which steers a model and is none", _mentions("control_model.", "controlnet_", "input_hint_block")),
    (
        "a T2I-Adapter or IP-Adapter, which steers a model and is none",
        _has("adapter.body", "image_proj.", "ip_adapter"),
    ),
    ("an AnimateDiff motion module, which moves a model and is none", _mentions("motion_modules.")),
    ("a textual inversion, which is one word of a model", _has("emb_params", "string_to_param")),
    ("Stable Diffusion 3, which reads other keys", _mentions("joint_blocks.")),
    ("Flux or one of its kin, which reads other keys", _mentions("double_blocks.", "single_blocks.", "double_stream")),
    (
        "a refiner of Stable Diffusion XL, which reads other keys",
        lambda tensors: (
            _has("conditioner.embedders.0.model.")(tensors) and not _has("conditioner.embedders.1.")(tensors)
        ),
    ),
    (
        "Stable Diffusion XL, which reads other keys: embeddings of 2048 numbers",
        lambda tensors: (
            _has("conditioner.embedders.", "model.diffusion_model.label_emb.")(tensors) or _reads(2048)(tensors)
        ),
    ),
    (
        "Stable Diffusion 2.x, which reads other keys: embeddings of 1024 numbers",
        lambda tensors: _has("cond_stage_model.model.")(tensors) or _reads(1024)(tensors),
    ),
    ("a model for inpainting, whose U-Net takes 9 channels", _takes(9)),
    ("a model that edits pictures (InstructPix2Pix), whose U-Net takes 8 channels", _takes(8)),
    ("a U-Net of diffusers alone, without VAE and text encoder", _has("down_blocks.0.resnets.")),
    (
        "a VAE alone, without U-Net and text encoder",
        _is_only("first_stage_model.", "encoder.", "decoder.", "quant_conv.", "post_quant_conv.", "loss."),
    ),
    ("a text encoder alone, without U-Net and VAE", _is_only("text_model.", "cond_stage_model.", "embeddings.")),
)
"""What people have besides checkpoints of Stable Diffusion 1.x, and by which tensors it is known; the first counts."""


def _beginnings(names: Iterable[str]) -> str:
    """Some of the first parts of tensors' names, for a person to recognise what the file is."""
    found = sorted({name.split(".", 1)[0][:40] for name in names})
    return ", ".join(found[:3]) + (" …" if len(found) > 3 else "") if found else "nowhere, as it has none"
