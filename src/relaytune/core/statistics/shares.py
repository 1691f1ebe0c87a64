"""95% intervals of shares, of their paired difference, and of wins less losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist

from relaytune.core.statistics.clusters import count_clusters, effective_size

Z_95 = NormalDist().inv_cdf(0.975)
# With fewer prompts an interval spans more than half of all shares, and covers 90 to 99% depending on the truth.
MIN_CLUSTERS_FOR_SHARE = 10


def share_interval(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> tuple[float, float] | None:
    """Wilson's interval of the share of 1 among `values` (0 or 1), at the effective number of rows.

    Korn & Graubard 1998, Survey Methodology 24:193-201, put the effective size into an interval for independent rows;
    with Wilson's it is one of those that Saha, Miller & Wang 2016 (Int J Biostat 12(2)) recommend. None with
    fewer than MIN_CLUSTERS_FOR_SHARE clusters.
    """
    if count_clusters(values, clusters) < MIN_CLUSTERS_FOR_SHARE:
        return None
    return wilson(math.fsum(values) / len(values), effective_size(values, clusters))


def paired_share_interval(
    first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable] | None = None
) -> tuple[float, float] | None:
    """Newcombe's method 10 of share right of `first` - of `second` (0 or 1, the same rows in the same order).

    With clusters the table of pairs is shrunk by the design effect of the differences (Rao & Scott 1992,
    Biometrics 48:577-585). None with fewer than MIN_CLUSTERS_FOR_SHARE clusters.
    """
    if count_clusters(first, clusters) < MIN_CLUSTERS_FOR_SHARE:
        return None
    pairs = list(zip(first, second, strict=True))
    shrink = effective_size([one - other for one, other in pairs], clusters) / len(pairs)
    return newcombe(*(shrink * pairs.count(pair) for pair in ((1, 1), (1, 0), (0, 1), (0, 0))))


def preference_interval(
    outcomes: Sequence[float], clusters: Sequence[Hashable] | None = None
) -> tuple[float, float] | None:
    """Tango's interval of share won - share lost, of outcomes 1 (won), 0 (tie) and -1 (lost).

    With clusters wins, losses and rows are shrunk by the design effect, as in `paired_share_interval`. None
    with fewer than MIN_CLUSTERS_FOR_SHARE clusters.
    """
    if count_clusters(outcomes, clusters) < MIN_CLUSTERS_FOR_SHARE:
        return None
    size = effective_size(outcomes, clusters)
    shrink = size / len(outcomes)
    return tango_interval(
        shrink * sum(outcome > 0 for outcome in outcomes), shrink * sum(outcome < 0 for outcome in outcomes), size
    )


def wilson_interval(right: int, scored: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927). Of nothing scored nothing is known: (0, 1)."""
    if scored == 0:
        return 0.0, 1.0
    return wilson(right / scored, scored, NormalDist().inv_cdf((1 + confidence) / 2))


def wilson(share: float, size: float, z: float = Z_95) -> tuple[float, float]:
    """Wilson's interval of a share among `size` independent rows, which need not be whole."""
    centre = share + z**2 / (2 * size)
    reach = z * math.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
    spread = 1 + z**2 / size
    low, high = (centre - reach) / spread, (centre + reach) / spread
    return (max(low, 0.0) if share > 0 else 0.0), (min(high, 1.0) if share < 1 else 1.0)


def paired_difference_interval(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float]:
    """95% interval of (share right of the first − share right of the second), answers paired by row.

    Newcombe 1998, Stat Med 17:2635-2650, method 10: the Wilson limits of the two shares, combined with their
    correlation phi, whose numerator is drawn towards 0 by n/2 where it is positive. Without pairs: (-1, 1).
    """
    return newcombe(both, only_first, only_second, neither)


def newcombe(both: float, only_first: float, only_second: float, neither: float) -> tuple[float, float]:
    """`paired_difference_interval` of numbers of pairs that need not be whole."""
    pairs = both + only_first + only_second + neither
    if pairs == 0:
        return -1.0, 1.0
    first, second = both + only_first, both + only_second
    low_first, high_first = (abs(first / pairs - limit) for limit in wilson(first / pairs, pairs))
    low_second, high_second = (abs(second / pairs - limit) for limit in wilson(second / pairs, pairs))

    numerator = both * neither - only_first * only_second
    if numerator > 0:
        numerator = max(numerator - pairs / 2, 0.0)
    margins = first * (pairs - first) * second * (pairs - second)
    phi = numerator / math.sqrt(margins) if margins > 0 else 0.0

    below = math.sqrt(low_first**2 - 2 * phi * low_first * high_second + high_second**2)
    above = math.sqrt(high_first**2 - 2 * phi * high_first * low_second + low_second**2)
    difference = (only_first - only_second) / pairs
    return max(difference - below, -1.0), min(difference + above, 1.0)


def independent_difference_interval(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """95% interval of first - second, each an estimate with the ends of its own 95% interval, of different rows.

    The method of variance estimates recovery (Zou & Donner 2008, Stat Med 27:1693-1702, equation 4); of two shares with
    Wilson's intervals it is Newcombe's method 10 for independent shares.
    """
    (one, low_one, high_one), (other, low_other, high_other) = first, second
    difference = one - other
    below = math.hypot(one - low_one, high_other - other)
    above = math.hypot(high_one - one, other - low_other)
    return difference - below, difference + above


def tango_interval(wins: float, losses: float, rows: float) -> tuple[float, float]:
    """95% score interval of (wins - losses) / rows, ties being the other rows. Without rows: (-1, 1).

    Tango 1998, Stat Med 17:891-908: all differences that the score test does not reject. The numbers need not
    be whole.
    """
    if rows == 0:
        return -1.0, 1.0

    def score(difference: float) -> float:
        # the likeliest share of losses given the difference
        linear = (2 * rows - wins + losses) * difference - wins - losses
        root = math.sqrt(max(linear**2 + 8 * rows * losses * difference * (1 - difference), 0.0))
        share_lost = (root - linear) / (4 * rows)
        variance = rows * (2 * share_lost + difference * (1 - difference))
        distance = wins - losses - rows * difference
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)

    observed = (wins - losses) / rows
    low = -1.0 if observed <= -1 else _crossing(lambda difference: score(difference) - Z_95, -1.0, observed)
    high = 1.0 if observed >= 1 else _crossing(lambda difference: score(difference) + Z_95, observed, 1.0)
    return low, high


def _crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0 between the two."""
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
