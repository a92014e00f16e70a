"""`python -m bench` (make bench): the figures that the README states, measured side by side in one run.

Prints one table of ratios; exits 1 where a bar is missed. May import bench.* and worker.*.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

from bench import codec, models, random_weights
from bench.sides import data_folder
from bench.timing import table


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and say by the exit status whether every bar was kept."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's worth: the key codec and the pocket size")
    parser.add_argument("--pocket", type=Path, metavar="FOLDER", help="weights to measure in place of pocket-1's own")
    parser.add_argument(
        "--large", type=Path, metavar="FOLDER", help="weights of SD 1.5's size; random ones are written if left out"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often the two sides take turns (3)")
    parser.add_argument("--threads", type=int, default=None, help="threads of the CPU, for both sides (all)")
    asked = parser.parse_args(arguments)

    import torch
    from diffusers import __version__ as diffusers_version

    from worker.engine.device import device_name, instruction_set

    threads = asked.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    began = time.perf_counter()
    cpu = torch.device("cpu")
    print(
        f"{device_name(cpu)} [{instruction_set(cpu)}], {threads} threads of {os.cpu_count()} cores, {platform.system()}"
    )
    print(f"Python {platform.python_version()}, torch {torch.__version__}, diffusers {diffusers_version}")
    print("Medians, in brackets the least and the most; a ratio is ours to the other's.\n", flush=True)

    lines = codec.measure()
    lines += models.measure_pocket(asked.pocket, threads, 3 if asked.quick else 2 * asked.rounds, 20, say)
    if not asked.quick:
        large = asked.large or large_weights()
        lines += models.measure_large(large, threads, asked.rounds, say)
        lines += models.measure_first_page(large, threads, max(1, asked.rounds - 1), say)
    print(table(lines))
    missed = sum(not line.kept for line in lines)
    print(f"\n{len(lines) - missed} of {len(lines)} bars kept, in {(time.perf_counter() - began) / 60:.1f} minutes.")
    return 1 if missed else 0


def large_weights() -> Path:
    """Random weights of Stable Diffusion 1.5's size in the data directory, written once (2.1 GB)."""
    folder = data_folder() / "weights-bench"
    if not folder.is_dir():
        say(f"Writing 2.1 GB of random weights to {folder}, once.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        random_weights.write(folder, "sd", say)
    return folder


def say(line: str) -> None:
    """Tell somebody who waits what is going on."""
    print(f"  … {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
