"""Is one contender better than the other? One test for every metric, and a correction for several of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from relaytune.core.statistics.clusters import cluster_totals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUM_FLIPS = 10_000
EXACT_UP_TO_STEPS = 10_000  # the exact distribution is an array of this length at most
ROUNDING = 1e-9  # sums of floats closer than this, relative to the largest, are equal


def paired_test(differences: Sequence[float], clusters: Sequence[Hashable] | None = None, seed: int = 0) -> float:
    """Two-sided p of the null hypothesis that the two contenders could be swapped in any prompt.

    `differences` are first - second, one a row: of right or wrong (-1, 0, 1), preferences (-1, 0, 1), ratings or any
    other metric. Rows of one cluster (the same prompt) are added up and change sign together: the randomization test of
    Fisher 1935 (The Design of Experiments, section 21). Rows and clusters that add up to 0 drop out; 1.0 where
    nothing is left. For right or wrong this is exact McNemar, for preferences the exact sign test.

    Exact where the sums are multiples of a common step (right or wrong, preferences, ratings), else by NUM_FLIPS
    seeded flips, the observed one counted among them (Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39). The null
    hypothesis makes differences symmetric around 0. Where they are skewed with mean 0, p is approximate; how
    far off is measured in benchmarks/power.py.
    """
    totals = [total for total, _ in cluster_totals(differences, clusters)]
    largest = max((abs(total) for total in totals), default=0.0)
    totals = [total for total in totals if abs(total) > ROUNDING * largest]
    if not totals:
        return 1.0
    sizes = sorted(abs(total) for total in totals)
    observed = abs(math.fsum(totals))
    steps = _in_common_steps(sizes)
    return _by_flips(sizes, observed, seed) if steps is None else _exact(steps, observed / sizes[-1] * steps[-1])


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of the exact McNemar test: discordant pairs as fair coin tosses. 1 where there are none."""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p of several tests, adjusted so that all those at most 0.05 may be believed together with 5% risk in all.

    In the order given. Holm 1979, Scand J Statist 6:65-70; valid however the tests depend on each other.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min((len(p_values) - rank) * p_values[index], 1.0))
        adjusted[index] = highest
    return adjusted


def _in_common_steps(sizes: Sequence[float]) -> list[int] | None:
    """The sizes as multiples of the largest step that divides them all; None where the steps are too many."""
    rounding = ROUNDING * sizes[-1]
    step = 0.0
    for size in sorted(set(sizes)):
        while size > rounding:  # Euclid, towards the nearest multiple
            step, size = size, abs(step - round(step / size) * size)
        if step * EXACT_UP_TO_STEPS < sizes[-1]:
            return None
    steps = [round(size / step) for size in sizes]
    return steps if sum(steps) <= EXACT_UP_TO_STEPS else None


def _exact(steps: Sequence[int], observed: float) -> float:
    """Chance that the steps, each with a random sign, add up to `observed` or more, or to -`observed` or less."""
    import numpy as np
    from scipy.stats import binom

    chance: NDArray[np.float64] = np.ones(1)  # of each sum of the steps that are positive
    for step, count in Counter(steps).items():
        positive = np.zeros(step * count + 1)
        positive[::step] = binom.pmf(np.arange(count + 1), count, 0.5)
        chance = np.convolve(chance, positive)
    total = sum(steps)
    reached = np.abs(2 * np.arange(total + 1) - total) >= round(observed)
    return min(float(chance[reached].sum()), 1.0)


def _by_flips(sizes: Sequence[float], observed: float, seed: int) -> float:
    import numpy as np

    random = np.random.default_rng(seed)
    values = np.array(sizes)
    at_once = max(1, 2_000_000 // len(values))  # bounds the memory
    reached = 1
    for start in range(0, NUM_FLIPS, at_once):
        shape = min(at_once, NUM_FLIPS - start), len(values)
        positive = random.integers(0, 2, shape, dtype=np.int8) @ values
        reached += int(np.sum(np.abs(2 * positive - values.sum()) >= observed * (1 - ROUNDING)))
    return reached / (NUM_FLIPS + 1)
