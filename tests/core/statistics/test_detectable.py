from __future__ import annotations

import pytest
from scipy.stats import binom

from relaytune.core.statistics import (
    mcnemar_exact,
    pairs_needed,
    sign_test_power,
    smallest_detectable_difference,
    smallest_detectable_mean_difference,
    smallest_detectable_win_share,
)


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


def test_power_is_summed_over_every_outcome() -> None:
    assert sign_test_power(40, 0.4, 0.2) == pytest.approx(_power(40, 0.4, 0.2))
    assert sign_test_power(40, 0.4, -0.2) == sign_test_power(40, 0.4, 0.2)
    # without a difference: half of the false positives
    assert 2 * sign_test_power(50, 1.0, 0.0) == pytest.approx(2 * binom.cdf(17, 50, 0.5))


def test_50_prompts_show_70_to_30_and_not_60_to_40() -> None:
    share = smallest_detectable_win_share(50)
    assert share is not None
    assert round(share, 2) == 0.70
    assert sign_test_power(50, 1.0, 0.2) < 0.25


def test_ties_make_a_preference_harder_to_show() -> None:
    by_ties = [smallest_detectable_win_share(100, tie_share) or 1.0 for tie_share in (0.0, 0.36, 0.7)]
    assert by_ties == sorted(by_ties)
    assert by_ties[0] < 0.66 < by_ties[-1]


def test_too_few_decided_prompts_show_nothing() -> None:
    assert smallest_detectable_win_share(5) is None
    assert smallest_detectable_win_share(0) is None
    assert smallest_detectable_win_share(50, tie_share=0.95) is None
    assert smallest_detectable_win_share(50, tie_share=1.0) is None


def test_a_mean_difference_of_half_a_standard_deviation_takes_34_pairs() -> None:
    # the usual table of the paired t test, 80% power
    at_34, at_33 = (smallest_detectable_mean_difference(pairs, 1.0) for pairs in (34, 33))
    assert at_34 is not None
    assert at_33 is not None
    assert at_34 <= 0.5 < at_33
    assert smallest_detectable_mean_difference(34, 0.2) == pytest.approx(0.2 * at_34)
    assert smallest_detectable_mean_difference(1, 1.0) is None
