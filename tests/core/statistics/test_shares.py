from __future__ import annotations

from itertools import product

import pytest
from scipy.stats import multinomial

from relaytune.core.statistics import (
    independent_difference_interval,
    paired_difference_interval,
    paired_share_interval,
    preference_interval,
    share_interval,
    tango_interval,
    wilson_interval,
)
from relaytune.core.statistics.shares import MIN_CLUSTERS_FOR_SHARE


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


@pytest.mark.parametrize(
    ("wins", "losses", "rows", "low", "high"),
    [(6, 16, 161, -0.1240, -0.0054), (1, 7, 21, -0.517, -0.026)],
)
def test_tango_gives_the_intervals_published_for_two_trials(
    wins: int, losses: int, rows: int, low: float, high: float
) -> None:
    # Cavo 2012 and Bentur 2009, in Fagerland, Lydersen & Laake 2014, Stat Med 33:2850-2875
    digits = len(str(high).split(".")[1])
    assert [round(limit, digits) for limit in tango_interval(wins, losses, rows)] == [low, high]


def test_tango_knows_nothing_of_nothing_and_little_of_ties() -> None:
    assert tango_interval(0, 0, 0) == (-1, 1)
    low, high = tango_interval(0, 0, 50)
    assert low == pytest.approx(-high)
    assert high == pytest.approx(wilson_interval(0, 50)[1], abs=1e-6)


def test_all_won_is_certain_upwards_only() -> None:
    low, high = tango_interval(30, 0, 30)
    assert high == 1
    assert 0.7 < low < 0.9
    assert tango_interval(0, 30, 30) == pytest.approx((-high, -low))


def test_prompts_asked_once_have_the_plain_intervals() -> None:
    first, second = [1] * 32 + [0] * 18, [1] * 20 + [0] * 12 + [1] * 2 + [0] * 16
    rows = [f"row {number}" for number in range(50)]
    assert share_interval(first, rows) == share_interval(first) == pytest.approx(wilson_interval(32, 50))
    assert paired_share_interval(first, second, rows) == pytest.approx(paired_difference_interval(20, 12, 2, 16))
    outcomes = [one - other for one, other in zip(first, second, strict=True)]
    assert preference_interval(outcomes, rows) == pytest.approx(tango_interval(12, 2, 50))


def test_copies_of_a_prompt_do_not_narrow_an_interval() -> None:
    first, second = [1] * 32 + [0] * 18, [1] * 20 + [0] * 12 + [1] * 2 + [0] * 16
    outcomes = [one - other for one, other in zip(first, second, strict=True)]
    thrice = [row for row in range(50) for _ in range(3)]
    assert share_interval([first[row] for row in thrice], thrice) == pytest.approx(share_interval(first))
    assert paired_share_interval(
        [first[row] for row in thrice], [second[row] for row in thrice], thrice
    ) == pytest.approx(paired_share_interval(first, second))
    assert preference_interval([outcomes[row] for row in thrice], thrice) == pytest.approx(
        preference_interval(outcomes)
    )


def test_all_right_on_repeated_prompts_counts_the_prompts() -> None:
    thrice = [row for row in range(20) for _ in range(3)]
    assert share_interval([1] * 60, thrice) == pytest.approx(wilson_interval(20, 20))


def test_swapped_contenders_get_the_mirrored_interval() -> None:
    first, second = [1] * 30 + [0] * 20, [1] * 10 + [0] * 40
    prompts = [row // 2 for row in range(50)]
    interval, mirrored = paired_share_interval(first, second, prompts), paired_share_interval(second, first, prompts)
    assert interval is not None
    assert mirrored == pytest.approx((-interval[1], -interval[0]))
    outcomes = [1] * 25 + [0] * 15 + [-1] * 10
    interval = preference_interval(outcomes, prompts)
    assert interval is not None
    assert preference_interval([-outcome for outcome in outcomes], prompts) == pytest.approx(
        (-interval[1], -interval[0])
    )


def test_with_too_few_prompts_nothing_is_stated() -> None:
    few = MIN_CLUSTERS_FOR_SHARE - 1
    assert share_interval([]) is None
    assert share_interval([1] * few) is None
    assert share_interval([1] * (few + 1)) is not None
    assert paired_share_interval([1] * few, [0] * few) is None
    assert preference_interval([1] * few) is None
    # many rows of few prompts are no more
    assert share_interval([1, 0] * 50, [row % few for row in range(100)]) is None


def test_rows_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_share_interval([1] * 20, [1] * 19)
    with pytest.raises(ValueError, match="zip"):
        share_interval([1, 0] * 20, list(range(39)))


def test_the_difference_of_independent_shares_is_newcombes_tenth_method() -> None:
    # Newcombe 1998, Stat Med 17:873-890, table II: 56/70 - 48/80
    first, second = 56 / 70, 48 / 80
    low, high = independent_difference_interval((first, *wilson_interval(56, 70)), (second, *wilson_interval(48, 80)))
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)
