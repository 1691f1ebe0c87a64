from __future__ import annotations

import numpy as np
import pytest

from relaytune.core.statistics.bounded import bounded_mean_interval


def _interval(values: list[float], bounds: tuple[float, float] = (0, 1)) -> tuple[float, float]:
    return bounded_mean_interval([(value, 1) for value in values], bounds)


@pytest.mark.parametrize("size", [20, 100, 1000])
def test_of_nothing_but_zeros_a_little_more_is_possible_than_the_exact_binomial_limit(size: int) -> None:
    """Clopper and Pearson's limit is the best that can be had of zeros and ones."""
    low, high = _interval([0.0] * size)
    exact = 1 - 0.025 ** (1 / size)
    assert low == 0
    assert exact < high < 1.4 * exact


def test_28_rows_without_a_difference_exclude_a_change_of_half_a_point_of_three() -> None:
    assert _interval([0.0] * 27, (-3, 3))[1] > 0.5 > _interval([0.0] * 28, (-3, 3))[1]


def test_swapped_contenders_get_the_mirrored_interval_and_order_does_not_matter() -> None:
    values = [0.0] * 40 + [3.0, -1.0, 2.0]
    low, high = _interval(values, (-3, 3))
    assert low < sum(values) / len(values) < high
    assert _interval([-value for value in values], (-3, 3)) == pytest.approx((-high, -low))
    assert _interval(values[::-1], (-3, 3)) == pytest.approx((low, high))


def test_it_scales_with_the_range() -> None:
    values = [0.0] * 30 + [1.0]
    low, high = _interval(values)
    assert _interval([100 * value for value in values], (0, 100)) == pytest.approx((100 * low, 100 * high))


def test_copies_of_a_prompt_do_not_narrow_it_and_unequal_prompts_count_by_their_rows() -> None:
    rare = [(0.0, 1)] * 50 + [(1.0, 1)]
    assert bounded_mean_interval([(3 * total, 3 * size) for total, size in rare], (0, 1)) == pytest.approx(
        bounded_mean_interval(rare, (0, 1))
    )
    unequal = [(0.0, 1)] * 25 + [(0.0, 4)] * 25 + [(4.0, 4)]
    low, high = bounded_mean_interval(unequal, (0, 1))
    assert low < 4 / 129 < high
    assert high > bounded_mean_interval(rare, (0, 1))[1]


def test_rare_large_errors_are_covered_where_most_samples_show_none() -> None:
    """One in 100 answers has 3 errors: of 40 answers two thirds show none, and a bootstrap would say there are none."""
    random = np.random.default_rng(0)
    samples = (3.0 * (random.random((400, 40)) < 0.01)).tolist()
    limits = [_interval(sample, (0, 3)) for sample in samples]
    assert sum(low <= 0.03 <= high for low, high in limits) >= 0.975 * len(limits)


def test_a_value_outside_its_range_is_refused_and_rounding_is_none() -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        _interval([0.5] * 20 + [1.1])
    assert _interval([1.0 + 1e-12] * 20)[1] == 1.0
