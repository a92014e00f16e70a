"""One page in a process of its own, start-up included: `python -m bench.first_page press|pipeline SLUG …`.

Prints one line of JSON when the picture is there; bench.large starts it. A process of its own finds nothing warm, and
holds one side's weights only. May import bench.*, worker.*.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PROMPT = "a dog on a beach"


@dataclass(frozen=True)
class FirstPage:
    """What one process showed; seconds, and bytes."""

    seconds: float
    """From the start of the process to its end, the picture made."""
    steps: tuple[float, ...]
    """Each step but the first, which finds nothing warm."""
    decode: float
    """From the last step to the pixels."""
    previews: tuple[float, ...]
    """Each of some previews, made after the page; empty for a side that has none."""
    peak: int
    """The most memory that the process held."""


def measure(side: str, slug: str, weights: Path, precision: str, steps: int, threads: int) -> FirstPage:
    """Start a process for one side and wait for its picture. Raises CalledProcessError where it fails."""
    command = [sys.executable, "-m", "bench.first_page", side, slug, str(weights), precision, str(steps), str(threads)]
    began = time.perf_counter()
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    seconds = time.perf_counter() - began
    told = json.loads(result.stdout.splitlines()[-1])
    return FirstPage(seconds, tuple(told["steps"]), told["decode"], tuple(told["previews"]), told["peak"])


def main() -> None:
    """Print one page and say what its parts took."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_page", description=__doc__)
    parser.add_argument("side", choices=("press", "pipeline"))
    parser.add_argument("slug")
    parser.add_argument("weights", type=Path)
    parser.add_argument("precision")
    parser.add_argument("steps", type=int)
    parser.add_argument("threads", type=int)
    asked = parser.parse_args()

    import torch

    from bench.peers.sides import edition_over, load_pipeline, quiet
    from bench.pocket import previews
    from worker.catalogue.address import Address
    from worker.engine.engine import Engine

    quiet()
    edition = edition_over(asked.slug, asked.weights, asked.precision)
    after: list[float] = []
    """When each step ended."""
    seconds_of_previews: tuple[float, ...] = ()
    if asked.side == "press":
        engine = Engine(edition, device="cpu", threads=asked.threads)
        key = engine.resolve(Address.parse(f"{asked.slug}/prompt/{PROMPT}/1"))
        page = engine.print_page(key, lambda _: after.append(time.perf_counter()), steps=asked.steps)
        ended = time.perf_counter()
        shape = page.pixels.shape
        seconds_of_previews = previews(engine).seconds
    else:
        torch.set_num_threads(asked.threads)
        pipeline = load_pipeline(edition, getattr(torch, asked.precision), asked.precision == "bfloat16")

        def note(*step: object) -> object:
            after.append(time.perf_counter())
            return step[-1]

        pictures = pipeline(
            PROMPT,
            height=416,
            width=640,
            guidance_scale=edition.guidance,
            num_inference_steps=asked.steps,
            generator=torch.Generator().manual_seed(1),
            callback_on_step_end=note,
            output_type="np",
        ).images
        ended = time.perf_counter()
        shape = pictures[0].shape
    assert shape == (416, 640, 3)
    told = {
        "steps": [later - earlier for earlier, later in itertools.pairwise(after)],
        "decode": ended - after[-1],
        "previews": seconds_of_previews,
        "peak": peak(),
    }
    print(json.dumps(told))


def peak() -> int:
    """The most memory that this process has held, in bytes.

    Linux says it in VmHWM; what getrusage says there begins at the size of the process that started this one.
    """
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
