"""A judge labelled all rows and a person a few of them: what would the person have said of all?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from relaytune.core.statistics.clusters import cluster_totals
from relaytune.core.statistics.means import studentized_limits

MIN_HUMAN_CLUSTERS = 20  # the fewest at which the coverage was measured and held


@dataclass(frozen=True)
class CorrectedMean:
    """A judge's mean outcome, corrected by human labels. `interval` is 95%, None with too few of them."""

    estimate: float
    interval: tuple[float, float] | None
    num_human: int
    judge_weight: float  # 0: the judge is not heard; 1: its labels count like the person's
    cut_to: tuple[float, float] | None = None  # the range of outcomes, where estimate or interval left it


def correct_by_human_labels(
    judge: Sequence[float],
    human: Sequence[float | None],
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    bounds: tuple[float, float] | None = None,
) -> CorrectedMean | None:
    """The human mean outcome over all rows. None without human labels.

    `judge` holds an outcome for each row (a win -1, 0, 1; right or wrong; a rating), `human` the person's, None where
    they gave none. The rows that they labelled must be a random choice. Where the judge is biased the estimate is
    not: human mean + weight * (judge's mean of all rows - its mean of the rows with human labels), the weight
    being the slope of human on judge. That is prediction-powered inference with power tuning (Angelopoulos, Duchi &
    Zrnic 2023, arXiv 2311.01453), known in surveys as the regression estimator in double sampling (Cochran 1977,
    Sampling Techniques, section 12.6). A row that the judge left unscored may be given any fixed value, for example 0.

    The variance is that of the rows' influence, summed over clusters; the limits are those of the studentized bootstrap
    (see `mean_interval`) of the clusters with human labels. No interval with fewer than MIN_HUMAN_CLUSTERS of them,
    or where the labels have next to no spread. What leaves the `bounds` of outcomes is cut to them.
    """
    labelled = [(one, person) for one, person in zip(judge, human, strict=True) if person is not None]
    if not labelled:
        return None
    num_human, rows = len(labelled), len(judge)
    judge_mean, human_mean = (math.fsum(column) / num_human for column in zip(*labelled, strict=True))
    spread = math.fsum((one - judge_mean) ** 2 for one, _ in labelled)
    shared = math.fsum((one - judge_mean) * (person - human_mean) for one, person in labelled)
    weight = shared / spread if spread > 0 else 0.0
    judge_mean_of_all = math.fsum(judge) / rows
    estimate = human_mean + weight * (judge_mean_of_all - judge_mean)

    def influence(one: float, person: float | None) -> float:
        of_all = weight * (one - judge_mean_of_all) / rows
        if person is None:
            return of_all
        return of_all + (person - human_mean - weight * (one - judge_mean)) / num_human

    influences = [influence(*row) for row in zip(judge, human, strict=True)]
    names: Sequence[Hashable] = range(rows) if clusters is None else clusters
    interval = None
    labelled_names = {name for name, person in zip(names, human, strict=True) if person is not None}
    if len(labelled_names) >= MIN_HUMAN_CLUSTERS:
        of_labelled = [row for row in zip(influences, names, strict=True) if row[1] in labelled_names]
        totals = [(total, 1) for total, _ in cluster_totals(*zip(*of_labelled, strict=True))]
        below, above = studentized_limits(totals, seed)
        # two parameters are fitted to the human labels: mean and weight
        correction = len(totals) / (len(totals) - 2)
        error = math.sqrt(correction * math.fsum(total**2 for total, _ in cluster_totals(influences, names)))
        if error > 0 and math.isfinite(above - below):
            interval = estimate - above * error, estimate - below * error
    return _within(bounds, CorrectedMean(estimate, interval, num_human, weight))


def _within(bounds: tuple[float, float] | None, found: CorrectedMean) -> CorrectedMean:
    if bounds is None:
        return found
    lowest, highest = bounds

    def cut(value: float) -> float:
        return min(max(value, lowest), highest)

    interval = found.interval and (cut(found.interval[0]), cut(found.interval[1]))
    inside = replace(found, estimate=cut(found.estimate), interval=interval)
    return found if inside == found else replace(inside, cut_to=bounds)
