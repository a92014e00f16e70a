"""What forms of model cost at the size of Stable Diffusion 1.5: `python -m bench.forms [--only NAME …]`.

Prints a table: a page at 20 guided steps, with LCM (4 steps, one row), with LCM and TAESD; seconds, peak memory, and
the ratio to diffusers' own pipeline with the same parts. Every page is made in a process of its own, from random
weights of the exact configurations, which are written to a temporary folder. `--only int8` asks whether int8 pays on
this processor, beside our own float32 layers. A page of 20 guided steps takes minutes on two cores. May import
bench.*, worker.*, torch, diffusers.
"""

import argparse
import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench import first_page, random_weights
from bench.forms.int8 import int8
from bench.timing import Line, Times, table

PROMPT: Final = "a dog on a beach"
NEED: Final = 8e9
"""Bytes of free memory without which a side in float32 makes the machine swap."""
STEPS_OF_LCM_PAGE: Final = 12.0
"""How many guided steps a page with LCM and TAESD may take at most."""
RATIO: Final = 1.0
"""To the pipeline's seconds."""


@dataclasses.dataclass(frozen=True)
class Form:
    """One line of the table: solver, guidance and steps of a page, and whether TAESD decodes it."""

    what: str
    solver: str
    guidance: float
    steps: int
    taesd: bool


FORMS: Final = {
    "guided": Form("a page of SD 1.5, 20 guided steps", "dpm-solver++", 7.5, 20, False),
    "lcm": Form("with LCM, 4 steps of one row", "lcm", 1.0, 4, False),
    "lcm-taesd": Form("with LCM and TAESD", "lcm", 1.0, 4, True),
}


