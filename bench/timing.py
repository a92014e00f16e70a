"""How the bench measures: two sides in turn, medians, and the ratio of the two. Imports nothing of the project."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Seconds of one side, one for each repetition."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.seconds)

    def format(self) -> str:
        """Median and, in brackets, the range, in a unit that suits: "3.28 s (3.21–3.40)"."""
        unit, scale = ("s", 1.0) if self.median >= 1 else ("ms", 1e3)
        median, least, most = (f"{value * scale:.3g}" for value in (self.median, min(self.seconds), max(self.seconds)))
        return f"{median} {unit} ({least}–{most})"


@dataclass(frozen=True)
class Line:
    """One line of the table: what was measured, ours, the other's, their ratio and the bar that it must keep to."""

    what: str
    ours: str
    other: str
    ratio: str
    bar: str
    kept: bool

    @classmethod
    def of(cls, what: str, ours: Times, other: Times, most: float) -> "Line":
        """A line whose ratio, ours / other, must be at most `most`."""
        ratio = ours.median / other.median
        return cls(what, ours.format(), other.format(), f"{ratio:.2f}", f"≤ {most:.2f}", ratio <= most)


def clock(call: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_turn(first: Callable[[], object], second: Callable[[], object], repetitions: int) -> tuple[Times, Times]:
    """Time two calls in turn, after one untimed call of each, so that what disturbs the machine disturbs both."""
    first()
    second()
    pairs = [(clock(first), clock(second)) for _ in range(repetitions)]
    return Times(tuple(pair[0] for pair in pairs)), Times(tuple(pair[1] for pair in pairs))


def table(lines: list[Line]) -> str:
    """The lines as a Markdown table, which can go into the README as it is."""
    rows = [("", "ours", "compared with", "ratio", "bar", "")]
    rows += [(x.what, x.ours, x.other, x.ratio, x.bar, "kept" if x.kept else "MISSED") for x in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)
