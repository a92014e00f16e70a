"""One batch of one edition: determinism, the engine, the pipeline as it ships and compiled (torch, diffusers)."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from worker.catalogue.expansion import page_latents
from worker.catalogue.key import Key
from worker.editions.edition import Edition
from worker.engine.device import choose_precision
from worker.engine.engine import Engine
from worker.engine.networks.autoencoder import PocketAutoencoder

PROMPTS = ("a dog on a beach", "a cat in the snow", "a red car on a road", "a house in the mountains")
ROUNDS, ENOUGH = 3, 8.0  # runs that are timed, and seconds after which fewer will do
KNOWN = (PocketAutoencoder,)
"""Classes that a pipeline's folder may name; diffusers finds only those that somebody has imported."""


def measure(edition: Edition, size: str, batch: int, asked: argparse.Namespace, left: Callable[[], float]) -> int:
    """One batch of one edition: determinism, the engine, the pipeline; returns how many bytes differed."""
    name, device = f"{size}, batch {batch}", asked.device
    ours = _measure_engine(edition, name, batch, device, asked.steps)
    _tidy(device)
    if left() > 0:
        _measure_pipeline(edition, name, ours, batch in asked.compiled, left)
        _tidy(device)
    return ours.differed


@dataclasses.dataclass(frozen=True)
class Ours:
    """What the engine gave: seconds of a run, bytes that differed, and what the pipeline is given too."""

    seconds: float
    differed: int
    keys: list[Key]
    empty: np.ndarray
    dtype: torch.dtype
    device: str


def _measure_engine(edition: Edition, name: str, batch: int, device: str, steps: int) -> Ours:
    engine = Engine(edition, device=device, batch=batch)
    keys = [
        Key.pack(steps, engine.embed(PROMPTS[i % len(PROMPTS)]), page_latents("prompt", "gpu", i + 1))
        for i in range(batch)
    ]
    first = [page.pixels for page in engine.print_pages(keys)]
    again = [page.pixels for page in engine.print_pages(keys)]
    alone = engine.print_page(keys[-1]).pixels
    twice = sum(int((a != b).sum()) for a, b in zip(first, again, strict=True))
    beside = int((alone != first[-1]).sum())
    print(f"{name}: {twice} bytes differ between two prints, {beside} alone and among others", flush=True)
    seconds = _timed(lambda: engine.print_pages(keys), device)
    _say(f"{name}: engine, {engine.rendition.precision}", seconds, batch)
    dtype = choose_precision(edition, engine.device)
    return Ours(seconds, twice + beside, keys, engine.embed(""), dtype, device)


def _measure_pipeline(edition: Edition, name: str, ours: Ours, compiled: bool, left: Callable[[], float]) -> None:
    pipeline, batch = _pipeline(edition, ours.dtype, ours.device), len(ours.keys)

    def run() -> None:
        _run(pipeline, ours.keys, ours.empty, edition)

    with _as_shipped():
        _say(f"{name}: pipeline as it ships", _timed(run, ours.device), batch, ours.seconds)
        if compiled and left() > 0:
            pipeline.unet = torch.compile(pipeline.unet, dynamic=False)
            began = time.monotonic()
            run()
            took = time.monotonic() - began
            _say(f"{name}: pipeline compiled in {took:.0f} s", _timed(run, ours.device), batch, ours.seconds)


def _timed(run: Callable[[], Any], device: str) -> float:
    """Median seconds of a run, after one that is not counted."""
    times: list[float] = []
    for number in range(ROUNDS + 1):
        began = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        if number:
            times.append(time.perf_counter() - began)
        if sum(times) > ENOUGH:
            break
    return float(np.median(times))


def _say(name: str, seconds: float, batch: int, ours: float | None = None) -> None:
    """One line of the table; `ours` is the engine's time for the same pages."""
    ratio = f", the engine takes {ours / seconds:.2f} of it" if ours else ""
    print(f"{name}: {1000 * seconds:.0f} ms a run, {batch / seconds:.2f} pages a second{ratio}", flush=True)


def _pipeline(edition: Edition, dtype: torch.dtype, device: str) -> Any:
    """StableDiffusionPipeline on the same weights, precision and solver."""
    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
        logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about themselves
        pipeline: Any = StableDiffusionPipeline.from_pretrained(
            str(edition.weights), torch_dtype=dtype, safety_checker=None, local_files_only=True
        )
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _run(pipeline: Any, keys: list[Key], empty: np.ndarray, edition: Edition) -> None:
    """The pipeline from the keys' embeddings and latents to pictures."""
    dtype, device = pipeline.unet.dtype, pipeline.device
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline(
            prompt_embeds=torch.from_numpy(np.stack([key.embedding for key in keys])).to(device, dtype),
            negative_prompt_embeds=torch.from_numpy(np.stack([empty] * len(keys))).to(device, dtype),
            latents=torch.from_numpy(np.stack([key.latents for key in keys])).to(device, dtype),
            guidance_scale=edition.guidance,
            num_inference_steps=keys[0].steps,
            output_type="np",
        )


@contextlib.contextmanager
def _as_shipped() -> Iterator[None]:
    """Within it torch's switches stand as it ships them: the pipeline has not asked for an engine's determinism."""
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.allow_tf32
    torch.use_deterministic_algorithms(False)
    cudnn.deterministic, cudnn.allow_tf32 = False, True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        cudnn.deterministic, cudnn.allow_tf32 = before[1:]


def _tidy(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
