"""Whole pages of `pocket-1` and their previews: the press against the pipeline of diffusers, in turn.

May import bench.* and worker.*.
"""

from pathlib import Path

import torch

from bench.peers.sides import Say, edition_over, load_pipeline, run_pipeline, run_press
from bench.timing import Line, Times, clock, in_turn
from worker.catalogue.address import Address
from worker.engine.device import choose_precision
from worker.engine.engine import Engine

PAGE = {torch.bfloat16: 0.50, torch.float32: 0.75}
"""The bar of a page by the press's precision; the pipeline's is float32, its fastest at this size."""
PREVIEW = 0.02


def measure(weights: Path | None, threads: int, rounds: int, steps: int, say: Say) -> list[Line]:
    """Pages of `steps` steps in the edition's precision on this processor, and a preview's share of a step."""
    edition = edition_over("pocket-1", weights)
    say("pocket size: both sides are loaded")
    engine = Engine(edition, device="cpu", threads=threads)
    key = engine.resolve(Address.parse("pocket-1/prompt/a dog on a beach/1"))
    pipeline = load_pipeline(edition, torch.float32, channels_last=False)
    empty = engine.embed("")
    say(f"pocket size: pages of {steps} steps in turn")
    ours, other = in_turn(
        [
            lambda: engine.print_page(key, steps=steps),
            lambda: run_pipeline(pipeline, key, empty, edition.guidance, steps, "np"),
        ],
        rounds,
    )
    precision = choose_precision(edition, torch.device("cpu"))
    name = {torch.float32: "fp32", torch.bfloat16: "bf16"}[precision]
    step = Times(tuple(run_press(engine, key, 6)))
    return [
        Line.of(f"pocket size, a page of {steps} steps ({name})", ours, "diffusers fp32", other, PAGE[precision]),
        Line.of("pocket size, a preview of a step", previews(engine), "the step", step, PREVIEW),
    ]


def previews(engine: Engine) -> Times:
    """Times of a preview; what the latents say makes no difference to them."""
    predicted = torch.zeros(engine.batch, 4, 52, 80)
    engine.preview(predicted)
    return Times(tuple(clock(lambda: engine.preview(predicted)) for _ in range(15)))
