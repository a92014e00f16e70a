"""What is due: reads how far a run has come, runs the next stage, and ships what it gave (torch; all of training)."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from training import export, runs
from training.errors import TrainingError
from training.presets import Preset
from training.scenes.sprites import SpritePack, open_pack
from training.trainers import autoencoder as train_autoencoder
from training.trainers import text_encoder as text
from training.trainers import unet as train_unet
from training.trainers.autoencoder import page_of_seed
from worker.engine.networks.autoencoder import PocketAutoencoder
from worker.engine.networks.text_encoder import open_tokenizer

HERE = Path(__file__).parent
RUNS = HERE / "runs"
EDITION = HERE.parent / "editions" / "pocket-1"


@dataclass
class Run:
    """One preset in one folder. `edition` is what it goes on from where the folder is empty, and where it ships to."""

    preset: Preset
    folder: Path
    edition: Path | None
    pack: SpritePack

    @property
    def shipped(self) -> dict[str, Any]:
        """What the edition says of its own training: {"preset", "progress", "shipped"}; empty where there is none."""
        path = self.edition / "training.json" if self.edition else None
        if path is None or not path.exists():
            return {}
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts if facts.get("preset") == self.preset.name else {}

    @property
    def progress(self) -> dict[str, int]:
        """Steps done of every stage: what the folder says, and what the edition says of parts that it lacks."""
        progress: dict[str, int] = dict(self.shipped.get("progress", {}))
        for stage in ("autoencoder", "text", "decoder"):
            if (state := runs.load(self.folder / f"{stage}.pt")) is not None:
                if stage == "autoencoder":
                    progress.pop("decoder", None)  # the edition's is of another autoencoder
                progress[stage] = int(state["step"])
        if (state := runs.load(self.folder / "unet.pt")) is not None:
            progress = {stage: n for stage, n in progress.items() if stage not in self._of_the_unet}
            progress |= state["progress"]
        return progress

    @property
    def _of_the_unet(self) -> set[str]:
        return {plan.name for plan in self.preset.unet}

    def steps_of(self, stage: str) -> int:
        """How many steps a stage has in all."""
        preset = self.preset
        plans: dict[str, Any] = {"autoencoder": preset.autoencoder, "text": preset.text, "decoder": preset.decoder}
        plans |= {plan.name: plan for plan in preset.unet}
        return int(plans[stage].steps)

    @property
    def due(self) -> str | None:
        """The first stage that is not done, or None."""
        progress = self.progress
        return next((s for s in self.preset.stages if progress.get(s, 0) < self.steps_of(s)), None)

    # -- the parts, from the folder or else from the edition ---------------------------------------------------------

    def vae(self) -> PocketAutoencoder:
        """The autoencoder, decoder as far as it is trained."""
        vae: PocketAutoencoder = PocketAutoencoder()
        for file in ("decoder.pt", "autoencoder.pt"):
            if (state := runs.load(self.folder / file)) is not None:
                runs.fit(vae, state["model"], str(self.folder / file))
                return vae
        shipped: PocketAutoencoder = self._shipped_part("vae", PocketAutoencoder)
        return shipped

    def encoder(self) -> tuple[Any, Any]:
        """The text encoder and its tokenizer."""
        folder = self.folder / "tokenizer"
        if (state := runs.load(self.folder / "text.pt")) is not None:
            tokenizer = open_tokenizer(folder)
            encoder = text.new_encoder(tokenizer)
            runs.fit(encoder, state["encoder"], str(self.folder / "text.pt"))
            return encoder, tokenizer
        encoder = self._shipped_part("text_encoder", CLIPTextModel)
        assert self.edition is not None
        return encoder, open_tokenizer(self.edition / "tokenizer")

    def unet(self) -> Any:
        """The U-Net with averaged weights."""
        if (state := runs.load(self.folder / "unet.pt")) is not None:
            unet = export.new_unet()
            runs.fit(unet, state["average"], str(self.folder / "unet.pt"))
            return unet
        return self._shipped_part("unet", UNet2DConditionModel)

    def _shipped_part(self, name: str, kind: Any) -> Any:
        if self.edition is None or not (self.edition / name / "config.json").exists():
            raise TrainingError(
                f"There is no {name} yet, neither in {self.folder} nor in the edition.", "Run the stages before."
            )
        return kind.from_pretrained(str(self.edition / name), torch_dtype=torch.float32, local_files_only=True)

    # -- running -----------------------------------------------------------------------------------------------------

    def run_next(self) -> str | None:
        """Runs the stage that is due to its end; returns its name, or None where all are done."""
        preset, stage = self.preset, self.due
        if stage is None:
            return None
        self._check_device()
        self.folder.mkdir(parents=True, exist_ok=True)
        if stage == "autoencoder":
            train_autoencoder.train(
                preset.autoencoder, self.pack, self.folder, preset.seed, preset.device, everything=preset.everything
            )
        elif stage == "decoder":
            assert preset.decoder is not None
            train_autoencoder.train(
                preset.decoder, self.pack, self.folder, preset.seed + 1, preset.device, self.vae(), preset.everything
            )
        elif stage == "text":
            text.train(preset.text, self.pack, self.folder, preset.seed, preset.device, preset.everything)
        else:
            plan = next(plan for plan in preset.unet if plan.name == stage)
            encoder, tokenizer = self.encoder()
            start = (
                None if (self.folder / "unet.pt").exists() or "crops" not in self.progress else self.unet().state_dict()
            )
            done = {name: n for name, n in self.progress.items() if name in self._of_the_unet}
            train_unet.train(
                plan, self.pack, self.folder, preset.seed, self.vae().to(preset.device), encoder.to(preset.device),
                tokenizer, start, done, preset.device, preset.workers, preset.everything,
            )  # fmt: skip
        return stage

    def _check_device(self) -> None:
        if self.preset.device == "cuda" and not torch.cuda.is_available():
            raise TrainingError(
                f"The preset {self.preset.name} needs a GPU, and torch sees none.", "Use the preset cpu."
            )

    def ship(self) -> int:
        """Writes weights, lexicon, training.json and their facts in edition.toml; returns the bytes of the weights."""
        if self.edition is None:
            raise TrainingError("This run has no edition to ship to.", "Name one with --edition.")
        encoder, _ = self.encoder()
        tokenizer = self.folder / "tokenizer"
        tokenizer = tokenizer if tokenizer.exists() else self.edition / "tokenizer"
        vae = self.vae()
        size = export.write_weights(self.edition, self.unet(), vae, encoder, tokenizer)
        export.write_lexicon(self.edition / "lexicon.toml", self.pack)
        if (self.edition / "edition.toml").exists():
            pages = [page_of_seed(self.pack, seed) for seed in range(8)]
            export.write_facts(self.edition / "edition.toml", vae, np.stack(pages))
        facts = {"preset": self.preset.name, "progress": self.progress, "shipped": time.strftime("%Y-%m-%d")}
        (self.edition / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        return size


def open_run(preset: Preset, folder: Path | None = None, edition: Path | None = None) -> Run:
    """The run of a preset, in training/runs/<preset>; the preset cpu goes on from the shipped edition."""
    if edition is None and preset.name == "cpu":
        edition = EDITION
    return Run(preset, folder or RUNS / preset.name, edition, open_pack())
