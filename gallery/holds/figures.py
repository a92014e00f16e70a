"""Everything that the page What the library holds says, worked out from the rows of an edition's file. No HTTP.

Imports worker.editions.holdings, worker.catalogue and the plots. Plain functions of the rows: nothing that was measured
is typed here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt
from statistics import mean, median, quantiles, stdev
from typing import Any, Final

from gallery.holds.plots import CurvePlot, StripPlot, curve_plot, legend, steps_of, strip_plot
from worker.catalogue.key import EMBEDDING_CODES, LATENTS_CODES
from worker.catalogue.png import HEIGHT, WIDTH
from worker.editions.holdings import Holdings, Part, Row

VALUES: Final = 3 * WIDTH * HEIGHT
"""Red, green and blue of every pixel."""
DIRECTIONS: Final = {"latents": LATENTS_CODES, "embedding": EMBEDDING_CODES}
NAMES: Final = {"latents": "the noise", "embedding": "what is drawn", "steps": "the steps"}
"""The fields of a key as About names them."""
_SURE: Final = 1.96
"""Standard errors on each side within which a share lies 95 times in 100."""


@dataclass(frozen=True)
class Share:
    """A share of so many, its standard error, and Wilson's interval, which is none of zero width at 0 and at 1."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share, 0 … 1."""
        return self.hits / self.of

    @property
    def percent(self) -> str:
        """The share in per cent."""
        return f"{100 * self.value:.1f} %"

    @property
    def error(self) -> str:
        """The standard error √(p(1 − p)/n), in points of a per cent."""
        return f"{100 * sqrt(self.value * (1 - self.value) / self.of):.1f}"

    @property
    def between(self) -> tuple[str, str]:
        """The ends of the interval (Wilson, 1927) that holds the true share 95 times in 100, in per cent."""
        square = _SURE**2
        middle = (self.hits + square / 2) / (self.of + square)
        half = _SURE * sqrt(self.of * self.value * (1 - self.value) + square / 4) / (self.of + square)
        return f"{100 * max(0.0, middle - half):.1f}", f"{100 * min(1.0, middle + half):.1f} %"


def holds_context(holdings: Holdings) -> dict[str, Any]:
    """Return what the page shows of each part that was measured; of the others there is no name in it."""
    made: dict[str, Callable[[Part], dict[str, Any]]] = {
        "pictures": pictures_context,
        "dimension": dimension_context,
        "bits": bits_context,
        "mush": mush_context,
    }
    found = {name: part for name, part in holdings.parts.items() if part.rows}
    told = {name: made[name](part) | {"part": part} for name, part in found.items()}
    days = sorted(part.measured for part in found.values())
    return told | {
        "picture_bits": f"{8 * VALUES:,}",
        "weights": holdings.weights[:16],
        "first_day": days[0] if days else "",
        "last_day": days[-1] if days else "",
        "renditions": sorted({str(part.how["rendition"]) for part in found.values()}),
    }


# -- pictures that were searched for

KINDS: Final = {
    "pages": "pages of the library itself",
    "scenes": "rendered scenes",
    "photographs": "photographs and drawings",
    "flat": "flat colours",
    "text": "text",
    "noise": "pure noise",
}
"""The six kinds of pictures, the nearest to what the model was trained on first."""
SERIES: Final = {"bound": "the autoencoder alone", "quick": "quick", "good": "good", "best": "best"}
_TOP: Final = 60.0
"""dB at which a picture that came back without any difference is drawn."""


def pictures_context(part: Part) -> dict[str, Any]:
    """Return how near a search came to each kind of picture, as a plot, as medians, and as pairs."""
    rows = {kind: [row for row in part.rows if row["kind"] == kind] for kind in KINDS}
    rows = {kind: found for kind, found in rows.items() if found}
    series = [name for name in SERIES if any(name in row["dB"] for row in part.rows)]
    kinds = []
    for kind, found in rows.items():
        medians = {name: [row["dB"][name] for row in found if name in row["dB"]] for name in series}
        kinds.append(
            {
                "kind": kind,
                "name": KINDS[kind],
                "count": len(found),
                "medians": [f"{median(values):.1f}" if values else "" for values in medians.values()],
                "counts": [len(values) for values in medians.values()],
                "pairs": [_pair(row) for row in found if row.get("files")],
            }
        )
    plotted = {
        f"{KINDS[kind]}": [[min(row["dB"][name], _TOP) for row in found if name in row["dB"]] for name in series]
        for kind, found in rows.items()
    }
    return {
        "kinds": kinds,
        "count": len(part.rows),
        "series": [SERIES[name] for name in series],
        "legend": legend([SERIES[name] for name in series]),
        "plot": strip_plot(plotted),
    }


