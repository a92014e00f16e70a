"""From the names of a single checkpoint to those of diffusers' classes, and what tensors a class wants.

May import torch, diffusers, transformers, worker.errors, editions.weights and networks.loading.

What `from_single_file` of diffusers does is to rename tensors, and to drop axes of length one. Here its own functions
for that are given tensors without values (of the device "meta"): what comes back says which tensor becomes which, and
no weight was read for it, so that a file of any size is converted in the memory of a copy.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextConfig, CLIPTextModel

from worker.editions.weights import Tensor
from worker.engine.networks.loading import model_class, present_name
from worker.errors import WeightsRefused

Names = dict[str, tuple[str, tuple[int, ...]]]
"""A component's tensors: by the name that each gets, the name that it had, and the shape that it gets."""

_CONVERTERS: Final[dict[str, Any]] = {
    "unet": convert_ldm_unet_checkpoint,
    "vae": convert_ldm_vae_checkpoint,
    "text_encoder": lambda checkpoint, _config: convert_ldm_clip_checkpoint(checkpoint),
}
_BUFFERS: Final = ("position_ids",)
"""Tensors that weights of 2022 hold and that today's classes make themselves."""


def convert(tensors: Mapping[str, Tensor], component: str, config: Mapping[str, Any]) -> Names:
    """Which tensor of a checkpoint becomes which of a component ("unet", "vae", "text_encoder").

    `config` is the component's config.json. Raises WeightsRefused where diffusers' function cannot make sense of them.
    """
    empty = {name: torch.empty(tensor.shape, device="meta") for name, tensor in tensors.items()}
    names = {id(tensor): name for name, tensor in empty.items()}
    level = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()  # it warns of averaged weights (model_ema), which are left out
    try:
        made = _CONVERTERS[component](dict(empty), dict(config))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise WeightsRefused(
            f"The tensors of the {component} should be those of {config.get('_class_name', 'its class')} and cannot be "
            f"converted ({error}).",
        ) from error
    finally:
        diffusers_logging.set_verbosity(level)
    found: Names = {}
    for name, tensor in made.items():
        if tensor is None or name.endswith(_BUFFERS):
            continue
        origin = tensor if id(tensor) in names else tensor._base  # a view where an axis of length one was dropped
        assert origin is not None and origin.numel() == tensor.numel(), f"{name} is no tensor of the checkpoint"
        found[present(component, name)] = names[id(origin)], tuple(tensor.shape)
    return found


def keep(tensors: Mapping[str, Tensor], component: str) -> Names:
    """The same for tensors that have diffusers' names already; those that changed since 2022 get today's."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(_BUFFERS)}
    return {present(component, name): (name, tensor.shape) for name, tensor in kept.items()}


def refuse_other_tensors(component: str, config: Mapping[str, Any], found: Names, where: str, hint: str = "") -> None:
    """Raise WeightsRefused where `found` are not the tensors that the component's class has.

    They lie in `where`, and `hint` says what to do. `config` is the component's config.json with a `_class_name`. A
    text encoder may have more than its class, which leaves that.
    """
    wanted = _wanted(component, config)
    there = {name: tuple(shape) for name, (_, shape) in found.items()}
    for name in sorted(wanted.keys() if component == "text_encoder" else wanted.keys() | there.keys()):
        if there.get(name) != wanted.get(name):
            expected = f"there of the shape {wanted[name]}" if name in wanted else "absent"
            said = f"is there of the shape {there[name]}" if name in there else "is missing"
            raise WeightsRefused(
                f"The tensor {name} of the {component} in {where} should be {expected}, for the form that its "
                f"configuration describes, and {said}.",
                hint=hint or None,
            )


def present(component: str, name: str) -> str:
    """A tensor's name as files of today have it, whoever wrote it."""
    if component != "text_encoder":
        return present_name(name)
    return name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}"


def _wanted(component: str, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """{name: shape} of what the component's class has."""
    with torch.device("meta"):
        if component == "text_encoder":
            model: Any = CLIPTextModel(CLIPTextConfig.from_dict(dict(config)))
        else:
            model = model_class(str(config["_class_name"])).from_config(dict(config))
    found = {present(component, name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return {name: shape for name, shape in found.items() if not name.endswith(_BUFFERS)}
