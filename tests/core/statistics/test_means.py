from __future__ import annotations

import random

import pytest
from scipy.stats import t

from relaytune.core.statistics import mean_interval
from relaytune.core.statistics.means import MIN_CLUSTERS_FOR_MEAN, MIN_DEPARTING


def _normal(size: int, seed: int = 1) -> list[float]:
    numbers = random.Random(seed)
    return [numbers.gauss(0.3, 1) for _ in range(size)]


def _student(values: list[float]) -> tuple[float, float]:
    size = len(values)
    mean = sum(values) / size
    variance = sum((value - mean) ** 2 for value in values) / (size - 1)
    reach = float(t.ppf(0.975, size - 1)) * (variance / size) ** 0.5
    return mean - reach, mean + reach


def test_of_many_normal_values_it_is_students_interval() -> None:
    values = _normal(400)
    assert mean_interval(values) == pytest.approx(_student(values), abs=0.01)


def test_with_few_rows_it_is_never_narrower_than_students() -> None:
    values = _normal(25)
    interval = mean_interval(values)
    assert interval is not None
    low, high = _student(values)
    assert interval[0] <= low + 1e-12
    assert interval[1] >= high - 1e-12


def test_it_reaches_farther_to_the_side_of_the_long_tail() -> None:
    values = [2.0 ** (number % 9) for number in range(90)]
    mean = sum(values) / len(values)
    interval = mean_interval(values)
    assert interval is not None
    assert interval[1] - mean > 1.1 * (mean - interval[0])


@pytest.mark.parametrize("size", [30, 80])
def test_swapped_contenders_get_the_mirrored_interval_and_order_does_not_matter(size: int) -> None:
    values, prompts = [value**3 for value in _normal(size)], [row * 2 // 3 for row in range(size)]
    interval = mean_interval(values, prompts)
    assert interval is not None
    assert mean_interval([-value for value in values], prompts) == (-interval[1], -interval[0])
    assert mean_interval(values[::-1], prompts[::-1]) == interval
    assert mean_interval(values, prompts) == interval != mean_interval(values, prompts, seed=1)


def test_copies_of_a_prompt_do_not_narrow_it() -> None:
    values, rows = _normal(60), list(range(60))
    assert mean_interval(values * 3, rows * 3) == pytest.approx(mean_interval(values))


def test_unequal_prompts_count_by_their_rows() -> None:
    values = [value for row, value in enumerate(_normal(60)) for _ in range(1 + row % 3)]
    prompts = [row for row in range(60) for _ in range(1 + row % 3)]
    interval = mean_interval(values, prompts)
    assert interval is not None
    assert interval[0] < sum(values) / len(values) < interval[1]
    as_if_independent = mean_interval(values)
    assert as_if_independent is not None
    assert interval[1] - interval[0] > 1.2 * (as_if_independent[1] - as_if_independent[0])


def test_with_too_few_prompts_nothing_is_stated() -> None:
    values = _normal(MIN_CLUSTERS_FOR_MEAN)
    assert mean_interval(values) is not None
    assert mean_interval(values[1:]) is None
    assert mean_interval(values * 5, list(range(19)) * 5 + [0] * 5) is None
    assert mean_interval([]) is None


def test_where_nearly_all_rows_are_the_same_nothing_is_stated_without_bounds() -> None:
    assert mean_interval([3.0] * 200) is None
    assert mean_interval([0.0] * 200 + [1.0] * (MIN_DEPARTING - 1)) is None
    assert mean_interval([0.0] * 200 + [1.0] * MIN_DEPARTING) is not None


def test_bounds_give_an_interval_where_nearly_all_rows_are_the_same_and_change_no_other() -> None:
    rare, enough = [0.0] * 60 + [1.0] * (MIN_DEPARTING - 1), [0.0] * 60 + [1.0] * MIN_DEPARTING
    assert mean_interval(rare, bounds=(0, 3)) is not None
    for values in (enough, [value / 5 for value in range(20)] * 3):
        assert mean_interval(values, bounds=(0, 5)) == mean_interval(values)
    assert mean_interval(rare[-19:], bounds=(0, 3)) is None
