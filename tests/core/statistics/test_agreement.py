from __future__ import annotations

import pytest

from relaytune.core.statistics import measure_agreement, wilson_interval
from relaytune.core.statistics.agreement import MIN_CLUSTERS_FOR_KAPPA


def _raters(table: list[list[int]]) -> tuple[list[str], list[str]]:
    """Labels of two raters from a table: rows the first one's categories, columns the second one's."""
    pairs = [
        ("abc"[one], "abc"[other])
        for one, row in enumerate(table)
        for other, count in enumerate(row)
        for _ in range(count)
    ]
    return [one for one, _ in pairs], [other for _, other in pairs]


def test_kappa_and_interval_of_the_textbook() -> None:
    # Fleiss, Levin & Paik 2003, Statistical Methods for Rates and Proportions, section 18.1: 0.68, 0.51 to 0.85
    agreement = measure_agreement(*_raters([[75, 1, 4], [5, 4, 1], [0, 0, 10]]))
    assert agreement.num_rows == 100
    assert agreement.agreeing_share == pytest.approx(0.89)
    assert agreement.kappa == pytest.approx(0.676, abs=5e-4)
    # theirs is symmetric around kappa; ours is drawn away from 1, and as wide as that of the agreeing share
    assert agreement.interval is not None
    low, high = agreement.interval
    assert 0.43 < low < 0.51
    assert 0.80 < high < 0.85
    by_chance = (80 * 80 + 10 * 6 + 10 * 14) / 100**2
    assert low == pytest.approx((wilson_interval(89, 100)[0] - by_chance) / (1 - by_chance), abs=0.01)


def test_as_much_agreement_as_by_chance_is_0() -> None:
    agreement = measure_agreement(*_raters([[25, 25], [25, 25]]))
    assert agreement.kappa == pytest.approx(0)
    assert agreement.interval == pytest.approx((-0.195, 0.195), abs=0.01)


def test_perfect_agreement_is_1_and_not_certain() -> None:
    agreement = measure_agreement(*_raters([[15, 0], [0, 15]]))
    assert agreement.kappa == 1
    assert agreement.interval is not None
    assert 0.7 < agreement.interval[0] < 0.85
    assert agreement.interval[1] == 1


def test_one_category_only_says_nothing() -> None:
    agreement = measure_agreement(["a"] * 50, ["a"] * 50)
    assert (agreement.agreeing_share, agreement.kappa, agreement.interval) == (1, None, None)


def test_one_rater_with_one_category_agrees_as_chance_does() -> None:
    agreement = measure_agreement(["a"] * 50, ["a"] * 40 + ["b"] * 10)
    assert agreement.kappa == pytest.approx(0)


def test_rows_that_a_rater_left_unlabelled_do_not_count() -> None:
    first, second = _raters([[20, 5], [10, 15]])
    assert measure_agreement([*first, None, "a", None], [*second, "b", None, None]) == measure_agreement(first, second)
    nothing = measure_agreement([None, "a"], ["a", None])
    assert (nothing.num_rows, nothing.agreeing_share, nothing.kappa) == (0, None, None)


def test_raters_may_change_places_and_copies_narrow_nothing() -> None:
    first, second = _raters([[20, 5], [10, 15]])
    once = measure_agreement(first, second)
    swapped = measure_agreement(second, first)
    assert swapped.kappa == pytest.approx(once.kappa)
    assert swapped.interval == pytest.approx(once.interval)
    rows = list(range(50))
    thrice = measure_agreement(first * 3, second * 3, rows * 3)
    assert thrice.kappa == pytest.approx(once.kappa)
    assert thrice.interval == pytest.approx(once.interval)


def test_with_too_few_prompts_kappa_stands_without_interval() -> None:
    few = MIN_CLUSTERS_FOR_KAPPA - 1
    first, second = ["a", "b"] * 50, ["a", "b", "b", "b"] * 25
    agreement = measure_agreement(first, second, [row % few for row in range(100)])
    assert agreement.kappa == pytest.approx(0.5)
    assert agreement.interval is None
    assert measure_agreement(first, second, [row % (few + 1) for row in range(100)]).interval is not None