@dataclasses.dataclass(frozen=True)
class Page:
    """What one process said of its page; seconds without loading, and bytes."""

    seconds: float
    steps: tuple[float, ...]
    decode: float
    peak: int


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and say by the exit status whether every bar was kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.forms", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*FORMS, "int8"], default=[*FORMS, "int8"], help="these (all)")
    parser.add_argument("--threads", type=int, default=2, help="threads of the CPU, for all sides (2)")
    parser.add_argument("--weights", type=Path, help="a folder to keep the weights in (a temporary one)")
    parser.add_argument("--side", choices=("press", "pipeline", "int8"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.side == "int8":
        print(json.dumps(int8(asked.weights, asked.threads)))
        return 0
    if asked.side is not None:
        print(json.dumps(page_of(asked.side, FORMS[asked.only[0]], asked.weights, asked.threads)))
        return 0
    import psutil

    if psutil.virtual_memory().available < NEED:
        print(f"A side needs {NEED / 1e9:.0f} GB of free memory; there is less.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="babelia-forms-") as temporary:
        home = asked.weights or Path(temporary)
        plain = home / "sd"
        if not plain.exists():
            random_weights.write(plain, "sd", say)
        if not (home / "taesd").exists():
            write_taesd(home / "taesd", plain)
        more, note = compare_int8(plain, asked.threads) if "int8" in asked.only else ([], "")
        lines, notes = measure([name for name in asked.only if name != "int8"], home, asked.threads)
        lines, notes = [*lines, *more], [*notes, note]
    print(table(lines))
    print("\n" + "\n".join(filter(None, notes)))
    return 1 if any(not line.kept for line in lines) else 0


def measure(names: list[str], home: Path, threads: int) -> tuple[list[Line], list[str]]:
    """The lines of pages, ours beside the pipeline's, and what is to be said below the table."""
    found: dict[str, tuple[Page, Page]] = {}
    for name in names:
        form = FORMS[name]
        weights = home / ("taesd" if form.taesd else "sd")
        pair = []
        for side in ("press", "pipeline"):
            say(f"{form.what}: {side}")
            told = ask(side, name, weights, threads)
            pair.append(Page(told["seconds"], tuple(told["steps"]), told["decode"], told["peak"]))
            each = Times(pair[-1].steps).format()
            say(f"{told['seconds']:.1f} s, a step {each}, decoding {told['decode']:.1f} s, {told['peak'] / 1e9:.2f} GB")
        found[name] = (pair[0], pair[1])
    lines, notes = [], []
    for name, (ours, other) in found.items():
        what = FORMS[name].what
        lines.append(Line.of(what, Times((ours.seconds,)), "diffusers", Times((other.seconds,)), RATIO))
        ratio = ours.peak / other.peak
        said = (f"{ours.peak / 1e9:.2f} GB", f"diffusers, {other.peak / 1e9:.2f} GB", f"{ratio:.2f}")
        lines.append(Line(f"{what}: peak memory", *said, "≤ 1.30", ratio <= 1.30))
        step, decode = Times(ours.steps).median, ours.decode
        notes.append(f"{what}: a step {step:.2f} s, decoding {decode:.2f} s (diffusers {other.decode:.2f} s).")
    if "guided" in found and "lcm-taesd" in found:
        page, guided = Times((found["lcm-taesd"][0].seconds,)), Times(found["guided"][0].steps)
        lines.append(Line.of("LCM and TAESD: the page", page, "a guided step", guided, STEPS_OF_LCM_PAGE))
    return lines, notes


def ask(side: str, name: str, weights: Path, threads: int) -> Any:
    """What a process of its own says of one side."""
    command = [sys.executable, "-m", "bench.forms", "--side", side, "--only", name]
    command += ["--weights", str(weights), "--threads", str(threads)]
    home = Path(__file__).parent.parent.parent
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=home)
    return json.loads(result.stdout.splitlines()[-1])


def write_taesd(folder: Path, plain: Path) -> None:
    """The weights of `plain` with TAESD in place of their VAE; what they share is linked."""
    import torch
    from diffusers import AutoencoderTiny

    folder.mkdir()
    for name in ("unet", "text_encoder", "tokenizer", "scheduler"):
        (folder / name).symlink_to(plain / name, target_is_directory=True)
    index = json.loads((plain / "model_index.json").read_text(encoding="utf-8"))
    random_weights.write_json(folder / "model_index.json", index | {"vae": ["diffusers", "AutoencoderTiny"]})
    with torch.device("meta"):
        empty = AutoencoderTiny(**random_weights.taesd_config("sd"))
    filled: Any = random_weights.fill(empty, 2)
    filled.save_pretrained(folder / "vae", safe_serialization=True)


def page_of(side: str, form: Form, weights: Path, threads: int) -> dict[str, Any]:
    """Load one side in this process, print one page in float32, and say what that took."""
    import torch

    from bench.peers.sides import as_shipped, edition_over, quiet
    from worker.catalogue.address import Address
    from worker.engine.engine import Engine

    quiet()
    changes: dict[str, Any] = {"solver": form.solver, "guidance": form.guidance, "early_guidance": form.guidance}
    edition = dataclasses.replace(edition_over("sd-1.5", weights, "float32"), step_limit=50, **changes)
    after: list[float] = []
    if side == "press":
        engine = Engine(edition, device="cpu", threads=threads)
        began = time.perf_counter()
        key = engine.resolve(Address.parse(f"sd-1.5/prompt/{PROMPT}/1"))
        engine.print_page(key, lambda _: after.append(time.perf_counter()), steps=form.steps)
    else:
        torch.set_num_threads(threads)
        pipeline = pipeline_of(weights, form.solver)

        def note(*step: Any) -> Any:
            after.append(time.perf_counter())
            return step[-1]

        began = time.perf_counter()
        with as_shipped():
            pipeline(
                PROMPT,
                height=416,
                width=640,
                guidance_scale=form.guidance,
                num_inference_steps=form.steps,
                generator=torch.Generator().manual_seed(1),
                callback_on_step_end=note,
                output_type="np",
            )
    ended = time.perf_counter()
    steps = [later - earlier for earlier, later in itertools.pairwise(after)]
    return {"seconds": ended - began, "steps": steps, "decode": ended - after[-1], "peak": first_page.peak()}


def pipeline_of(weights: Path, solver: str) -> Any:
    """diffusers' pipeline on some weights in float32, with its scheduler of a solver's name."""
    import torch
    from diffusers import DPMSolverMultistepScheduler, LCMScheduler, StableDiffusionPipeline

    pipeline: Any = StableDiffusionPipeline.from_pretrained(
        str(weights), torch_dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    kind: Any = LCMScheduler if solver == "lcm" else DPMSolverMultistepScheduler
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def compare_int8(weights: Path, threads: int) -> tuple[list[Line], str]:
    """Whether int8 pays: one row of the U-Net with int8 linear layers, and its largest convolution, beside ours."""
    say("int8: linear layers and a convolution")
    told = ask("int8", "int8", weights, threads)
    say(json.dumps(told))
    lines = []
    for what in ("linear", "convolution"):
        ours, other = (Times(tuple(told[what][side])) for side in ("float32", "int8"))
        ratio = other.median / ours.median
        lines.append(Line(told[what]["what"], ours.format(), f"int8, {other.format()}", f"{ratio:.2f}", "", True))
    size, less = (f"{count / 1e9:.2f} GB" for count in told["bytes"])
    return lines, (
        f"int8 ({told['engine']}, {told['instructions']}): the U-Net's weights take {less} in place of {size}, and a"
        f" prediction is {told['decibels']:.0f} dB above its error. A ratio above 1 is slower than our float32 layers."
    )


def say(line: str) -> None:
    """Tell somebody who waits what is going on."""
    print(f"  … {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
