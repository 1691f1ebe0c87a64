from __future__ import annotations

from collections.abc import Sequence

import pytest

from relaytune.core.metrics import Metric
from relaytune.core.results import Comparison
from relaytune.evaluation.estimating import Values, adjusted, compare, compare_preferences, estimate

SHARE = Metric("parses", "share", "format", "can be read")
MEAN = Metric("clarity", "mean", "judge", "points")
PREFERENCE = Metric("preference", "preference", "judge", "preferred")


def _by_row(values: Sequence[float | None]) -> dict[str, float | None]:
    return {str(row): value for row, value in enumerate(values)}


def _own(values: Values) -> dict[str, str]:
    return {row: row for row in values}


def test_a_share_of_few_rows_states_no_interval() -> None:
    nine, ten = _by_row([1.0] * 9), _by_row([1.0] * 10)
    assert (estimate(SHARE, nine, _own(nine)).value, estimate(SHARE, nine, _own(nine)).low) == (1.0, None)
    assert estimate(SHARE, ten, _own(ten)).low == pytest.approx(0.7225, abs=1e-4)


def test_a_mean_of_few_rows_states_no_interval() -> None:
    few, more = _by_row([row % 5 for row in range(19)]), _by_row([row % 5 for row in range(20)])
    assert (estimate(MEAN, few, _own(few)).low, estimate(MEAN, few, _own(few)).high) == (None, None)
    found = estimate(MEAN, more, _own(more))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 2 < found.high
    assert found.right is None


def test_points_that_hardly_vary_have_an_interval_within_their_scale() -> None:
    points = Metric("factual_errors", "mean", "judge", "points", lower_is_better=True, bounds=(0, 3))
    none, one = _by_row([0.0] * 50), _by_row([0.0] * 49 + [3.0])
    found, compared = estimate(points, none, _own(none)), compare(points, "a", "b", one, none, _own(none))
    assert found.low == 0
    assert found.high == pytest.approx(0.284, abs=0.001)
    assert compared.low == pytest.approx(-0.25, abs=0.05)
    assert compared.high == pytest.approx(0.5, abs=0.1)
    assert estimate(MEAN, none, _own(none)).low is None


def test_rows_that_are_few_prompts_are_few() -> None:
    values = _by_row([1.0, 0.0] * 20)
    nine_prompts = {row: str(int(row) % 9) for row in values}
    assert estimate(SHARE, values, nine_prompts).low is None
    assert compare(SHARE, "a", "b", values, values, nine_prompts).low is None


def test_unscored_values_count_for_no_estimate() -> None:
    values = _by_row([1.0, 0.0, None, None])
    found = estimate(SHARE, values, _own(values))
    assert (found.value, found.scored, found.unscored, found.right) == (0.5, 2, 2, 1)
    nothing = estimate(SHARE, _by_row([None] * 3), _own(_by_row([None] * 3)))
    assert (nothing.value, nothing.low, nothing.scored, nothing.unscored) == (None, None, 0, 3)


def test_swapping_two_contenders_mirrors_their_comparison() -> None:
    first, second = _by_row([float(row % 5) for row in range(40)]), _by_row([float(row % 3) for row in range(40)])
    one = compare(MEAN, "a", "b", first, second, _own(first))
    other = compare(MEAN, "b", "a", second, first, _own(first))
    assert (one.difference, one.p_value) == (-other.difference, other.p_value)
    assert (one.wins, one.losses) == (other.losses, other.wins)
    assert one.low is not None
    assert other.high is not None
    assert one.low == pytest.approx(-other.high)


def test_a_comparison_without_a_pair_tells_no_difference() -> None:
    none = compare(SHARE, "a", "b", _by_row([1.0, None]), _by_row([None, 1.0]), {"0": "0", "1": "1"})
    assert (none.num_pairs, none.num_unscored, none.difference, none.p_value, none.low) == (0, 2, 0.0, 1.0, None)


def test_several_rows_of_one_prompt_are_one_case_in_the_test() -> None:
    """Ten prompts won by five rows each are ten wins, not fifty."""
    outcomes = _by_row([1.0] * 50)
    clusters = {row: str(int(row) // 5) for row in outcomes}
    found = compare_preferences(PREFERENCE, "a", "b", outcomes, clusters)
    assert (found.wins, found.num_pairs, found.num_clusters) == (50, 50, 10)
    assert found.p_value == pytest.approx(2 / 2**10)


def test_every_prompt_thrice_leaves_the_interval_of_a_preference_as_it_is() -> None:
    once = [1.0] * 20 + [-1.0] * 8 + [0.0] * 12
    thrice = _by_row(once * 3)
    single = compare_preferences(PREFERENCE, "a", "b", _by_row(once), _own(_by_row(once)))
    repeated = compare_preferences(PREFERENCE, "a", "b", thrice, {row: str(int(row) % 40) for row in thrice})
    assert single.low is not None
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))
    assert repeated.p_value == pytest.approx(single.p_value)


def _with_p(metric: Metric, p_value: float, other: str = "base", num_pairs: int = 50) -> Comparison:
    return Comparison(
        metric.name, "tuned", other, num_pairs, 0, num_pairs, 10, 5, None, 0.1, 0.0, 0.2, p_value, p_value
    )


def test_p_is_corrected_for_the_metrics_of_one_group_and_two_contenders_only() -> None:
    bleu = Metric("sentence_bleu", "mean", "overlap", "overlap")
    rouge = Metric("rouge_l", "mean", "overlap", "overlap")
    given = [_with_p(bleu, 0.01), _with_p(rouge, 0.04), _with_p(rouge, 0.04, "few_shot"), _with_p(SHARE, 0.03)]
    metrics = {metric.name: metric for metric in (bleu, rouge, SHARE)}
    assert [row.adjusted_p_value for row in adjusted(given, metrics)] == [0.02, 0.04, 0.04, 0.03]
    assert [row.p_value for row in adjusted(given, metrics)] == [0.01, 0.04, 0.04, 0.03]


def test_a_metric_that_could_not_be_compared_is_not_corrected_for() -> None:
    likeliest = Metric("likeliest", "share", "format", "likeliest")
    given = [_with_p(SHARE, 0.03), _with_p(likeliest, 1.0, num_pairs=0)]
    (tested, _) = adjusted(given, {SHARE.name: SHARE, likeliest.name: likeliest})
    assert tested.adjusted_p_value == 0.03
