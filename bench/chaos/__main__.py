"""`python -m bench.chaos [PART …]`: try the library, print what was found; exit 1 where a bar is missed."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.chaos import crowds, hostile, outages, storm
from bench.chaos.report import Report
from bench.chaos.running import Library, library
from worker.editions.edition import DEFAULT_EDITION, load_edition

TOGETHER: dict[str, Callable[[Library, Report], None]] = {
    "recovery": storm.recovery,
    "rate": lambda running, report: crowds.kept_while_printing(running, report, _steps(running)),
    "followers": lambda running, report: crowds.followers(running, report, _steps(running)),
    "silent": crowds.silent_hands,
    "paths": hostile.paths,
    "bomb": hostile.bomb,
    "storm": storm.storm,
    "new": crowds.new_addresses,
    "closing": lambda running, report: crowds.closing(running, report, _steps(running)),
}
"""Parts that are tried on one library, in this order: the last one closes it, and the one before fills its queue."""
APART = {"redis": outages.without_redis, "clock": outages.wrong_clocks}
"""Parts that open a library of their own."""


def _steps(running: Library) -> int:
    return load_edition(running.edition, running.data).step_limit


def main() -> int:
    """Try what was asked for, by default everything."""
    names = [*TOGETHER, *APART]
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(names)} (default: all)")
    parser.add_argument("--edition", default=DEFAULT_EDITION)
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(names)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    wanted = asked.parts or names
    report, began = Report(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="babelia-chaos-") as folder:
        if set(wanted) & set(TOGETHER):
            with library(Path(folder) / "together", asked.edition) as running:
                for name, part in TOGETHER.items():
                    if name in wanted:
                        part(running, report)
        for name, part_apart in APART.items():
            if name in wanted:
                part_apart(Path(folder) / name, asked.edition, report)
    kept = len(report.lines) - report.missed
    print(f"\n{kept} of {len(report.lines)} lines as they should be, in {(time.monotonic() - began) / 60:.1f} minutes.")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
