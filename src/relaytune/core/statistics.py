"""Intervals and tests for right-or-wrong answers, alone and in pairs."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_interval(right: int, scored: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927). Of nothing scored nothing is known: (0, 1)."""
    from scipy.stats import binomtest

    if scored == 0:
        return 0.0, 1.0
    low, high = binomtest(right, scored).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


def paired_difference_interval(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float]:
    """95% interval of (share right of the first − share right of the second), answers paired by row.

    Newcombe 1998, Stat Med 17:2635-2650, method 10: the Wilson limits of the two shares, combined with their
    correlation phi, whose numerator is drawn towards 0 by n/2 where it is positive. Without pairs: (-1, 1).
    """
    pairs = both + only_first + only_second + neither
    if pairs == 0:
        return -1.0, 1.0
    first, second = both + only_first, both + only_second
    low_first, high_first = (abs(first / pairs - limit) for limit in wilson_interval(first, pairs))
    low_second, high_second = (abs(second / pairs - limit) for limit in wilson_interval(second, pairs))

    numerator: float = both * neither - only_first * only_second
    if numerator > 0:
        numerator = max(numerator - pairs / 2, 0.0)
    margins = first * (pairs - first) * second * (pairs - second)
    phi = numerator / math.sqrt(margins) if margins else 0.0

    below = math.sqrt(low_first**2 - 2 * phi * low_first * high_second + high_second**2)
    above = math.sqrt(high_first**2 - 2 * phi * high_first * low_second + low_second**2)
    difference = (only_first - only_second) / pairs
    return max(difference - below, -1.0), min(difference + above, 1.0)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of the exact McNemar test: discordant pairs as fair coin tosses. 1 where there are none."""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def smallest_detectable_difference(
    num_pairs: int, discordant_share: float = 0.4, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest true paired difference that `mcnemar_exact` finds with the given power.

    `discordant_share` is the share of rows on which exactly one of the two is right; a difference cannot be
    larger. Exact: the power is summed over every number of discordant pairs. 1.0 means that no difference up
    to `discordant_share` can be found with so few pairs.
    """
    import numpy as np
    from scipy.stats import binom

    discordant = np.arange(num_pairs + 1)
    weight = binom.pmf(discordant, num_pairs, discordant_share)
    # the fewest wins among the discordant pairs that make p ≤ alpha
    wins_needed = binom.isf(alpha / 2, discordant, 0.5) + 1

    def power_at(difference: float) -> float:
        win_share = min((discordant_share + difference) / (2 * discordant_share), 1.0)
        return float(np.sum(weight * binom.sf(wins_needed - 1, discordant, win_share)))

    if power_at(discordant_share) < power:
        return 1.0
    low, high = 0.0, discordant_share
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return high


def pairs_needed(difference: float, discordant_share: float, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """About how many pairs `mcnemar_exact` needs to find a true difference; None for a difference of 0.

    Connor 1987, Biometrics 43:207-211, and no fewer than give the discordant pairs with which the exact
    test can reject at all. The exact test needs a few more than this approximation.
    """
    if difference == 0:
        return None
    to_reject = NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(discordant_share)
    to_find = NormalDist().inv_cdf(power) * math.sqrt(max(discordant_share - difference**2, 0.0))
    fewest_discordant = math.ceil(1 - math.log2(alpha))  # all on one side: p = 2 / 2^k
    return max(math.ceil(((to_reject + to_find) / difference) ** 2), math.ceil(fewest_discordant / discordant_share))
