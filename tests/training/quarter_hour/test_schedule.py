"""What is due by the clock, and how the renderers' time is divided."""

from dataclasses import replace

import pytest

from training.presets import QUARTER_HOUR, QUARTERS
from training.quarter_hour.schedule import Clock, Costs, adapted, phase_at, rate_at, uses

COSTS = Costs(render={"crops": 0.0025, "pages": 0.025}, train={"crops": 4.4e-5, "pages": 2.9e-4})


def test_the_clock_runs_from_the_first_step_to_the_last():
    clock = Clock(100.0, 300.0)
    assert [clock.progress(now) for now in (0, 100, 200, 300, 400)] == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("plan", QUARTERS.values(), ids=list(QUARTERS))
def test_phases_fill_the_whole_time_and_end_with_pages(plan):
    for phases in (plan.phases, plan.going_on):
        assert sum(phase.share for phase in phases) == pytest.approx(1)
        assert phase_at(phases, 0.0) is phases[0] and phase_at(phases, 1.0) is phases[-1]
        assert any(part.kind == "pages" for part in phases[-1].parts)
        for phase in phases:
            assert all(part.batch % plan.pieces[part.kind] == 0 for part in phase.parts)
    assert [phase.name for phase in plan.phases] == ["crops", "both", "pages"]
    assert phase_at(plan.phases, plan.phases[0].share).name == "both"


def test_the_rate_warms_up_by_steps_and_falls_to_nothing_by_the_clock():
    assert rate_at(QUARTER_HOUR, 0.01, 0) == pytest.approx(8e-3 / 150)
    assert rate_at(QUARTER_HOUR, 0.4, 1000) == 8e-3
    assert rate_at(QUARTER_HOUR, 0.75, 1000) == pytest.approx(4e-3)
    assert rate_at(QUARTER_HOUR, 1.0, 1000) == 0


def test_examples_of_both_kinds_are_used_equally_often():
    often, shares = uses(QUARTER_HOUR.phases, 480, COSTS, 14)
    assert sum(shares.values()) == pytest.approx(1)
    assert 3 < often < 10
    slow = Costs({kind: 2 * cost for kind, cost in COSTS.render.items()}, COSTS.train)
    assert uses(QUARTER_HOUR.phases, 480, slow, 14)[0] == pytest.approx(2 * often), "half as many examples"


def test_slow_renderers_bring_more_crops_beside_pages_and_fast_ones_change_nothing():
    plan = QUARTER_HOUR
    assert adapted(plan, plan.phases, 480, COSTS) == plan.phases
    slow = Costs({kind: 9 * cost for kind, cost in COSTS.render.items()}, COSTS.train)
    changed = adapted(plan, plan.phases, 480, slow)
    assert [part.batch for part in changed[1].parts] == [192, 4096]
    assert changed[0] == plan.phases[0] and changed[2] == plan.phases[2]
    assert uses(changed, 480, slow, 14)[0] < uses(plan.phases, 480, slow, 14)[0]
    assert adapted(replace(plan, uses=1e9), plan.phases, 480, slow) == plan.phases
