"""Makes an edition of weights that came back: the averaged U-Net beside the parts it was trained with (diffusers)."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from training import export, runs
from training.configs import UNET
from training.errors import TrainingError
from training.plans import QuarterPlan
from training.quarter_hour import averages
from training.scenes.sprites import open_pack
from training.trainers.autoencoder import page_of_seed
from worker.editions.words import FILE
from worker.engine.networks.autoencoder import PocketAutoencoder


def unet_of(plan: QuarterPlan, weights: dict[str, torch.Tensor]) -> Any:
    """diffusers' U-Net of a plan with these weights; TrainingError where they are of another plan."""
    unet = UNet2DConditionModel(**config_of(plan))
    runs.fit(unet, weights, "that came back")
    return unet


def config_of(plan: QuarterPlan) -> dict[str, Any]:
    """The configuration of a plan's U-Net."""
    return UNET | {
        "block_out_channels": list(plan.channels), "layers_per_block": plan.layers, "attention_head_dim": plan.heads,
    }  # fmt: skip


def bring(plan: QuarterPlan, output: Path, width: float | None, shipped: Path, edition: Path) -> int:
    """Writes `edition` from the averages in `output`; returns the bytes of the weights.

    Autoencoder, text encoder, tokenizer and all that is written by hand come from `shipped`, which may be `edition`.
    """
    if not output.is_dir():
        raise TrainingError(f"There is no folder {output}.", "Name the one that the files came back to.")
    averages.finish(output)
    weights, facts = averages.load(output, width)
    unet = unet_of(plan, weights)
    parts: dict[str, Any] = {"vae": PocketAutoencoder, "text_encoder": CLIPTextModel}
    loaded = {
        name: kind.from_pretrained(str(shipped / name), torch_dtype=torch.float32, local_files_only=True)
        for name, kind in parts.items()
    }
    tokenizer = shipped / "tokenizer"
    size = export.write_weights(edition, unet, loaded["vae"], loaded["text_encoder"], tokenizer)
    if edition.resolve() != shipped.resolve():
        for name in ("edition.toml", "lexicon.toml", FILE):
            shutil.copyfile(shipped / name, edition / name)
    pages = [page_of_seed(open_pack(), seed) for seed in range(8)]
    export.write_facts(edition / "edition.toml", loaded["vae"], np.stack(pages))
    about = {
        "preset": plan.name, "progress": {"steps": int(facts["step"])}, "average": facts["average"],
        "shipped": time.strftime("%Y-%m-%d"),
    }  # fmt: skip
    (edition / "training.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return size
