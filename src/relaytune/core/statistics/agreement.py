"""How far two raters agree beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from relaytune.core.statistics.clusters import count_clusters, effective_size
from relaytune.core.statistics.shares import wilson

MIN_CLUSTERS_FOR_KAPPA = 20  # the fewest at which the coverage was measured and held


@dataclass(frozen=True)
class Agreement:
    """What two raters' labels of the same rows have in common.

    `kappa` is None without rows, and where both raters gave one and the same category throughout: then chance agrees as
    well as they do, and kappa says nothing. `interval` is None there too, and with too few clusters.
    """

    num_rows: int  # labelled by both
    agreeing_share: float | None
    kappa: float | None
    interval: tuple[float, float] | None


def measure_agreement(
    first: Sequence[Hashable | None],
    second: Sequence[Hashable | None],
    clusters: Sequence[Hashable] | None = None,
) -> Agreement:
    """Cohen's kappa (Cohen 1960) of two raters' categories, the same rows in the same order, with a 95% interval.

    Rows that either rater left unlabelled (None) do not count. The interval: the delta-method variance of kappa
    (Fleiss, Cohen & Everitt 1969, Psychol Bull 72:323-327), clustered, gives the effective number of rows behind the
    agreeing share; its Wilson limits, with Student's t for z, are turned into kappas. So it has a width where raters
    agree on every row, and is never above 1. Kappa is never taken to be known better than the agreeing share:
    with few rows of a rare category its variance comes out too small. No interval with fewer than
    MIN_CLUSTERS_FOR_KAPPA clusters.
    """
    names: Sequence[Hashable] = range(len(first)) if clusters is None else clusters
    rows = [
        (one, other, name)
        for one, other, name in zip(first, second, names, strict=True)
        if one is not None and other is not None
    ]
    if not rows:
        return Agreement(0, None, None, None)
    size = len(rows)
    share_first = {category: count / size for category, count in Counter(row[0] for row in rows).items()}
    share_second = {category: count / size for category, count in Counter(row[1] for row in rows).items()}
    agreeing = sum(one == other for one, other, _ in rows) / size
    by_chance = math.fsum(share * share_second.get(category, 0.0) for category, share in share_first.items())
    if len(share_first | share_second) == 1:
        return Agreement(size, agreeing, None, None)
    kappa = (agreeing - by_chance) / (1 - by_chance)

    # how much each row moves the agreeing share that has this kappa
    influence = [
        (one == other)
        - agreeing
        - (1 - kappa) * (share_second.get(one, 0.0) + share_first.get(other, 0.0) - 2 * by_chance)
        for one, other, _ in rows
    ]
    prompts = [name for *_, name in rows]
    num_clusters = count_clusters(influence, prompts)
    if num_clusters < MIN_CLUSTERS_FOR_KAPPA:
        return Agreement(size, agreeing, kappa, None)
    from scipy.stats import t

    independent = effective_size(influence, prompts)
    variance = math.fsum(moved**2 for moved in influence) / size
    effective = min(agreeing * (1 - agreeing) / variance, 1.0) * independent if variance > 0 else independent
    limits = wilson(agreeing, effective, float(t.ppf(0.975, num_clusters - 1)))
    low, high = ((limit - by_chance) / (1 - by_chance) for limit in limits)
    return Agreement(size, agreeing, kappa, (max(low, -1.0), high))
