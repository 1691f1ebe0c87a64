"""Before anything is measured: what difference can so many rows show?"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist


def sign_test_power(num_pairs: int, discordant_share: float, difference: float, alpha: float = 0.05) -> float:
    """Chance that exact McNemar, or the exact sign test, finds a true paired difference.

    `discordant_share` is the share of rows that one of the two wins (right where the other is wrong; no
    tie). `difference` is share won - share lost; it cannot be larger. Exact: summed over every number of discordant
    pairs. Only rejections on the side of the difference count.
    """
    import numpy as np
    from scipy.stats import binom

    discordant = np.arange(num_pairs + 1)
    weight = binom.pmf(discordant, num_pairs, discordant_share)
    # the fewest wins among the discordant pairs that make p ≤ alpha
    wins_needed = binom.isf(alpha / 2, discordant, 0.5) + 1
    win_share = min((discordant_share + abs(difference)) / (2 * discordant_share), 1.0)
    return float(np.sum(weight * binom.sf(wins_needed - 1, discordant, win_share)))


@lru_cache(maxsize=64)
def smallest_detectable_difference(
    num_pairs: int, discordant_share: float = 0.4, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest true paired difference that `mcnemar_exact` finds with the given power.

    `discordant_share` is the share of rows on which exactly one of the two is right; a difference cannot be
    larger. 1.0 means that no difference up to `discordant_share` can be found with so few pairs.
    """
    if sign_test_power(num_pairs, discordant_share, discordant_share, alpha) < power:
        return 1.0
    low, high = 0.0, discordant_share
    while high - low > 1e-4:
        middle = (low + high) / 2
        found = sign_test_power(num_pairs, discordant_share, middle, alpha) >= power
        low, high = (low, middle) if found else (middle, high)
    return high


def smallest_detectable_win_share(
    num_prompts: int, tie_share: float = 0.0, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """The share of decided prompts that the better contender must truly win for the sign test to find it.

    0.7 means: so many prompts show 70:30, not 60:40. `tie_share` is the share of prompts expected to be ties.
    None: they do not even show 100:0.
    """
    decided = 1 - tie_share
    difference = smallest_detectable_difference(num_prompts, decided, power, alpha) if decided > 0 else 1.0
    return (1 + difference / decided) / 2 if difference < decided else None


def smallest_detectable_mean_difference(
    num_pairs: int, standard_deviation: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """The smallest true mean of paired differences that the paired t test finds with the given power.

    `standard_deviation` is that of the differences. From the noncentral t distribution (Cohen 1988, Statistical Power
    Analysis, chapter 2); `paired_test` needs about the same. None with fewer than two pairs.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    if num_pairs < 2:
        return None
    freedom = num_pairs - 1
    rejects_from = t.ppf(1 - alpha / 2, freedom)
    # in standard errors; the other side of the test adds next to nothing
    errors = brentq(lambda shift: nct.sf(rejects_from, freedom, shift) - power, 0, 2 * rejects_from + 10)
    return float(errors * standard_deviation / math.sqrt(num_pairs))


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
