from __future__ import annotations

from itertools import product

import pytest
from scipy.stats import binom, multinomial

from relaytune.core.statistics import (
    mcnemar_exact,
    paired_difference_interval,
    pairs_needed,
    smallest_detectable_difference,
    wilson_interval,
)


@pytest.mark.parametrize(("right", "low", "high"), [(11, 16.1, 42.8), (16, 26.3, 55.4)])
def test_wilson_gives_the_published_intervals_of_shares_of_40(right: int, low: float, high: float) -> None:
    assert [round(100 * limit, 1) for limit in wilson_interval(right, 40)] == [low, high]


def test_wilson_stays_between_0_and_1_and_knows_nothing_of_nothing() -> None:
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10)[1] == 1
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((20, 12, 2, 16), 0.0562, 0.3292),
        ((18, 12, 2, 18), 0.0562, 0.3290),
        ((36, 14, 0, 0), 0.1528, 0.4167),
        ((35, 14, 0, 1), 0.1461, 0.4175),
        ((18, 14, 0, 18), 0.1441, 0.3963),
        ((2, 97, 1, 0), 0.8721, 0.9854),
        ((1, 97, 1, 1), 0.8736, 0.9850),
        ((0, 29, 1, 0), 0.6666, 0.9882),
        ((2, 98, 0, 0), 0.9178, 0.9945),
        ((0, 30, 0, 0), 0.8395, 1.0000),
        ((54, 0, 0, 0), -0.0664, 0.0664),
        ((53, 0, 0, 1), -0.0729, 0.0729),
        ((27, 0, 0, 27), -0.0351, 0.0351),
    ],
)
def test_paired_intervals_are_those_of_newcombes_table_iii(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert paired_difference_interval(*table) == pytest.approx((low, high), abs=1e-4)


def test_the_paired_interval_turns_round_with_the_order() -> None:
    low, high = paired_difference_interval(20, 12, 2, 16)
    assert paired_difference_interval(20, 2, 12, 16) == pytest.approx((-high, -low))


def test_without_pairs_a_difference_may_be_anything() -> None:
    assert paired_difference_interval(0, 0, 0, 0) == (-1, 1)


def test_the_paired_interval_covers_the_truth_in_about_95_of_100_cases() -> None:
    pairs, shares = 20, (0.4, 0.3, 0.1, 0.2)
    tables = [
        (both, first, second, pairs - both - first - second)
        for both, first, second in product(range(pairs + 1), repeat=3)
        if both + first + second <= pairs
    ]
    weights = multinomial.pmf(tables, pairs, shares)
    # unlikely tables cannot move the sum by more than 0.005
    likely = [(table, weight) for table, weight in zip(tables, weights, strict=True) if weight > 3e-5]
    assert sum(weight for _, weight in likely) > 0.99
    covered = 0.0
    for table, weight in likely:
        low, high = paired_difference_interval(*table)
        covered += weight if low <= shares[1] - shares[2] <= high else 0
    assert 0.93 < covered < 0.98


def test_mcnemar_is_the_two_sided_coin_toss() -> None:
    assert mcnemar_exact(8, 1) == pytest.approx(2 * (1 + 9) / 2**9)
    assert mcnemar_exact(1, 8) == mcnemar_exact(8, 1)
    assert mcnemar_exact(5, 0) > 0.05 > mcnemar_exact(6, 0)


def test_without_discordant_pairs_p_is_1() -> None:
    assert mcnemar_exact(0, 0) == 1
    assert mcnemar_exact(7, 7) == 1


def _power(pairs: int, discordant_share: float, difference: float) -> float:
    win_share = (discordant_share + difference) / (2 * discordant_share)
    return sum(
        float(binom.pmf(discordant, pairs, discordant_share) * binom.pmf(wins, discordant, win_share))
        for discordant in range(pairs + 1)
        for wins in range(discordant + 1)
        if 2 * wins > discordant and mcnemar_exact(wins, discordant - wins) <= 0.05
    )


@pytest.mark.parametrize(("pairs", "discordant_share"), [(20, 0.4), (60, 0.25)])
def test_the_smallest_detectable_difference_is_found_with_80_percent_power_and_no_smaller_one(
    pairs: int, discordant_share: float
) -> None:
    smallest = smallest_detectable_difference(pairs, discordant_share)
    assert _power(pairs, discordant_share, smallest) >= 0.8
    assert _power(pairs, discordant_share, smallest - 0.002) < 0.8


def test_more_rows_detect_smaller_differences_and_few_rows_detect_none() -> None:
    by_rows = [smallest_detectable_difference(pairs) for pairs in (50, 160, 500, 2000)]
    assert by_rows == sorted(by_rows, reverse=True)
    assert by_rows[-1] < 0.05
    assert smallest_detectable_difference(10) == 1.0
    assert smallest_detectable_difference(0) == 1.0


def test_pairs_needed_gives_connors_number() -> None:
    assert pairs_needed(0.10, 0.20) == 155
    assert pairs_needed(-0.10, 0.20) == 155
    assert pairs_needed(0.0, 0.20) is None


def test_pairs_needed_is_never_less_than_the_exact_test_can_reject_with() -> None:
    assert pairs_needed(1.0, 1.0) == 6
