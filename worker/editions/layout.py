"""Which files of a folder or a repository in diffusers' layout make an edition, of whatever variant and shards.

May import worker.errors and editions.weights; never torch.

`fp16` is a variant: the same numbers in another precision, beside the plain ones or instead of them. Its name stands in
the names of files: `model.fp16.safetensors`, and of the index of shards `model.safetensors.index.fp16.json`. The press
knows plain names only, so each file that is chosen has the name that it has there and the one that it gets here.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from worker.editions.weights import COMPONENTS, PICKLES, PREPROCESSOR, TOKENIZER_FILES, weights_name
from worker.errors import InputRefused, WeightsRefused

PIPELINES: Final = {
    "StableDiffusionXL": "Stable Diffusion XL, which reads other keys: embeddings of 2048 numbers",
    "StableDiffusion3": "Stable Diffusion 3, which reads other keys",
    "Flux": "Flux, which reads other keys",
    "StableDiffusionInpaint": "a model for inpainting, whose U-Net takes 9 channels",
    "StableDiffusionInstructPix2Pix": "a model that edits pictures (InstructPix2Pix), whose U-Net takes 8 channels",
}
"""What other pipelines are called at the beginning of `_class_name` in model_index.json, and what they are."""

_SIGNS: Final = {
    "text_encoder_2/": PIPELINES["StableDiffusionXL"],
    "transformer/": "a model with a transformer (Stable Diffusion 3, Flux …), which reads other keys",
    "pytorch_lora_weights.": "a LoRA, which changes a model and is none",
}
"""How the names of files begin that other models have and Stable Diffusion 1.x has not."""
_SHARD: Final = r"-\d{5}-of-\d{5}"


@dataclass(frozen=True)
class Chosen:
    """The files of an edition: by the name that they get here, the name that they have there."""

    files: dict[str, str]
    variant: str | None
    """The variant that was taken where there was one to take, such as "fp16"."""


def choose(names: Collection[str], variant: str | None, where: str) -> Chosen:
    """The files that an edition needs out of all `names` (with slashes) of a folder or a repository, `where`.

    Without a `variant` plain files are taken, and one variant where it is the only one. Raises WeightsRefused where the
    layout is another or only pickles are there, InputRefused where there is no such variant, or several to choose from.
    """
    for sign, what in _SIGNS.items():
        if any(name.startswith(sign) for name in names):
            raise WeightsRefused(f"{where} should hold Stable Diffusion 1.x and holds {what}.")
    if not any(name in names for name in ("model_index.json", "unet/config.json")):
        raise WeightsRefused(
            f"{where} should hold a model in diffusers' layout (unet/config.json …) and holds {_some(names)}.",
            hint="Name a single checkpoint by its file: `add_edition NAME FILE.safetensors`.",
        )
    require_configuration(names, where)
    components = [*COMPONENTS, *(["safety_checker"] if _has_checker(names) else [])]
    files: dict[str, str] = {}
    taken: set[str] = set()
    for component in components:
        found = {key: dict(_weights(names, component, key)) for key in _variants(names, component)}
        wanted = variant if variant in found else None
        if wanted is None and None not in found:
            if not found:
                raise _no_weights(names, component, where)
            if len(found) > 1:
                several = ", ".join(sorted(filter(None, found)))
                raise InputRefused(
                    f"{where} has the variants {several} of {component} and no plain one; add --variant."
                )
            (wanted,) = found
        files |= {f"{component}/config.json": f"{component}/config.json"} | found[wanted]
        taken |= {wanted} if wanted else set()
    if variant is not None and variant not in taken:
        raise InputRefused(f"{where} should have files of the variant {variant} and has none.")
    small = ["model_index.json", "scheduler/scheduler_config.json", *(f"tokenizer/{name}" for name in TOKENIZER_FILES)]
    files |= {name: name for name in (*small, PREPROCESSOR) if name in names}
    if "safety_checker" not in components:
        files.pop(PREPROCESSOR, None)
    return Chosen(files, next(iter(sorted(taken)), None))


def require_configuration(names: Collection[str], where: str) -> None:
    """Raise WeightsRefused where the small files that say what a model is are not among `names`."""
    wanted = [f"{component}/config.json" for component in COMPONENTS] + ["scheduler/scheduler_config.json"]
    if "tokenizer/tokenizer.json" not in names:
        wanted += ["tokenizer/vocab.json", "tokenizer/merges.txt"]
    for name in wanted:
        if name not in names:
            raise WeightsRefused(f"{where} should hold {name} and does not.")


def refuse_other_pipelines(folder: Path, where: str) -> None:
    """Raise WeightsRefused, by name, where the small files in `folder` are those of another model, or of a part.

    `where` is what a person calls the folder.
    """
    named = str(_read(folder / "model_index.json").get("_class_name", ""))
    other = next((what for begin, what in PIPELINES.items() if named.startswith(begin)), None)
    unet = _read(folder / "unet" / "config.json")
    alone = str(_read(folder / "config.json").get("_class_name", ""))  # of a folder that is one network
    if other is None and "ControlNet" in alone + str(unet.get("_class_name", "")):
        other = "a ControlNet, which steers a model and is none"
    elif other is None and not unet and alone:
        other = f"one network alone ({alone[:40]}), where U-Net, VAE and text encoder are wanted"
    if other is None and unet.get("cross_attention_dim") in (1024, 2048):
        name = {1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL"}[unet["cross_attention_dim"]]
        other = f"{name}, which reads other keys: embeddings of {unet['cross_attention_dim']} numbers"
    if other is None and unet.get("in_channels") in (8, 9):
        what = {9: "a model for inpainting", 8: "a model that edits pictures (InstructPix2Pix)"}[unet["in_channels"]]
        other = f"{what}, whose U-Net takes {unet['in_channels']} channels"
    if other:
        raise WeightsRefused(f"{where} should hold Stable Diffusion 1.x and holds {other}.")


def names_in(folder: Path) -> list[str]:
    """The files of a folder and of the folders in it, with slashes: as much as `choose` wants to know."""
    return sorted(
        str(path.relative_to(folder).as_posix()) for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file()
    )


def licence_of(folder: Path) -> str | None:
    """The licence that a folder's README.md names in its front matter, as model cards do; None where it names none."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")[:20_000]
    except (OSError, ValueError):
        return None
    front = text.split("---")[1] if text.startswith("---") and text.count("---") > 1 else ""
    found = re.search(r"^license:[ \t]*[\"']?([\w.+-]+)", front, re.MULTILINE)
    return found[1] if found else None


