"""`python -m bench` (make bench): the figures of the engine, each against a peer measured in the same run.

Prints one table of ratios; exits 1 where a bar is missed. May import bench.* and worker.*.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

from bench import codec
from bench.timing import table

LIMIT = 9 * 60
"""Seconds into which the run fits itself; `make bench` is promised in ten minutes on any CPU."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and say by the exit status whether every bar was kept."""
    began = time.perf_counter()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's worth: the key codec and the pocket size")
    parser.add_argument("--pocket", type=Path, metavar="FOLDER", help="weights to measure in place of pocket-1's own")
    parser.add_argument(
        "--large", type=Path, metavar="FOLDER", help="weights of SD 1.5's size; random ones are written if left out"
    )
    parser.add_argument("--threads", type=int, default=None, help="threads of the CPU, for all sides (all)")
    asked = parser.parse_args(arguments)

    import torch
    from diffusers import __version__ as diffusers_version

    from bench import evaluation, large, pocket
    from bench.peers.sides import quiet
    from worker.engine.device import device_name, has_bfloat16, instruction_set

    quiet()
    threads = asked.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    cpu = torch.device("cpu")
    print(
        f"{device_name(cpu)} [{instruction_set(cpu)}], {threads} threads of {os.cpu_count()} cores, {platform.system()}"
    )
    print(f"Python {platform.python_version()}, torch {torch.__version__}, diffusers {diffusers_version}")
    if has_bfloat16():
        print("The press in bfloat16, which this processor multiplies, against peers in bfloat16 and in float32.")
    else:
        print("Float32 against float32: this processor has no bfloat16 instructions.")
    print("Medians, in brackets the least and the most; a ratio is ours to the other's.\n", flush=True)

    lines = codec.measure()
    lines += pocket.measure(asked.pocket, threads, 2 if asked.quick else 4, 20, say)
    evaluated = evaluation.measure(asked.pocket, threads, 3 if asked.quick else 6, say)
    lines += evaluated.lines
    notes = evaluated.notes
    if not asked.quick:
        weights = asked.large or large.write_weights(say)
        rounds = 2 if has_bfloat16() else large.rounds_that_fit(LIMIT - (time.perf_counter() - began), evaluated.rate)
        if not large.has_memory():
            notes.append(f"The SD size is left out: it needs {large.MEMORY / 1e9:.1f} GB of free memory.")
        elif not rounds:
            notes.append("The SD size is left out: on this processor it would take longer than the bench may.")
        else:
            lines += large.measure(weights, has_bfloat16(), threads, rounds, say)
    print(table(lines))
    print("\n" + "\n".join(notes))
    missed = sum(not line.kept for line in lines)
    print(f"\n{len(lines) - missed} of {len(lines)} bars kept, in {(time.perf_counter() - began) / 60:.1f} minutes.")
    return 1 if missed else 0


def say(line: str) -> None:
    """Tell somebody who waits what is going on."""
    print(f"  … {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
