from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from relaytune.core.results import TrainingStep
from relaytune.reporting.charts import (
    Interval,
    Outcomes,
    difference_chart,
    loss_chart,
    mean_chart,
    mean_difference_chart,
    outcome_chart,
    rate_chart,
)


def _percent(text: str | None) -> float:
    assert text is not None
    return float(text.removesuffix("%"))


def _step(step: int, train: float | None, validation: float | None = None) -> TrainingStep:
    return TrainingStep(step, 8 * step, 100 * step, train, 1e-3, 1.0, float(step), validation)


def test_a_dot_lies_within_its_interval_and_the_interval_within_the_axis() -> None:
    chart = ElementTree.fromstring(rate_chart([Interval("tuned", "tuned", 1.0, 0.8, 1.0, "100%")], "a chart"))
    dot, line = chart.find("circle"), chart.find("line[@class='series tuned range']")
    assert dot is not None
    assert line is not None
    assert _percent(line.get("x1")) < _percent(dot.get("cx")) == _percent(line.get("x2")) < 100


def test_zero_difference_lies_in_the_middle_and_bounds_stay_inside() -> None:
    rows = [
        Interval("a − b", "tuned", -0.93, -1.0, -0.8, ""),
        Interval("c − b", "base", 0.0, -0.01, 0.01, ""),
    ]
    chart = ElementTree.fromstring(difference_chart(rows, "a chart"))
    zero = chart.find("line[@class='zero']")
    assert zero is not None
    dots = [_percent(dot.get("cx")) for dot in chart.findall("circle")]
    assert dots[1] == _percent(zero.get("x1")) == 50
    assert 0 < dots[0] < 50


def test_what_has_no_value_gets_no_dot() -> None:
    chart = rate_chart([Interval("tuned", "tuned", None, None, None, "not scored")], "a chart")
    assert "circle" not in chart
    assert "not scored" in chart


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 0.0), (91.2, 91.2), (-0.31, 0.02), (0.0046, 0.0051), (88.1, 12_093.7), (-4.0, -4.0)]
)
def test_the_axis_of_means_spans_every_interval_with_round_numbers(low: float, high: float) -> None:
    chart = ElementTree.fromstring(mean_chart([Interval("a", "tuned", (low + high) / 2, low, high, "")], "a chart"))
    ticks = [float(text.text or "") for text in chart.findall("text[@class='tick']")]
    assert ticks == sorted(set(ticks))
    assert 2 <= len(ticks) <= 7
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= high - 1e-9
    line = chart.find("line[@class='series tuned range']")
    assert line is not None
    assert 0 < _percent(line.get("x1")) <= _percent(line.get("x2")) < 100


def test_differences_of_means_have_zero_in_the_middle_and_their_own_unit() -> None:
    rows = [Interval("a − b", "tuned", 0.031, 0.012, 0.047, "")]
    chart = ElementTree.fromstring(mean_difference_chart(rows, "a chart"))
    assert [text.text for text in chart.findall("text[@class='tick']")] == ["−0.05", "−0.025", "0", "+0.025", "+0.05"]


def test_a_bar_has_the_lengths_of_won_tied_and_lost_in_this_order() -> None:
    chart = ElementTree.fromstring(outcome_chart([Outcomes("x", "tuned", "base", 5, 3, 2, "", refused=False)], ""))
    parts = [(bar.get("class"), bar.get("x"), bar.get("width")) for bar in chart.findall("rect")]
    assert parts == [
        ("outcome tuned", "0.00%", "50.00%"),
        ("outcome tied", "50.00%", "30.00%"),
        ("outcome base", "80.00%", "20.00%"),
    ]


def test_a_judge_without_any_scored_pair_has_no_bar() -> None:
    chart = outcome_chart([Outcomes("x", "tuned", "base", 0, 0, 0, "", refused=True)], "")
    assert "rect" not in chart


def test_labels_are_escaped() -> None:
    chart = rate_chart([Interval("<b>&", 'x" onload="', 0.5, 0.4, 0.6, "</svg>")], '"><script>')
    assert "<script" not in chart
    assert chart.count("</svg>") == 1
    assert ElementTree.fromstring(chart).findtext("text[@class='label halo']") == "<b>&"


def test_the_best_step_is_marked_at_its_own_validation_loss() -> None:
    steps = [_step(1, 2.0, 1.9), _step(2, 1.0, 0.7), _step(3, 0.9, 0.8)]
    chart = ElementTree.fromstring(loss_chart(steps, 2.5, best_step=2))
    best = chart.find("circle[@class='curve validation dot best']")
    line = chart.find("line[@class='best-line']")
    assert best is not None
    assert line is not None
    assert best.get("cx") == line.get("x1")
    assert "kept, step 2: 0.700" in "".join(chart.itertext())
    # lower on the page is a lower loss
    assert all(float(best.get("cy", "0")) >= float(dot.get("cy", "0")) for dot in chart.findall("circle"))


def test_the_validation_curve_begins_before_the_first_step() -> None:
    chart = ElementTree.fromstring(loss_chart([_step(1, 2.0), _step(2, 1.0, 0.7)], 2.5, best_step=2))
    assert [dot.get("cx") for dot in chart.findall("circle")] == ["1.50%", "98.50%"]


def test_a_long_run_is_drawn_with_few_points_that_keep_its_mean() -> None:
    chart = loss_chart([_step(step, 1.0 if step % 2 else 3.0) for step in range(1, 10_001)], None, None)
    (points,) = re.findall(r'class="curve train" points="([^"]*)"', chart)
    heights = {point.split(",")[1] for point in points.split()}
    assert len(points.split()) <= 240
    assert len(heights) <= 2  # even groups have the mean 2


def test_a_run_without_a_loss_has_no_curve() -> None:
    assert loss_chart([_step(1, None), _step(2, None)], None, 1) == ""
    assert loss_chart([], None, None) == ""


def test_losses_of_zero_can_be_drawn() -> None:
    ElementTree.fromstring(loss_chart([_step(1, 0.0, 0.0)], 0.0, 1))