def _weights(names: Collection[str], component: str, variant: str | None) -> Iterator[tuple[str, str]]:
    """The files of one variant of a component's weights: (name here, name there); the whole file before shards."""
    stem = weights_name(component).removesuffix(".safetensors")
    middle = f".{variant}" if variant else ""
    whole, index = f"{stem}{middle}.safetensors", f"{stem}.safetensors.index{middle}.json"
    if f"{component}/{whole}" in names:
        yield f"{component}/{stem}.safetensors", f"{component}/{whole}"
    elif f"{component}/{index}" in names:
        yield f"{component}/{stem}.safetensors.index.json", f"{component}/{index}"
        dot = re.escape(middle)
        shard = re.compile(rf"{component}/{stem}(?:{dot}{_SHARD}|{_SHARD}{dot})\.safetensors")
        yield from ((name, name) for name in sorted(names) if shard.fullmatch(name))


def _variants(names: Collection[str], component: str) -> set[str | None]:
    """The variants of a component's weights that are whole or have an index; None is the plain one."""
    stem = weights_name(component).removesuffix(".safetensors")
    pattern = re.compile(
        rf"{component}/{stem}(?:(?:\.(?P<whole>[A-Za-z0-9_]+))?\.safetensors"
        rf"|\.safetensors\.index(?:\.(?P<index>[A-Za-z0-9_]+))?\.json)"
    )
    return {found["whole"] or found["index"] for name in names if (found := pattern.fullmatch(name))}


def _has_checker(names: Collection[str]) -> bool:
    """Whether a safety checker is there as the press reads it: one with pickles alone is left out."""
    wanted = {"safety_checker/config.json", PREPROCESSOR}
    return wanted <= set(names) and any(
        next(_weights(names, "safety_checker", key), ("", ""))[0].endswith("/model.safetensors")
        for key in _variants(names, "safety_checker")
    )


def _no_weights(names: Collection[str], component: str, where: str) -> WeightsRefused:
    """What is said of a component without safetensors."""
    there = [name for name in sorted(names) if name.startswith(f"{component}/")]
    pickled = next((name for name in there if name.endswith(PICKLES)), None)
    expected = f"{component}/{weights_name(component)}"
    if pickled:
        return WeightsRefused(
            f"{where} should hold {expected} and holds {pickled}, a pickle, which is never loaded.",
            hint="Convert it to safetensors on a machine that you can lose.",
        )
    return WeightsRefused(f"{where} should hold {expected} and holds {_some(there)} of it.")


def _some(names: Collection[str]) -> str:
    shown = [name for name in sorted(names) if not name.startswith(".")]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "") if shown else "nothing"


def _read(path: Path) -> dict[str, Any]:
    """A small JSON object; empty where there is none, as `check_weights` says later what is wrong with it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
