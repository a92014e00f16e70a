"""Steps, decoding, previews, whole and first pages: the press against the pipeline of diffusers, in turn.

May import bench.* and worker.*.
"""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import first_page
from bench.sides import as_shipped, edition_over, load_pipeline, run_pipeline, run_press
from bench.timing import Line, Times, clock, in_turn
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.engine.device import choose_precision
from worker.engine.engine import Engine

STEP_OF_BFLOAT16 = 0.80
STEP_OF_FLOAT32 = 0.50
DECODE = 0.85
PAGE_OF_POCKET = 0.50
PREVIEW = 0.02
PEAK = 5e9
Say = Callable[[str], None]


def measure_large(weights: Path, threads: int, rounds: int, say: Say) -> list[Line]:
    """The lines of a model of Stable Diffusion 1.5's size, in bfloat16 on the CPU."""
    edition = edition_over("sd-1.5", weights, "bfloat16")
    say("SD size: the press is loaded")
    engine = Engine(edition, device="cpu", threads=threads)
    key = engine.resolve(Address.parse("sd-1.5/prompt/a dog on a beach/1"))
    lines = []
    for dtype, channels_last, most in (
        (torch.bfloat16, True, STEP_OF_BFLOAT16),
        (torch.float32, False, STEP_OF_FLOAT32),
    ):
        name = "bf16 channels-last" if channels_last else "fp32"
        say(f"SD size: the pipeline in {name} is loaded")
        pipeline = load_pipeline(edition, dtype, channels_last)
        say(f"SD size: steps in turn with the pipeline in {name}")
        ours, other = _steps(engine, pipeline, key, rounds if channels_last else max(1, rounds - 1))
        lines.append(Line.of(f"SD size, a guided step (pipeline in {name})", ours, other, most))
        if channels_last:
            say("SD size: decoding in turn")
            lines.append(_decode(engine, pipeline, rounds))
            step = ours
        del pipeline
        gc.collect()
    lines.append(_preview("SD size", engine, key, step))
    del engine
    gc.collect()
    return lines


def measure_first_page(weights: Path, threads: int, rounds: int, say: Say) -> list[Line]:
    """The first page at SD size in processes of their own, start-up included, and the memory that it takes."""
    steps = 4
    found: dict[str, list[first_page.FirstPage]] = {"press": [], "pipeline": []}
    for _ in range(rounds):
        for side, pages in found.items():
            say(f"SD size: the {side}'s first page of {steps} steps, in a process of its own")
            pages.append(first_page.measure(side, "sd-1.5", weights, "bfloat16", steps, threads))
    ours, other = (Times(tuple(page.seconds for page in pages)) for pages in found.values())
    peak, peak_of_other = (max(page.peak for page in pages) for pages in found.values())
    return [
        Line.of(f"SD size, the first page ({steps} steps), start-up included (bf16)", ours, other, 1.0),
        Line(
            "SD size, peak memory, float64 text encoder included",
            f"{peak / 1e9:.2f} GB",
            f"{peak_of_other / 1e9:.2f} GB",
            f"{peak / peak_of_other:.2f}",
            f"≤ {PEAK / 1e9:.0f} GB",
            peak <= PEAK,
        ),
    ]


def measure_pocket(weights: Path | None, threads: int, rounds: int, steps: int, say: Say) -> list[Line]:
    """The lines of `pocket-1`: whole pages against the pipeline in float32, each with its own share of a preview."""
    edition = edition_over("pocket-1", weights)
    say("pocket size: both sides are loaded")
    engine = Engine(edition, device="cpu", threads=threads)
    key = engine.resolve(Address.parse("pocket-1/prompt/a dog on a beach/1"))
    pipeline = load_pipeline(edition, torch.float32, channels_last=False)
    empty = engine.embed("")
    say(f"pocket size: pages of {steps} steps in turn")
    ours, other = in_turn(
        lambda: engine.print_page(key, steps=steps),
        lambda: run_pipeline(pipeline, key, empty, edition.guidance, steps, "np"),
        rounds,
    )
    name = {torch.float32: "fp32", torch.bfloat16: "bf16"}[choose_precision(edition, torch.device("cpu"))]
    what = f"pocket size, a page of {steps} steps in {name} (pipeline in fp32)"
    step, _ = _steps(engine, pipeline, key, 1, steps)
    return [Line.of(what, ours, other, PAGE_OF_POCKET), _preview("pocket size", engine, key, step)]


def _steps(engine: Engine, pipeline: Any, key: Key, rounds: int, steps: int = 3) -> tuple[Times, Times]:
    """Times of single steps of both sides, from runs in turn; the first step of a run is not counted."""
    empty, guidance = engine.embed(""), engine.edition.guidance
    ours: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        ours += run_press(engine, key, steps)
        other += run_pipeline(pipeline, key, empty, guidance, steps, "latent")
    return Times(tuple(ours)), Times(tuple(other))


def _decode(engine: Engine, pipeline: Any, rounds: int) -> Line:
    """Latents to pixels, against the pipeline's VAE alone, without what it does to make a picture of its answer."""
    latents = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 4, 52, 80), np.float32))
    vae = pipeline.vae
    scaled = (latents / vae.config.scaling_factor).to(vae.dtype).contiguous(memory_format=torch.channels_last)

    def decode() -> None:
        with as_shipped(), torch.inference_mode():
            vae.decode(scaled, return_dict=False)

    ours, other = in_turn(lambda: engine.decode(latents), decode, rounds)
    return Line.of("SD size, decoding (pipeline in bf16 channels-last)", ours, other, DECODE)


def _preview(size: str, engine: Engine, key: Key, step: Times) -> Line:
    """A preview of a step against that step."""
    predicted = next(iter(engine.run([key], steps=2))).predicted
    engine.preview(predicted)
    ours = Times(tuple(clock(lambda: engine.preview(predicted)) for _ in range(15)))
    share = ours.median / step.median
    return Line(
        f"{size}, a preview of a step",
        ours.format(),
        f"the step, {step.format()}",
        f"{100 * share:.2f} %",
        f"≤ {100 * PREVIEW:.0f} %",
        share <= PREVIEW,
    )
