"""Plots as the `d` of SVG paths, without a style in them: strips of marks by rows, and falling curves. Imports nothing.

Each series has a shape of its own beside its colour, so that they are told apart without colours too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10
from typing import Final

WIDTH: Final = 360.0
ROW: Final = 34.0
"""Height of a row of a strip plot: its label, and its marks below that."""
MARGIN: Final = 8.0
FOOT: Final = 18.0
TALL: Final = 200.0
"""Height of the field of a plot of curves."""
_R: Final = 3.2
SHAPES: Final[tuple[Callable[[float, float], str], ...]] = (
    lambda x, y: f"M{x - _R:.1f} {y:.1f}a{_R} {_R} 0 1 0 {2 * _R:.1f} 0a{_R} {_R} 0 1 0 {-2 * _R:.1f} 0z",
    lambda x, y: f"M{x:.1f} {y - 4.2:.1f}l4.2 4.2l-4.2 4.2l-4.2 -4.2z",
    lambda x, y: f"M{x - 3:.1f} {y - 3:.1f}h6v6h-6z",
    lambda x, y: f"M{x:.1f} {y - 4:.1f}l4.2 7.4h-8.4z",
)
"""Circle, diamond, square, triangle: of the first series and so on."""


def legend(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return each series' name with its shape, in a field of 12 × 12."""
    return [(name, shape(6.0, 6.0)) for name, shape in zip(names, SHAPES, strict=False)]


@dataclass(frozen=True)
class Scale:
    """From values to places along an axis; what lies beyond an end is drawn there."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        value = min(max(value, low), high)
        if self.log:
            low, high, value = log10(low), log10(high), log10(value)
        return self.begin + (self.end - self.begin) * (value - low) / (high - low)


@dataclass(frozen=True)
class Tick:
    """A number at an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Strip:
    """One row of a strip plot: its label, where its line is, and a path of marks for each series."""

    label: str
    y: float
    marks: Sequence[str]


@dataclass(frozen=True)
class StripPlot:
    """Rows of marks over one axis; `threshold`: where a line stands across all rows."""

    height: float
    strips: Sequence[Strip]
    ticks: Sequence[Tick]
    threshold: float | None
    width: float = WIDTH

    @property
    def foot(self) -> float:
        """Where the field ends and the numbers of the axis begin."""
        return self.height - FOOT


def strip_plot(
    rows: Mapping[str, Sequence[Sequence[float]]], *, log: bool = False, threshold: float | None = None
) -> StripPlot:
    """Return the plot of rows, by their labels, of as many lists of values each as there are series."""
    values = [value for series in rows.values() for each in series for value in each]
    values += [] if threshold is None else [threshold]
    low, high, ticks = (_log_axis if log else _axis)(values)
    scale = Scale(low, high, MARGIN, WIDTH - MARGIN, log)
    strips = []
    for number, (label, series) in enumerate(rows.items()):
        y = ROW * number + ROW - 9
        marks = ["".join(SHAPES[s](scale(value), y) for value in each) for s, each in enumerate(series)]
        strips.append(Strip(label, y, marks))
    return StripPlot(
        ROW * len(rows) + 6 + FOOT,
        strips,
        [Tick(round(scale(tick), 1), f"{tick:g}") for tick in ticks],
        None if threshold is None else round(scale(threshold), 1),
    )


@dataclass(frozen=True)
class CurvePlot:
    """Curves over two axes, each the `d` of a path."""

    curves: Sequence[str]
    ticks: Sequence[Tick]
    levels: Sequence[Tick]
    height: float = TALL + 10 + FOOT
    width: float = WIDTH

    @property
    def foot(self) -> float:
        """Where the field ends and the numbers of the axis begin."""
        return self.height - FOOT


def curve_plot(curves: Sequence[Sequence[tuple[float, float]]]) -> CurvePlot:
    """Return the plot of curves through points (x, y), both positive, over logarithmic axes, y from 1 on."""
    xs, ys = ([point[axis] for curve in curves for point in curve] for axis in (0, 1))
    low, high, ticks = _log_axis(xs)
    top, levels = _log_axis([1.0, *ys])[1:]
    across = Scale(low, high, MARGIN, WIDTH - MARGIN, log=True)
    up = Scale(1.0, top, TALL + 10, 10, log=True)
    paths = []
    for curve in curves:
        points = [f"{across(x):.1f} {up(max(y, 1.0)):.1f}" for x, y in curve]
        paths.append("M" + "L".join(points) if points else "")
    return CurvePlot(
        paths,
        [Tick(round(across(tick), 1), f"{tick:g}") for tick in ticks],
        [Tick(round(up(level), 1), f"{level:,.0f}") for level in levels if level > 1],
    )


def _axis(values: Iterable[float]) -> tuple[float, float, list[float]]:
    """Ends of an axis that has room for the values, and its ticks, at steps of 1, 2 or 5 times a power of ten."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = (high - low) or 1.0
    power = 10.0 ** floor(log10(span))
    step = next(factor * power for factor in (0.2, 0.5, 1.0, 2.0) if span / (factor * power) <= 6)
    first, last = floor(low / step), ceil(high / step)
    last = last if last > first else first + 1
    return first * step, last * step, [round(step * number, 10) for number in range(first, last + 1)]


def _log_axis(values: Iterable[float]) -> tuple[float, float, list[float]]:
    """Ends of a logarithmic axis, at powers of ten, and ticks at these; every second one where there are many."""
    positive = [value for value in values if value > 0]
    first, last = floor(log10(min(positive, default=1.0))), ceil(log10(max(positive, default=10.0)))
    last = last if last > first else first + 1
    powers = range(first, last + 1, 1 if last - first <= 6 else 2)
    return 10.0**first, 10.0**last, [10.0**power for power in powers]


def steps_of(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of a staircase through points (x rising, y falling): a level holds from the x before it on."""
    corners: list[tuple[float, float]] = list(points[:1])
    for (before, _), (x, y) in pairwise(points):
        corners += [(before, y), (x, y)]
    return corners
