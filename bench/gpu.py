"""`python -m bench.gpu`: the press's engine on a GPU against the pipeline of diffusers, by the clock (docs/gpu.md).

Prints each line as soon as it is measured, and stops when the time is over. May import worker.*, bench.random_weights,
torch and diffusers.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from bench import random_weights
from worker.catalogue.expansion import page_latents
from worker.catalogue.key import Key
from worker.editions.edition import Edition, load_edition
from worker.engine.device import choose_precision, device_name
from worker.engine.engine import Engine
from worker.engine.networks.autoencoder import PocketAutoencoder

PROMPTS = ("a dog on a beach", "a cat in the snow", "a red car on a road", "a house in the mountains")
ROUNDS, ENOUGH = 3, 8.0  # runs that are timed, and seconds after which fewer will do
KNOWN = (PocketAutoencoder,)
"""Classes that a pipeline's folder may name; diffusers finds only those that somebody has imported."""


def main(arguments: list[str] | None = None) -> int:
    """Measures until the time is over; returns 1 where a byte differed that should not."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=330.0, help="when to stop (330)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 2, 8], help="in this order (1 4 16 2 8)")
    parser.add_argument("--compiled", type=int, nargs="*", default=[1, 16], help="batches to compile for (1 16)")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sizes", choices=["pocket", "sd"], nargs="+", default=["pocket", "sd"])
    asked = parser.parse_args(arguments)
    if asked.device == "cuda" and not torch.cuda.is_available():
        print("bench.gpu needs a GPU, and torch sees none.", file=sys.stderr)
        return 2
    print(
        f"{device_name(torch.device(asked.device))}, torch {torch.__version__}, {asked.steps} steps, decoding included"
    )

    def left() -> float:
        return began + float(asked.seconds) - time.monotonic()

    differed = 0
    with tempfile.TemporaryDirectory() as folder:
        for size in asked.sizes:
            if left() < 0:
                break
            edition = _edition(size, Path(folder))
            for batch in asked.batches:
                if left() < 0:
                    break
                differed += _measure(edition, size, batch, asked, left)
    print("every byte as it should be" if not differed else f"{differed} bytes differ", flush=True)
    return 1 if differed else 0


def _edition(size: str, folder: Path) -> Edition:
    """pocket-1 as it ships, or SD 1.5 over random weights."""
    if size == "pocket":
        return load_edition("pocket-1", folder)
    weights = random_weights.write(folder / "sd", say=lambda _: None)
    edition = load_edition("sd-1.5", folder)
    return dataclasses.replace(edition, weights=weights, hub=None, digest=None, safety_checker=False)


def _measure(edition: Edition, size: str, batch: int, asked: argparse.Namespace, left: Callable[[], float]) -> int:
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


if __name__ == "__main__":
    sys.exit(main())
