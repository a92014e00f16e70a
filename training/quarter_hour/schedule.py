"""What is due at each moment, by the clock, and how the renderers' time is divided (imports training.plans only)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from training.plans import Kind, Part, Phase, QuarterPlan


@dataclass(frozen=True)
class Clock:
    """When the first step was due and when the last one must be over, in seconds of one clock."""

    begins: float
    ends: float

    def progress(self, now: float) -> float:
        """How much of the time is over, 0 … 1."""
        return min(1.0, max(0.0, (now - self.begins) / max(1e-9, self.ends - self.begins)))


def phase_at(phases: tuple[Phase, ...], progress: float) -> Phase:
    """The phase that is due."""
    end = 0.0
    for phase in phases:
        end += phase.share
        if progress < end - 1e-9:
            return phase
    return phases[-1]


def rate_at(plan: QuarterPlan, progress: float, step: int) -> float:
    """Warm-up over the first steps, then constant, then over the last part of the time a straight line to 0."""
    return plan.rate * min(1.0, (step + 1) / plan.warmup) * min(1.0, (1 - progress) / plan.falls)


@dataclass(frozen=True)
class Costs:
    """Seconds an example takes: one renderer to draw it, the device to train on it."""

    render: Mapping[Kind, float]
    train: Mapping[Kind, float]


def seen(phases: tuple[Phase, ...], seconds: float, costs: Costs) -> dict[Kind, float]:
    """How many examples of each kind the phases look at in so many seconds."""
    found: dict[Kind, float] = {}
    for phase in phases:
        step = sum(part.batch * costs.train[part.kind] for part in phase.parts)
        for part in phase.parts:
            found[part.kind] = found.get(part.kind, 0.0) + phase.share * seconds / step * part.batch
    return found


def uses(phases: tuple[Phase, ...], seconds: float, costs: Costs, renderers: int) -> tuple[float, dict[Kind, float]]:
    """How often each example is used, and which share of the renderers' time each kind needs for that.

    The shares are such that an example is used equally often, whatever its kind.
    """
    work = {kind: number * costs.render[kind] for kind, number in seen(phases, seconds, costs).items()}
    total = sum(work.values())
    return total / (renderers * seconds), {kind: part / total for kind, part in work.items()}


def adapted(plan: QuarterPlan, phases: tuple[Phase, ...], seconds: float, costs: Costs) -> tuple[Phase, ...]:
    """The phases with up to four times as many crops beside pages, where examples would be used too often without.

    A crop costs the device more of its time for each second that it costs a renderer than a page does.
    """
    for factor in (1, 2, 4):
        tried = tuple(_more_crops(phase, factor) for phase in phases)
        if uses(tried, seconds, costs, plan.renderers)[0] <= plan.uses:
            break
    return tried


def _more_crops(phase: Phase, factor: int) -> Phase:
    if len(phase.parts) == 1:
        return phase
    parts: tuple[Part, ...] = tuple(
        replace(part, batch=part.batch * factor) if part.kind == "crops" else part for part in phase.parts
    )
    return replace(phase, parts=parts)
