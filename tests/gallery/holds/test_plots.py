"""gallery.holds.plots: places along axes, rows of marks, curves."""

import re

import pytest

from gallery.holds.plots import MARGIN, SHAPES, WIDTH, Scale, curve_plot, legend, steps_of, strip_plot


def test_a_scale_leads_from_one_end_to_the_other_and_never_beyond() -> None:
    linear, log = Scale(10, 20, 0, 100), Scale(0.01, 100, 0, 100, log=True)
    assert [linear(value) for value in (10, 15, 20, 5, 99)] == [0, 50, 100, 0, 100]
    assert [round(log(value), 6) for value in (0.01, 1, 100, 0)] == [0, 50, 100, 0]


def test_a_strip_plot_has_a_row_for_each_label_and_a_mark_for_each_value() -> None:
    plot = strip_plot({"one": [[20.0, 40.0], [30.0]], "two": [[], [25.0]]}, threshold=22.0)
    assert [strip.label for strip in plot.strips] == ["one", "two"]
    assert [[marks.count("z") for marks in strip.marks] for strip in plot.strips] == [[2, 1], [0, 1]]
    assert [tick.label for tick in plot.ticks] == ["20", "25", "30", "35", "40"]
    assert (plot.ticks[0].at, plot.ticks[-1].at) == (MARGIN, WIDTH - MARGIN)
    assert plot.threshold == pytest.approx(MARGIN + (WIDTH - 2 * MARGIN) / 10, abs=0.1)
    assert plot.strips[0].y < plot.strips[1].y < plot.foot


@pytest.mark.parametrize("values", [[0.01, 100.0], [3.0], [0.5, 0.6]])
def test_a_logarithmic_axis_ends_at_powers_of_ten(values: list[float]) -> None:
    labels = [float(tick.label) for tick in strip_plot({"row": [values]}, log=True).ticks]
    assert labels[0] <= min(values) and labels[-1] >= max(values)
    assert len(labels) > 1


@pytest.mark.parametrize("values", [[], [0.0], [5.0, 5.0], [-3.0, 1e4]])
def test_any_values_have_an_axis_with_room_for_them(values: list[float]) -> None:
    ticks = [float(tick.label) for tick in strip_plot({"row": [values]}).ticks]
    assert 2 <= len(ticks) <= 9
    assert not values or ticks[0] <= min(values) <= max(values) <= ticks[-1]


def test_a_curve_falls_in_steps_and_stays_in_its_field() -> None:
    corners = steps_of([(1.0, 50.0), (10.0, 5.0), (100.0, 0.2)])
    assert corners == [(1.0, 50.0), (1.0, 5.0), (10.0, 5.0), (10.0, 0.2), (100.0, 0.2)]
    plot = curve_plot([corners, []])
    numbers = [float(number) for number in re.findall(r"[\d.]+", plot.curves[0])]
    assert numbers[::2] == sorted(numbers[::2]) and numbers[1::2] == sorted(numbers[1::2])
    assert max(numbers[1::2]) <= plot.foot and plot.curves[1] == ""
    assert [level.label for level in plot.levels] == ["10", "100"]


def test_each_series_has_a_shape_of_its_own() -> None:
    assert len({shape for _, shape in legend(list("abcd"))}) == len(SHAPES) == 4