def _pair(row: Row) -> dict[str, Any]:
    """One picture beside the nearest page that was found for it."""
    reached = {name: value for name, value in row["dB"].items() if name != "bound"}
    deepest = next(name for name in reversed(SERIES) if name in reached)
    return {
        "name": row["name"],
        "source": row.get("source", ""),
        "asked": row["files"]["asked"],
        "found": row["files"]["found"],
        "mark": row.get("mark"),
        "address": row.get("address"),
        "depth": deepest,
        "dB": f"{reached[deepest]:.1f}",
    }


# -- directions

WHOLE: Final = sqrt(VALUES)
"""Length, in grey levels, of a change of one grey level of every value of the picture."""


def dimension_context(part: Part) -> dict[str, Any]:
    """Return how many directions move the picture, and how strong the strongest are, over all pages."""
    fields = [_directions(field, [row[field] for row in part.rows]) for field in DIRECTIONS]
    return {
        "pages": len(part.rows),
        "steps": part.how["steps"],
        "rounds": part.how["rounds"],
        "fields": fields,
        "plot": _spectra([[row[field] for row in part.rows] for field in DIRECTIONS]),
    }


def _directions(field: str, spectra: Sequence[Row]) -> dict[str, Any]:
    count = DIRECTIONS[field]
    least = [counted(each, count, WHOLE) for each in spectra]
    most = [counted_at_most(each, count, WHOLE) for each in spectra]
    return {
        "name": NAMES[field],
        "directions": f"{count:,}",
        "least": round(mean(least)),
        "least_error": f"{error_of(least):.0f}" if len(least) > 1 else "",
        "most": round(mean(most)),
        "strongest": f"{median(max(each['strengths']) for each in spectra) / WHOLE:.0f}",
        "energy": f"{100 * median(strongest_share(each, count) for each in spectra):.0f} %",
    }


def counted(spectrum: Row, directions: int, strength: float) -> float:
    """About how many of so many directions have at least this strength, by the nodes that have."""
    pairs = zip(spectrum["strengths"], spectrum["shares"], strict=True)
    return float(directions * sum(w for s, w in pairs if s >= strength))


def counted_at_most(spectrum: Row, directions: int, strength: float) -> float:
    """About how many have it at most: of those that a weaker node stands for, θ/t² may (Markov's inequality)."""
    pairs = zip(spectrum["strengths"], spectrum["shares"], strict=True)
    return float(directions * sum(w * min(1.0, (s / strength) ** 2) for s, w in pairs))


def strongest_share(spectrum: Row, directions: int) -> float:
    """The share of all movement, Σ σ², that lies in directions stronger than the weakest node."""
    moved = [w * s * s for s, w in zip(spectrum["strengths"], spectrum["shares"], strict=True)]
    weakest = spectrum["strengths"].index(min(spectrum["strengths"]))
    return 1.0 - moved[weakest] / sum(moved) if directions else 0.0


def _spectra(fields: Sequence[Sequence[Row]]) -> CurvePlot:
    """How many directions have at least a strength, on average over the pages: a curve for each field."""
    curves = []
    for count, spectra in zip(DIRECTIONS.values(), fields, strict=True):
        strengths = sorted({s for each in spectra for s in each["strengths"] if s > 0})
        points = [(s / WHOLE, mean(counted(each, count, s) for each in spectra)) for s in strengths]
        curves.append(steps_of(points))
    return curve_plot(curves)


def error_of(values: Sequence[float]) -> float:
    """The standard error of a mean."""
    return stdev(values) / sqrt(len(values))


# -- bits

PLACES: Final = (
    "sign",
    *(f"times {1 << (8 >> bit)}" for bit in range(4)),
    *(f"1/{2 << bit}" for bit in range(10)),
)
"""What flipping a bit of a number does: the other sign, 256 times as much or as little, … a 1,024th more or less."""
_NOTHING: Final = 0.001
"""Grey levels at which a flip that changes no pixel is drawn: one value that moves by one makes 0.0011."""


