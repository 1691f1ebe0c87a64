"""From the values of single answers to estimates with intervals, and to paired comparisons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from relaytune.core.metrics import Metric
from relaytune.core.results import Comparison, Estimate
from relaytune.core.statistics import (
    holm,
    mean_interval,
    paired_share_interval,
    paired_test,
    preference_interval,
    share_interval,
)

# row → value (None: unscored); row → its cluster, which rows with one prompt share
Values = Mapping[str, float | None]
Clusters = Mapping[str, str]


def estimate(metric: Metric, values: Values, clusters: Clusters) -> Estimate:
    """The share or mean of the scored values with its 95% interval."""
    scored = {id: value for id, value in values.items() if value is not None}
    unscored = len(values) - len(scored)
    right = round(sum(scored.values())) if metric.kind == "share" else None
    if not scored:
        return Estimate(None, None, None, 0, unscored, right)
    numbers, prompts = list(scored.values()), [clusters[id] for id in scored]
    if metric.kind == "share":
        interval = share_interval(numbers, prompts)
    else:
        interval = mean_interval(numbers, prompts, bounds=metric.bounds)
    low, high = interval or (None, None)
    return Estimate(sum(scored.values()) / len(scored), low, high, len(scored), unscored, right)


def compare(metric: Metric, contender: str, other: str, ours: Values, theirs: Values, clusters: Clusters) -> Comparison:
    """Two contenders on the rows that are scored for both."""
    pairs = {id: (mine, theirs[id]) for id, mine in ours.items() if mine is not None and theirs.get(id) is not None}
    first, second = [float(a) for a, _ in pairs.values()], [float(b or 0) for _, b in pairs.values()]
    prompts = [clusters[id] for id in pairs]
    differences = [a - b for a, b in zip(first, second, strict=True)]
    if metric.kind == "share":
        interval = paired_share_interval(first, second, prompts)
        both = sum(a == b == 1 for a, b in zip(first, second, strict=True))
    else:
        interval, both = mean_interval(differences, prompts, bounds=metric.difference_bounds), None
    return _comparison(metric, (contender, other), differences, prompts, len(ours) - len(pairs), interval, both)


def compare_preferences(
    metric: Metric, contender: str, other: str, preferences: Values, clusters: Clusters
) -> Comparison:
    """The same for preferences: 1 contender, -1 other, 0 a tie."""
    scored = {id: value for id, value in preferences.items() if value is not None}
    outcomes, prompts = list(scored.values()), [clusters[id] for id in scored]
    interval = preference_interval(outcomes, prompts)
    unscored = len(preferences) - len(scored)
    return _comparison(metric, (contender, other), outcomes, prompts, unscored, interval, None)


def _comparison(
    metric: Metric,
    names: tuple[str, str],
    differences: Sequence[float],
    prompts: Sequence[str],
    num_unscored: int,
    interval: tuple[float, float] | None,
    both_right: int | None,
) -> Comparison:
    low, high = interval or (None, None)
    p_value = paired_test(differences, prompts)
    return Comparison(
        metric.name,
        *names,
        num_pairs=len(differences),
        num_unscored=num_unscored,
        num_clusters=len(set(prompts)),
        wins=sum(value > 0 for value in differences),
        losses=sum(value < 0 for value in differences),
        both_right=both_right,
        difference=sum(differences) / len(differences) if differences else 0.0,
        low=low,
        high=high,
        p_value=p_value,
        adjusted_p_value=p_value,
    )


def adjusted(comparisons: Iterable[Comparison], metrics: Mapping[str, Metric]) -> tuple[Comparison, ...]:
    """The comparisons with p corrected for the number of metrics of one group that compare the same two (Holm)."""
    comparisons = tuple(comparisons)
    families: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for place, comparison in enumerate(comparisons):
        if comparison.num_pairs == 0:
            continue  # nothing was tested
        families[metrics[comparison.metric].group, comparison.contender, comparison.other].append(place)
    corrected = [comparison.p_value for comparison in comparisons]
    for places in families.values():
        for place, p_value in zip(places, holm([comparisons[place].p_value for place in places]), strict=True):
            corrected[place] = p_value
    return tuple(replace(comparison, adjusted_p_value=p) for comparison, p in zip(comparisons, corrected, strict=True))
