"""Rows that share a prompt are one case: what they add up to, and how many independent rows they are worth."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

PRIOR = 1.0  # sum of squares of one value that differs; chosen by benchmarks/interval_coverage.py


def cluster_totals(values: Sequence[float], clusters: Sequence[Hashable] | None) -> list[tuple[float, int]]:
    """Sum of the values and number of rows of each cluster, sorted, so that the order of rows cannot matter.

    `clusters` names the cluster of each row, for example the hash of its prompt; None: each row is its own.

    Raises:
        ValueError: not one cluster for each value.
    """
    if clusters is None:
        return sorted((value, 1) for value in values)
    members: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        members.setdefault(cluster, []).append(value)
    return sorted((math.fsum(rows), len(rows)) for rows in members.values())


def count_clusters(values: Sequence[float], clusters: Sequence[Hashable] | None) -> int:
    """Number of independent cases."""
    return len(values) if clusters is None else len(set(clusters))


def effective_size(values: Sequence[float], clusters: Sequence[Hashable] | None) -> float:
    """How many independent rows would give the mean of `values` (within -1 to 1) the same standard error.

    The number of rows over the design effect: the variance of the mean with rows clustered, over that with rows
    independent (Rao & Scott 1992, Biometrics 48:577-585, section 2). It lies between the number of rows (clusters tell
    nothing) and Kish's (sum of sizes)^2 / (sum of squared sizes) (rows of a cluster are copies). Kish's also stands
    where all values are the same, and PRIOR draws towards it where few differ: they cannot show that rows are
    no copies.
    """
    rows = len(values)
    if clusters is None or rows == 0:
        return float(rows)
    totals = cluster_totals(values, clusters)
    copies = rows**2 / sum(size**2 for _, size in totals)
    if copies <= 1:
        return copies
    mean = math.fsum(values) / rows
    # both are too small because the mean is estimated: of rows by 1/n, of clusters by 1/copies
    within = math.fsum((value - mean) ** 2 for value in values) / (1 - 1 / rows)
    between = math.fsum((total - size * mean) ** 2 for total, size in totals) / (1 - 1 / copies)
    design_effect = (between + PRIOR * rows / copies) / (within + PRIOR)
    return min(max(rows / design_effect, copies), float(rows))
