"""Writes the weights of a run as an edition: diffusers layout, fp16 safetensors, lexicon (torch, diffusers)."""

from __future__ import annotations

import copy
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray

from training.configs import FIXED, SCHEDULER, TEXT_LAYERS, UNET
from training.errors import TrainingError
from training.runs import write_gzip
from training.scenes.backdrops.setting import COLOURS, WALLS
from training.scenes.captions import with_article
from training.scenes.sprites import SpritePack
from worker.editions.weights import weights_digest
from worker.editions.words import FILE
from worker.engine.networks.autoencoder import PocketAutoencoder
from worker.engine.networks.text_encoder import GENERAL
from worker.engine.preview import fit_preview

FILE_LIMIT, TOTAL_LIMIT = 15_000_000, 40_000_000  # bytes: what a repository carries without pain


def new_unet() -> Any:
    """The untrained U-Net: 6.3 million parameters, attention at a quarter of the latents' resolution only.

    Attention at half of it, over 1,040 places, took half of the time of a training step (7.9 pages a second on a core
    with AVX512-BF16, with it and 32/64/128 channels; 11.8 without it and with 48/96/144).
    """
    unet = UNet2DConditionModel(**UNET)
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if name.endswith(TEXT_LAYERS):
                weight[:, [place for place, _ in FIXED]] = 0
    return unet


def write_weights(folder: Path, unet: Any, vae: PocketAutoencoder, encoder: Any, tokenizer: Path) -> int:
    """Writes all components in fp16 beside `folder` and moves them in; returns the bytes of the safetensors."""
    beside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        for name, model in (("unet", unet), ("vae", vae), ("text_encoder", encoder)):
            half = copy.deepcopy(model).to("cpu", torch.float16, memory_format=torch.contiguous_format)
            half.save_pretrained(beside / name, safe_serialization=True, max_shard_size="14MB")
        shutil.copytree(tokenizer, beside / "tokenizer")
        (beside / "scheduler").mkdir()
        _json(beside / "scheduler" / "scheduler_config.json", SCHEDULER | {"_diffusers_version": diffusers.__version__})
        index = {
            "_class_name": "StableDiffusionPipeline",
            "_diffusers_version": diffusers.__version__,
            "vae": ["worker.engine.networks.autoencoder", "PocketAutoencoder"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", class_of(tokenizer)],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "safety_checker": [None, None],
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "requires_safety_checker": False,
        }
        _json(beside / "model_index.json", index)
        for config in beside.glob("*/config.json"):
            facts = json.loads(config.read_text())
            facts.pop("_name_or_path", None)
            _json(config, facts)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise TrainingError(
            f"The weights could not be written to {folder}: {error}.", "What was there before is untouched: make room."
        ) from error
    sizes = [f.stat().st_size for f in beside.rglob("*.safetensors")]
    if max(sizes) > FILE_LIMIT or sum(sizes) > TOTAL_LIMIT:
        raise TrainingError(f"The weights are too large to ship: {sorted(sizes)} bytes.", "Make the U-Net smaller.")
    folder.mkdir(parents=True, exist_ok=True)
    for part in sorted(beside.iterdir()):
        target = folder / part.name
        if target.is_dir():
            shutil.rmtree(target)
        part.replace(target)
    beside.rmdir()
    return sum(sizes)


def class_of(tokenizer: Path) -> str:
    """The class that a tokenizer's folder names for itself."""
    config = json.loads((tokenizer / "tokenizer_config.json").read_text(encoding="utf-8"))
    return str(config["tokenizer_class"])


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


# -- the lexicon: phrases that short keys are made of -----------------------------------------------------------------


def lexicon(pack: SpritePack) -> dict[str, list[str]]:
    """Subjects and settings of which a short key's two phrases are made, each within what the edition knows.

    Only outdoors has a sky: no picture that the edition was trained on shows a room, a plain colour or space by day.
    """
    subjects: list[str] = []
    for subject in pack.subjects():
        always_many = subject.plural == subject.name and subject.name.endswith("s")
        subjects.append(subject.name if always_many else with_article(subject.name))
        if subject.hues:
            subjects += [with_article(f"{hue} {subject.name}") for hue in ("blue", "yellow", "green")]
        else:
            subjects.append(f"two {subject.plural}")
    outdoors = (
        "on a meadow", "in the grass", "in the desert", "in the snow", "in the sea", "on a beach", "in a forest",
        "in the mountains", "in the city", "on a road",
    )  # fmt: skip
    skies = ("", " at dawn", " at sunset", " at night", " in a storm", " on a cloudy day")
    settings = [where + sky for where in outdoors for sky in skies]
    settings.append("in space")
    settings += [f"in {with_article(wall)} room" for wall in WALLS]
    settings += [f"on {with_article(colour)} background" for colour in COLOURS]
    return {"subjects": subjects, "settings": settings, "styles": [""]}


def write_lexicon(path: Path, pack: SpritePack) -> None:
    """lexicon.toml, in the format of worker.editions.edition."""
    lines = [
        "# The phrases of which the short keys of pocket-1 are made: subject, setting and style, joined by spaces.",
        "# The order counts: a change here changes what short keys open. Written by `python -m training ship`.",
    ]
    for name, phrases in lexicon(pack).items():
        lines += [f"{name} = [", *(f'  "{phrase}",' for phrase in phrases), "]"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


# -- what edition.toml says of the weights ----------------------------------------------------------------------------


@torch.no_grad()
def write_facts(path: Path, vae: PocketAutoencoder, pages: NDArray[np.uint8]) -> None:
    """Writes digest and preview into an edition.toml, from its table [weights] on; the rest of it stays as it is.

    `pages` (B, 416, 640, 3) are scenes to fit the preview to (worker.engine.preview).
    """
    latents = [
        vae.encode(torch.from_numpy(page).permute(2, 0, 1)[None].float() / 127.5 - 1).latents  # type: ignore[union-attr]
        for page in pages
    ]
    matrix = fit_preview(torch.cat(latents).float().numpy(), pages)
    rows = [", ".join(f"{value:.4f}" for value in row) for row in (*matrix.matrix, matrix.bias)]
    by_hand, _, _ = path.read_text(encoding="utf-8").partition("[weights]\n")
    tail = [
        "[weights]",
        'model = "."',
        f'digest = "{weights_digest(path.parent)}"',
        "",
        "# Fitted to scenes by `python -m training ship`, as is the digest.",
        "[preview]",
        "matrix = [",
        *(f"  [{row}]," for row in rows[:4]),
        "]",
        f"bias = [{rows[4]}]",
    ]
    path.write_text(by_hand + "\n".join(tail) + "\n", encoding="utf-8")
    restamp(path.parent)


def restamp(edition: Path) -> None:
    """Say of an edition's table of words that it is true of these weights, where their tokenizer is that table."""
    words, digest = edition / FILE, weights_digest(edition)
    if words.is_file() and class_of(edition / "tokenizer") == GENERAL:
        _, _, rows = gzip.decompress(words.read_bytes()).partition(b"\n")
        write_gzip(words, f"# {digest}\n".encode() + rows)
