"""`python -m bench.holds`: measures what an edition holds, and writes it for the page of that name. Imports bench.

Each part can be measured alone, and goes on where it was stopped: a row is written as soon as it is known. --count says
how many rows a part is to have, those that are there included.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.holds.record import Record
from worker.editions.edition import DEFAULT_EDITION, SHIPPED, load_edition
from worker.editions.holdings import PARTS
from worker.engine.engine import Engine
from worker.errors import BabeliaError


@dataclass(frozen=True)
class Work:
    """One part: how it is done, how many rows it has unless --count says so, and what makes them from a number on."""

    how: dict[str, Any]
    count: int
    measure: Callable[[Engine, int], Iterator[dict[str, Any]]]


def works() -> dict[str, Work]:
    """Every part by its name, in the order in which they are measured."""
    from bench.holds import bits, dimension, mush

    return {
        "dimension": Work({"steps": dimension.STEPS, "rounds": dimension.ROUNDS}, 10, dimension.measure),
        "bits": Work({"together": list(bits.TOGETHER)}, 8, bits.measure),
        "mush": Work({"scenes": mush.SCENES}, 60, mush.measure),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; exit 2 where something that a person said cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m bench.holds", description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="measure this part alone (all); may be repeated")
    parser.add_argument("--count", type=_positive, help="rows that each part is to have")
    parser.add_argument("--edition", default=DEFAULT_EDITION, help=f"the edition to measure ({DEFAULT_EDITION})")
    parser.add_argument("--data", type=Path, default=SHIPPED.parent / "data", help="the data folder (./data)")
    parser.add_argument("--output", type=Path, help="the folder to write to (holds/ in the edition's)")
    parser.add_argument("--anew", action="store_true", help="forget the rows that these parts have")
    parser.add_argument("--threads", type=_positive, help="threads of the CPU (all)")
    asked = parser.parse_args(arguments)
    try:
        edition = load_edition(asked.edition, asked.data)
        weights = edition.check()
        engine = Engine(edition, threads=asked.threads)
        record = Record(edition, weights.digest, engine.rendition.format(), asked.output)
        for name, work in works().items():
            if name in (asked.part or PARTS):
                run(name, work, engine, record, asked.count or work.count, anew=asked.anew)
    except BabeliaError as error:
        print(f"{error} {error.hint or ''}".rstrip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The rows so far are written; the same command goes on.", file=sys.stderr)
        return 130
    return 0


def run(name: str, work: Work, engine: Engine, record: Record, count: int, *, anew: bool) -> None:
    """Measure the rows of a part that are not there yet, and write each."""
    rows = record.begin(name, work.how, anew=anew)
    print(f"{name}: {len(rows)} of {count} are there", flush=True)
    if len(rows) >= count:
        return
    began = time.perf_counter()
    for row in work.measure(engine, len(rows)):
        pictures = row.pop("_pictures", None)
        record.add(name, row, pictures)
        print(f"{name}: {len(rows)} of {count}, {time.perf_counter() - began:.0f} s", flush=True)
        if len(rows) >= count:
            break


def _positive(text: str) -> int:
    """A whole number of 1 or more, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
