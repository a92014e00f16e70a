"""One page in a process of its own, start-up included: `python -m bench.first_page press|pipeline SLUG …`.

Prints one line of JSON when the picture is there; bench.models starts it. May import bench.sides, worker.*.
"""

import argparse
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
    """Seconds from the start of the process to the picture, and the most memory that it held, in bytes."""

    seconds: float
    peak: int


def measure(side: str, slug: str, weights: Path, precision: str, steps: int, threads: int) -> FirstPage:
    """Start a process for one side and wait for its picture. Raises CalledProcessError where it fails."""
    command = [sys.executable, "-m", "bench.first_page", side, slug, str(weights), precision, str(steps), str(threads)]
    began = time.perf_counter()
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    return FirstPage(time.perf_counter() - began, int(json.loads(result.stdout.splitlines()[-1])["peak"]))


def main() -> None:
    """Print one page and say how much memory it took."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_page", description=__doc__)
    parser.add_argument("side", choices=("press", "pipeline"))
    parser.add_argument("slug")
    parser.add_argument("weights", type=Path)
    parser.add_argument("precision")
    parser.add_argument("steps", type=int)
    parser.add_argument("threads", type=int)
    asked = parser.parse_args()

    import torch

    from bench.sides import edition_over, load_pipeline
    from worker.catalogue.address import Address
    from worker.engine.engine import Engine

    edition = edition_over(asked.slug, asked.weights, asked.precision)
    if asked.side == "press":
        engine = Engine(edition, device="cpu", threads=asked.threads)
        key = engine.resolve(Address.parse(f"{asked.slug}/prompt/{PROMPT}/1"))
        shape = engine.print_page(key, steps=asked.steps).pixels.shape
    else:
        torch.set_num_threads(asked.threads)
        pipeline = load_pipeline(edition, getattr(torch, asked.precision), asked.precision == "bfloat16")
        pictures = pipeline(
            PROMPT,
            height=416,
            width=640,
            guidance_scale=edition.guidance,
            num_inference_steps=asked.steps,
            generator=torch.Generator().manual_seed(1),
            output_type="np",
        ).images
        shape = pictures[0].shape
    assert shape == (416, 640, 3)
    print(json.dumps({"peak": peak()}))


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
