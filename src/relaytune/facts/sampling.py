"""Which training rows are audited: as many as the precision needs, in an order that the seed decides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from relaytune.core.errors import DataError
from relaytune.core.facts import Facts
from relaytune.core.files import sha256_of_text
from relaytune.core.statistics import half_width, rows_needed


@dataclass(frozen=True)
class SamplePlan:
    """How many rows are audited, and why so many."""

    rows: int
    size: int
    sentence: str


def plan_sample(facts: Facts, rows: int) -> SamplePlan:
    """As many rows as the recipe says, or as its precision needs at the worst rate there can be, one half."""
    if facts.sample == "all":
        return SamplePlan(rows, rows, f"All {rows} rows are audited: no sampling error remains.")
    if facts.sample is not None and facts.sample >= rows:
        asked = f" ({facts.sample} were asked for)" if facts.sample > rows else ""
        return SamplePlan(rows, rows, f"All {rows} rows are audited{asked}: no sampling error remains.")
    size = facts.sample or rows_needed(rows, facts.precision)
    if size == rows:
        return SamplePlan(rows, rows, f"All {rows} rows are audited: ±{_points(facts.precision)} needs them all.")
    reached = math.ceil(1000 * half_width(rows, size) - 1e-9) / 1000 if facts.sample else facts.precision
    return SamplePlan(rows, size, f"{size} of {rows} rows for ±{_points(reached)}, whatever the rate.")


def _points(share: float) -> str:
    points = f"{100 * share:.1f}".removesuffix(".0")
    return f"{points} point" if points == "1" else f"{points} points"


def draw_order(stratum_of: Mapping[str, str], seed: int) -> list[str]:
    """All ids in the order in which they are audited: the first n are a random sample of n.

    So a larger sample contains the smaller one. Within a stratum a hash of seed and id decides, whatever the order of
    the rows; strata take turns in proportion to their rows, by the method of smallest divisors (Adams), which gives
    every stratum a row before any has two in excess of its part.
    """
    strata: dict[str, list[str]] = {}
    for id, stratum in stratum_of.items():
        strata.setdefault(stratum, []).append(id)
    turns = []
    for members in strata.values():
        ranked = sorted((sha256_of_text(f"{seed}:{id}"), id) for id in members)
        turns += [(place / len(members), rank, id) for place, (rank, id) in enumerate(ranked)]
    return [id for _, _, id in sorted(turns)]


def refuse_thin_strata(stratum_of: Mapping[str, str], plan: SamplePlan, column: str) -> None:
    """Refuse a column with more values than rows are audited.

    Raises:
        DataError: a value would have no audited row, so that nothing could be said of its rows.
    """
    strata = len(set(stratum_of.values()))
    if strata > plan.size:
        raise DataError(
            f"data.facts.stratify_by: the column {column!r} has {strata} values among {plan.rows} rows, and only "
            f"{plan.size} rows are audited. Name a column with fewer values, or audit at least {strata} rows (sample)."
        )
