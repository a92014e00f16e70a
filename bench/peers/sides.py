"""The press and the pipeline of diffusers, as its makers ship it, on the same weights; what runs them for the bench.

May import worker.*, torch and diffusers.
"""

import dataclasses
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from babelia import settings
from worker.catalogue.key import Key
from worker.editions.edition import Edition, load_edition
from worker.engine.engine import Engine
from worker.engine.networks.autoencoder import PocketAutoencoder

Say = Callable[[str], None]
"""Tells somebody who waits what is going on."""
ROOT = Path(__file__).resolve().parent.parent.parent
SOLVERS = {"ddim": DDIMScheduler, "dpm-solver++": DPMSolverMultistepScheduler}
KNOWN = (PocketAutoencoder,)
"""Classes that a pipeline's folder may name; diffusers finds only those that somebody has imported."""


def data_folder() -> Path:
    """The data directory: BABELIA_DATA, or `data` in the project."""
    return settings.DATA_DIR


def edition_over(slug: str, weights: Path | None, precision: str | None = None) -> Edition:
    """A shipped edition, its weights those of another folder and its precision on the CPU another, where given."""
    edition = load_edition(slug, data_folder())
    if weights is not None:
        edition = dataclasses.replace(edition, weights=weights, hub=None, digest=None, safety_checker=False)
    if precision is not None:
        edition = dataclasses.replace(edition, precision={"cpu": precision})
    return edition


def quiet() -> None:
    """Keep what diffusers and transformers say about themselves, and their progress bars, out of the output."""
    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
        logging.set_verbosity_error()


def load_pipeline(edition: Edition, dtype: torch.dtype, channels_last: bool) -> Any:
    """`StableDiffusionPipeline` on the edition's weights with the edition's solver, on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about themselves
        pipeline: Any = StableDiffusionPipeline.from_pretrained(
            str(edition.weights), torch_dtype=dtype, safety_checker=None, local_files_only=True
        )
    pipeline.scheduler = SOLVERS[edition.solver].from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    if channels_last:
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
    return pipeline


@contextmanager
def as_shipped() -> Iterator[None]:
    """Within it torch's switches stand as it ships them: the pipeline has not asked for an engine's determinism."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    of_onednn = torch.backends.mkldnn.deterministic
    torch.use_deterministic_algorithms(False)
    torch.backends.mkldnn.deterministic = False  # type: ignore[assignment]  # torch types its property by its setter
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.mkldnn.deterministic = of_onednn


def run_pipeline(pipeline: Any, key: Key, empty: np.ndarray, guidance: float, steps: int, kind: str) -> list[float]:
    """Run the pipeline from a key's embedding and latents; the seconds between its steps. `kind`: "latent" or "np"."""
    times: list[float] = []

    def note(*step: Any) -> Any:
        times.append(time.perf_counter())
        return step[-1]

    dtype = pipeline.unet.dtype
    with as_shipped(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline(
            prompt_embeds=torch.from_numpy(key.embedding.astype(np.float32))[None].to(dtype),  # (1, 77, 768)
            negative_prompt_embeds=torch.from_numpy(empty.astype(np.float32))[None].to(dtype),
            latents=torch.from_numpy(key.latents.astype(np.float32))[None].to(dtype),  # (1, 4, 52, 80)
            guidance_scale=guidance,
            num_inference_steps=steps,
            callback_on_step_end=note,
            output_type=kind,
        )
    return [after - before for before, after in itertools.pairwise(times)]


def run_press(engine: Engine, key: Key, steps: int) -> list[float]:
    """Run the press's loop from a key; the seconds between its steps."""
    times = [time.perf_counter() for _ in engine.run([key], steps=steps)]
    return [after - before for before, after in itertools.pairwise(times)]
