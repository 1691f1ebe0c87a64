"""Shares of a finite population, of which a random sample was looked at: simple, or within strata."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from relaytune.core.statistics.shares import Z_95, wilson

# A stratum of few sampled rows may show no spread where there is some: its share is drawn towards the whole's as if so
# many rows more had been seen. Chosen by benchmarks/audit_coverage.py.
PRIOR_ROWS = 4.0
ROUNDING = 1e-9  # of a row


@dataclass(frozen=True)
class Stratum:
    """Rows of a part of the population: how many there are, were sampled, and are counted among the sampled."""

    rows: int
    sampled: int
    counted: int


@dataclass(frozen=True)
class SampledShare:
    """A share of the population with its 95% interval."""

    share: float
    low: float
    high: float
    design_effect: (
        float  # variance of the share over that of a simple sample of as many rows from a population without end
    )


def sampled_share(strata: Sequence[Stratum]) -> SampledShare:
    """The population's share that is counted, and Wilson's interval at the effective number of rows.

    The share weighs each stratum by its rows (Cochran 1977, Sampling Techniques, sections 5.3 and 5.9). The effective
    number of rows is that sampled over the design effect (Korn & Graubard 1998, Survey Methodology 24:193-201), which
    holds the finite-population correction (N - n) / (N - 1) of each stratum. The limits are those of whole rows,
    outwards: without that a small population is covered in as few as 80%. What was counted is certain: the interval
    keeps at least those, and at most all that were not sampled beside them.

    Raises:
        ValueError: a stratum without a sampled row.
    """
    if any(stratum.sampled < 1 for stratum in strata):
        raise ValueError("every stratum needs at least one sampled row")
    rows, sampled = sum(one.rows for one in strata), sum(one.sampled for one in strata)
    counted = sum(one.counted for one in strata)
    share = math.fsum(one.rows / rows * one.counted / one.sampled for one in strata)
    effect = _design_effect(strata, rows, sampled)
    if effect == 0:
        return SampledShare(share, share, share, 0.0)
    low, high = wilson(share, sampled / effect)
    low, high = math.floor(low * rows + ROUNDING) / rows, math.ceil(high * rows - ROUNDING) / rows
    return SampledShare(share, max(low, counted / rows), min(high, 1 - (sampled - counted) / rows), effect)


def _design_effect(strata: Sequence[Stratum], rows: int, sampled: int) -> float:
    whole = (sum(one.counted for one in strata) + 2) / (sampled + 4)
    variance = middle = 0.0
    for one in strata:
        weight = one.rows / rows
        share = (one.counted + PRIOR_ROWS * whole) / (one.sampled + PRIOR_ROWS)
        left = (one.rows - one.sampled) / max(one.rows - 1, 1)
        variance += weight**2 * share * (1 - share) / one.sampled * left
        middle += weight * share
    return variance * sampled / (middle * (1 - middle))


def half_width(rows: int, sampled: int, share: float = 0.5) -> float:
    """Half the width of the 95% interval of a simple sample, to within a row; a share of one half gives the widest."""
    if sampled >= rows:
        return 0.0
    size = sampled * (rows - 1) / (rows - sampled)
    low, high = wilson(share, size, Z_95)
    return (high - low) / 2


def rows_needed(rows: int, precision: float, share: float = 0.5) -> int:
    """The smallest simple sample whose interval is at most ± `precision`, if that share is found."""
    # half_width falls as the sample grows
    return 1 + bisect_left(range(1, rows + 1), -precision, key=lambda sampled: -half_width(rows, sampled, share))
