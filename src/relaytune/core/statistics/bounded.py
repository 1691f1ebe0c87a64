"""95% interval of a mean whose values cannot leave a known range; it holds also where they hardly vary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUM_BETS = 64
ROUNDING = 1e-6  # of the range, by which a value may lie outside


def bounded_mean_interval(totals: Sequence[tuple[float, int]], bounds: tuple[float, float]) -> tuple[float, float]:
    """Of the mean of (sum, size) of clusters, whose single values lie within `bounds`.

    By betting (Waudby-Smith & Ramdas 2023, Estimating means of bounded random variables by betting, JRSS B
    86(1):1-27, arXiv 2010.09686): a limit is the value against which bets on the clusters, at fair odds if it were
    the mean, would have won 2 / 0.05 times the stake. By Markov's inequality that happens to the true mean in at
    most 2.5 of 100 cases on either side, however few clusters there are and however they are distributed. The stake
    is spread over constant bets by the density of Orabona & Jun 2021 (arXiv 2110.14099), so that neither a setting
    nor the order of rows matters. A cluster is bet on by its size, as the mean is that of the rows.

    Raises:
        ValueError: a cluster's mean is outside the bounds.
    """
    import numpy as np

    lowest, highest = bounds
    sums, sizes = np.array(totals, dtype=float).T
    places = (sums / sizes - lowest) / (highest - lowest)
    if places.min() < -ROUNDING or places.max() > 1 + ROUNDING:
        raise ValueError(f"values outside {lowest:g} to {highest:g}")
    places, weights = places.clip(0, 1), sizes / sizes.max()
    low, high = _lower_limit(places, weights), 1 - _lower_limit(1 - places, weights)
    return lowest + low * (highest - lowest), lowest + high * (highest - lowest)


def _lower_limit(places: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The largest mean that bets on more than it have refuted, 0 if there is none. `places` lie within 0 to 1."""
    import numpy as np
    from scipy.optimize import brentq
    from scipy.special import logsumexp

    # share of the stake put on each cluster: equally likely nodes of the arcsine density on 0 to 1
    bets = (1 - np.cos(math.pi * (np.arange(NUM_BETS) + 0.5) / NUM_BETS)) / 2

    def surplus(mean: float) -> float:
        """Log of what all bets have won, less that of what refutes; falls as the mean grows."""
        won = np.log1p(np.outer(bets, weights * (places / mean - 1))).sum(axis=1)
        return float(logsumexp(won)) - math.log(NUM_BETS * 2 / 0.05)

    observed = float(np.average(places, weights=weights))
    nothing = 1e-12
    if observed <= nothing or surplus(nothing) <= 0:
        return 0.0
    return float(brentq(surplus, nothing, observed))  # at the observed mean nothing is won
