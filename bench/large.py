"""A model of Stable Diffusion 1.5's size with random weights: steps, decoding, first page, memory; processes in turn.

Where the processor has bfloat16 instructions the press runs in bfloat16, against the pipeline in bfloat16 and in
float32. Where it has none, a pipeline in bfloat16 is emulated and takes minutes a step: both run in float32 there.
May import bench.* and worker.*.
"""

import itertools
from pathlib import Path

import psutil

from bench import first_page, random_weights
from bench.peers.sides import Say, data_folder
from bench.pocket import PREVIEW
from bench.timing import Line, Times

STEP_OF_BFLOAT16 = 0.80
STEP_OF_BFLOAT16_TO_FLOAT32 = 0.50
DECODE_OF_BFLOAT16 = 0.85
STEP_OF_FLOAT32 = 0.85
DECODE_OF_FLOAT32 = 0.85
FIRST_PAGE = 1.0
PEAK_OF_BFLOAT16 = 5e9
PEAK_OF_FLOAT32 = 1.15
"""Of the pipeline's: our text encoder is float64, so that every machine finds the same key, and holds 0.5 GB more."""
WORK_OF_A_ROUND = 22e12
"""What a round in float32 costs, in operations of a large product: measured 0.15 T a second and 150 s, its start-ups
included. With it the measured product says beforehand what a round will take."""
MEMORY = 7.5e9
"""What must be free: one side in float32."""


def rounds_that_fit(seconds: float, rate: float) -> int:
    """How many rounds in float32, at most 2, fit into these seconds; `rate`: operations a second of a large product."""
    return max(0, min(2, int(seconds * rate / WORK_OF_A_ROUND)))


def write_weights(say: Say) -> Path:
    """Random weights of Stable Diffusion 1.5's size in the data directory, written once (2.1 GB)."""
    folder = data_folder() / "weights-bench"
    if not folder.is_dir():
        say(f"Writing 2.1 GB of random weights to {folder}, once.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        random_weights.write(folder, "sd", say)
    return folder


def has_memory() -> bool:
    """Whether this machine can hold one side."""
    return bool(psutil.virtual_memory().available >= MEMORY)


def measure(weights: Path, bfloat16: bool, threads: int, rounds: int, say: Say) -> list[Line]:
    """The table's lines, from `rounds` processes of each side in turn; each prints a first page."""
    steps = 4 if bfloat16 else 2
    precision = "bfloat16" if bfloat16 else "float32"
    sides = [("press", precision), ("pipeline", precision)]
    found: dict[tuple[str, str], list[first_page.FirstPage]] = {side: [] for side in sides}
    for _, (side, dtype) in itertools.product(range(rounds), sides):
        say(f"SD size: the first page of the {side} in {dtype}, {steps} steps, in a process of its own")
        found[side, dtype].append(first_page.measure(side, "sd-1.5", weights, dtype, steps, threads))
    ours, other = found.values()
    name = "diffusers bf16 channels-last" if bfloat16 else "diffusers fp32"
    most = STEP_OF_BFLOAT16 if bfloat16 else STEP_OF_FLOAT32
    lines = [Line.of("SD size, a guided step", _steps(ours), name, _steps(other), most)]
    if bfloat16:
        say("SD size: the pipeline in float32")
        full = [first_page.measure("pipeline", "sd-1.5", weights, "float32", 3, threads)]
        what = "SD size, a guided step (bf16 against fp32)"
        lines.append(Line.of(what, _steps(ours), "diffusers fp32", _steps(full), STEP_OF_BFLOAT16_TO_FLOAT32))
    decodes, decodes_of_other = (Times(tuple(page.decode for page in pages)) for pages in (ours, other))
    most = DECODE_OF_BFLOAT16 if bfloat16 else DECODE_OF_FLOAT32
    previews = Times(tuple(seconds for page in ours for seconds in page.previews))
    seconds, seconds_of_other = (Times(tuple(page.seconds for page in pages)) for pages in (ours, other))
    return [
        *lines,
        Line.of("SD size, decoding to pixels", decodes, name, decodes_of_other, most),
        Line.of("SD size, a preview of a step", previews, "the step", _steps(ours), PREVIEW),
        Line.of(
            f"SD size, the first page ({steps} steps), start-up included", seconds, name, seconds_of_other, FIRST_PAGE
        ),
        _peak(ours, other, name, bfloat16),
    ]


def _steps(pages: list[first_page.FirstPage]) -> Times:
    return Times(tuple(seconds for page in pages for seconds in page.steps))


def _peak(ours: list[first_page.FirstPage], other: list[first_page.FirstPage], name: str, bfloat16: bool) -> Line:
    peak, peak_of_other = (max(page.peak for page in pages) for pages in (ours, other))
    ratio = peak / peak_of_other
    return Line(
        "SD size, peak memory, float64 text encoder included",
        f"{peak / 1e9:.2f} GB",
        f"{name}, {peak_of_other / 1e9:.2f} GB",
        f"{ratio:.2f}",
        f"≤ {PEAK_OF_BFLOAT16 / 1e9:.0f} GB" if bfloat16 else f"≤ {PEAK_OF_FLOAT32:.2f}",
        peak <= PEAK_OF_BFLOAT16 if bfloat16 else ratio <= PEAK_OF_FLOAT32,
    )
