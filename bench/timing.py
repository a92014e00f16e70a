"""How the bench measures: sides in turn, medians, ratios and their bars, the table. Imports nothing of the project."""

import statistics
import time
from collections.abc import Callable, Sequence
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
    def of(cls, what: str, ours: Times, name: str, other: Times, most: float) -> "Line":
        """A line whose ratio, ours / the other's (which `name` says), must be at most `most`."""
        ratio, digits = ours.median / other.median, 2 if most >= 0.1 else 4
        text = f"{name}, {other.format()}"
        return cls(what, ours.format(), text, f"{ratio:.{digits}f}", f"≤ {most:.{digits}f}", ratio <= most)


def clock(call: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_turn(calls: Sequence[Callable[[], object]], rounds: int, repeated: Sequence[int] | None = None) -> list[Times]:
    """Time calls in turn, so that what disturbs the machine disturbs all of them; first one untimed call of each.

    In each of the `rounds` every call has a turn: so many calls as `repeated` says for it, else one; all are timed.
    """
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, found, count in zip(calls, times, repeated or [1] * len(calls), strict=True):
            found += [clock(call) for _ in range(count)]
    return [Times(tuple(found)) for found in times]


def table(lines: list[Line]) -> str:
    """The lines as a Markdown table, which can go into the README as it is."""
    rows = [("", "ours", "compared with", "ratio", "bar", "")]
    rows += [(x.what, x.ours, x.other, x.ratio, x.bar, "ok" if x.kept else "missed") for x in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)