def bits_context(part: Part) -> dict[str, Any]:
    """Return how far a flipped bit moves the picture, by field and place, and how many keys share a picture."""
    flips: dict[tuple[str, int], list[Row]] = {}
    for row in part.rows:
        for flip in row["flips"]:
            flips.setdefault((flip["field"], flip["bit"]), []).append(flip)
    fields = [field for field in DIRECTIONS if (field, 0) in flips]
    table = [
        {"place": place, "cells": [_moved(flips.get((field, bit), [])) for field in fields]}
        for bit, place in enumerate(PLACES)
    ]
    plotted = {
        place: [[max(f["rms"], _NOTHING) for f in flips.get((field, bit), [])] for field in fields]
        for bit, place in enumerate(PLACES)
    }
    steps = [flip for (field, _), found in flips.items() if field == "steps" for flip in found]
    shared = [each for each in (_shared(field, part) for field in fields) if each]
    lowest = [f for (field, bit), found in flips.items() if field != "steps" and bit == len(PLACES) - 1 for f in found]
    return {
        "pages": len(part.rows),
        "count": sum(map(len, flips.values())),
        "fields": [NAMES[field] for field in fields],
        "legend": legend([NAMES[field] for field in fields]),
        "table": table,
        "steps": _moved(steps),
        "plot": strip_plot(plotted, log=True),
        "nothing": f"{_NOTHING:g}",
        "identical": Share(sum(not flip["differing"] for found in flips.values() for flip in found), _size(flips)),
        "lowest": Share(sum(flip["largest"] <= 1 for flip in lowest), len(lowest)) if lowest else None,
        "shared": shared,
        "shared_power": f"{max(each['exponent'] for each in shared):,}" if shared else "",
    }


def _size(flips: Mapping[Any, Sequence[Row]]) -> int:
    return sum(map(len, flips.values()))


def _moved(flips: Sequence[Row]) -> dict[str, Any]:
    if not flips:
        return {"count": 0}
    return {
        "count": len(flips),
        "rms": f"{median(flip['rms'] for flip in flips):.2g}",
        "largest": max(flip["largest"] for flip in flips),
        "same": sum(not flip["differing"] for flip in flips),
    }


def _shared(field: str, part: Part) -> dict[str, Any] | None:
    """How many of the lowest bits of every number of a field may be anything, so that no value moves by more than one
    grey level on any page; None where not even one may."""
    found: dict[int, list[Row]] = {}
    for row in part.rows:
        for each in row["together"]:
            if each["field"] == field:
                found.setdefault(each["low"], []).append(each)
    free = 0
    for low in sorted(found):
        if any(each["largest"] > 1 for each in found[low]):
            break
        free = low
    if not free:
        return None
    return {
        "name": NAMES[field],
        "low": free,
        "bits": "lowest bit" if free == 1 else f"{free} lowest bits",
        "numbers": f"{DIRECTIONS[field]:,}",
        "exponent": floor(free * DIRECTIONS[field] * log10(2)),
        "power": f"{floor(free * DIRECTIONS[field] * log10(2)):,}",
        "tries": len(found[free]),
    }


# -- mush


def mush_context(part: Part) -> dict[str, Any]:
    """Return the share of pages of the stacks on which the judge sees a thing less surely than on nearly any scene."""
    scenes = [scene for row in part.rows for scene in row["scenes"]]
    threshold = quantiles([scene["evidence"] for scene in scenes], n=20, method="inclusive")[0]
    groups = {
        "rendered scenes": scenes,
        "pages of words": [row["prompt"] for row in part.rows if "prompt" in row],
        "pages of a name": [row["key"] for row in part.rows if "key" in row],
        "pages of the stacks": [row["stacks"] for row in part.rows if "stacks" in row],
    }
    words, own, stacks = list(groups.values())[1:]
    return {
        "scenes": len(scenes),
        "stacks": Share(sum(each["evidence"] < threshold for each in stacks), len(stacks)) if stacks else None,
        "words": Share(sum(each["evidence"] < threshold for each in words), len(words)) if words else None,
        "own": Share(sum(each["evidence"] < threshold for each in own), len(own)) if own else None,
        "threshold": f"{threshold:.1f}",
        "groups": [
            {
                "name": name,
                "count": len(found),
                "evidence": f"{median(each['evidence'] for each in found):.1f}",
                "contrast": f"{median(each['contrast'] for each in found):.0f}",
                "detail": f"{median(each['detail'] for each in found):.2f}",
            }
            for name, found in groups.items()
            if found
        ],
        "plot": _evidence(groups, threshold),
    }


def _evidence(groups: Mapping[str, Sequence[Row]], threshold: float) -> StripPlot:
    return strip_plot(
        {name: [[each["evidence"] for each in found]] for name, found in groups.items() if found}, threshold=threshold
    )
