"""`python -m bench.holds`: measures what an edition holds, and writes it for the page of that name. Imports bench.

Each part can be measured alone, and goes on where it was stopped: a row is written as soon as it is known. --count says
how many rows a part is to have, of pictures how many of each kind, those that are there included.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.holds import bits, dimension, mush, pictures
from bench.holds.pictures import Found
from bench.holds.record import Record
from worker.editions.edition import DEFAULT_EDITION, SHIPPED, load_edition
from worker.editions.holdings import PARTS
from worker.engine.engine import Engine
from worker.errors import BabeliaError
from worker.finding.search import DEPTHS, Depth


@dataclass(frozen=True)
class Work:
    """One part: how it is done, how many rows (of pictures: of each kind) it has unless told, and what makes them."""

    how: dict[str, Any]
    count: int
    measure: Callable[[Engine, Sequence[dict[str, Any]], int], Iterator[Found]]


def works(depths: Sequence[Depth]) -> dict[str, Work]:
    """Every part by its name, in the order in which they are measured."""
    return {
        "dimension": Work({"steps": dimension.STEPS, "rounds": dimension.ROUNDS}, 10, one_after_another(dimension)),
        "bits": Work({"together": list(bits.TOGETHER)}, 8, one_after_another(bits)),
        "mush": Work({"scenes": mush.SCENES}, 60, one_after_another(mush)),
        "pictures": Work({}, 8, functools.partial(pictures.measure, depths=depths)),
    }


def one_after_another(part: ModuleType) -> Callable[[Engine, Sequence[dict[str, Any]], int], Iterator[Found]]:
    """What is missing of a part whose rows are numbered, from the first number that is not there."""

    def measure(engine: Engine, rows: Sequence[dict[str, Any]], count: int) -> Iterator[Found]:
        if len(rows) < count:
            for number, row in zip(range(len(rows), count), part.measure(engine, len(rows)), strict=False):
                yield Found(number, row, {})

    return measure


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; exit 2 where something that a person said cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m bench.holds", description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="measure this part alone (all); may be repeated")
    parser.add_argument("--count", type=_positive, help="rows that each part is to have")
    parser.add_argument(
        "--depth", choices=DEPTHS, action="append", help="search for pictures at this depth (each); may be repeated"
    )
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
        for name, work in works(asked.depth or DEPTHS).items():
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
    print(f"{name}: {len(rows)} are there", flush=True)
    began = time.perf_counter()
    for found in work.measure(engine, rows, count):
        record.write(name, *found)
        print(f"{name}: {found.place + 1}, {time.perf_counter() - began:.0f} s", flush=True)


def _positive(text: str) -> int:
    """A whole number of 1 or more, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
