"""The command: editions and batches in turn, each line as soon as it is measured, until the time is over."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

from bench import random_weights
from bench.gpu.measuring import measure
from worker.editions.edition import Edition, load_edition
from worker.engine.device import WORKSPACES, device_name


def main(arguments: list[str] | None = None) -> int:
    """Measures until the time is over; returns 1 where a byte differed that should not."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=280.0, help="when to begin nothing more (280)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 2, 8], help="in this order (1 4 16 2 8)")
    parser.add_argument("--compiled", type=int, nargs="*", default=[1, 16], help="batches to compile for (1 16)")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sizes", choices=["pocket", "sd"], nargs="+", default=["pocket", "sd"])
    asked = parser.parse_args(arguments)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACES[0])  # the engine wants it before CUDA is first used
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
                differed += measure(edition, size, batch, asked, left)
    print("every byte as it should be" if not differed else f"{differed} bytes differ", flush=True)
    return 1 if differed else 0


def _edition(size: str, folder: Path) -> Edition:
    """pocket-1 as it ships, or SD 1.5 over random weights."""
    if size == "pocket":
        return load_edition("pocket-1", folder)
    weights = random_weights.write(folder / "sd", say=lambda _: None)
    edition = load_edition("sd-1.5", folder)
    return dataclasses.replace(edition, weights=weights, hub=None, digest=None, safety_checker=False)


if __name__ == "__main__":
    sys.exit(main())
