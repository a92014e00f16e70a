"""bench.large: what is measured at SD 1.5's size on which processor, and whether it fits."""

from pathlib import Path

import pytest

from bench import first_page, large


def ignore(line: str) -> None:
    """Nobody waits."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The sides and precisions that were measured; the press takes half of the pipeline's time."""
    found = []

    def measure(side: str, slug: str, weights: Path, precision: str, steps: int, threads: int) -> first_page.FirstPage:
        found.append((side, precision))
        share = 0.5 if side == "press" else 1.0
        previews = (0.001,) if side == "press" else ()
        return first_page.FirstPage(40 * share, (10 * share,) * (steps - 1), 10 * share, previews, int(4e9 * share))

    monkeypatch.setattr(first_page, "measure", measure)
    return found


def test_a_processor_without_bfloat16_never_runs_it(asked):
    lines = large.measure(Path("weights"), False, 2, 2, ignore)
    assert asked == [("press", "float32"), ("pipeline", "float32")] * 2
    assert all(line.kept for line in lines)


def test_a_processor_with_bfloat16_is_compared_with_the_pipeline_in_both(asked):
    lines = large.measure(Path("weights"), True, 2, 2, ignore)
    assert asked == [("press", "bfloat16"), ("pipeline", "bfloat16")] * 2 + [("pipeline", "float32")]
    assert len(lines) == 6


def test_a_slow_processor_measures_fewer_rounds_and_then_none():
    fast = [large.rounds_that_fit(450, rate) for rate in (300e9, 150e9, 75e9, 30e9)]
    assert fast == [2, 2, 1, 0]
    assert large.rounds_that_fit(-5, 150e9) == 0
