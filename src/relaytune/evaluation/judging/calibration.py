"""How far judges agree, with each other and with people, and what people would have said of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from relaytune.core.records import Rating
from relaytune.core.statistics import (
    Agreement,
    CorrectedMean,
    correct_by_human_labels,
    mean_interval,
    measure_agreement,
    paired_test,
)
from relaytune.evaluation.judging.preferences import Interval, Preferences

_NAMES = {1: "win", 0: "tie", -1: "loss"}


@dataclass(frozen=True)
class JudgeAgreement:
    """Cohen's kappa of two judges' preferences (win, tie, loss), and what each said where: `counts[first][second]`."""

    first: str
    second: str
    contender: str
    other: str
    agreement: Agreement
    counts: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class RatingSummary:
    """One judge's points for a contender and another on one criterion, on the examples where both were rated."""

    judge: str
    criterion: str
    contender: str
    other: str
    num_pairs: int
    num_unscored: int
    unscored_reasons: Mapping[str, int]
    mean: float | None  # of the contender
    other_mean: float | None
    interval: Interval  # of the mean difference, contender - other
    p_value: float


def compare_judges(
    judges: tuple[str, str],
    comparison: tuple[str, str],
    first_preferences: Preferences,
    second_preferences: Preferences,
    clusters: Mapping[str, Hashable],
) -> JudgeAgreement:
    """Agreement of two judges, or of a judge and a person, on the examples that both scored."""
    ids = [id for id in first_preferences if id in second_preferences]
    ours, theirs = [first_preferences[id] for id in ids], [second_preferences[id] for id in ids]
    counts: dict[str, Counter[str]] = {name: Counter() for name in _NAMES.values()}
    for one, other in zip(ours, theirs, strict=True):
        if one is not None and other is not None:
            counts[_NAMES[one]][_NAMES[other]] += 1
    agreement = measure_agreement(ours, theirs, [clusters[id] for id in ids])
    return JudgeAgreement(*judges, *comparison, agreement, {name: dict(row) for name, row in counts.items()})


def correct_preferences(
    judge: Preferences, human: Preferences, clusters: Mapping[str, Hashable]
) -> CorrectedMean | None:
    """Share won - share lost that people would give over all examples: a judge's verdicts, corrected by theirs on some.

    The examples that people labelled must be a random choice. What the judge left unscored counts as a tie of the
    judge's, which cannot bias the result. None without human labels.
    """
    ids = list(judge)
    return correct_by_human_labels(
        [judge[id] or 0 for id in ids],
        [human.get(id) for id in ids],
        [clusters[id] for id in ids],
    )


def summarize_ratings(
    ratings: Iterable[Rating], judge: str, criterion: str, contender: str, other: str, clusters: Mapping[str, Hashable]
) -> RatingSummary:
    """Compare the points of two contenders, paired by example; where either is unscored, the example is."""
    points: dict[str, dict[str, Rating]] = {contender: {}, other: {}}
    for row in ratings:
        if row.judge == judge and row.criterion == criterion and row.contender in points:
            points[row.contender][row.id] = row
    pairs: dict[str, tuple[float, float]] = {}
    reasons: Counter[str] = Counter()
    for id in dict.fromkeys([*points[contender], *points[other]]):
        ours, theirs = points[contender].get(id), points[other].get(id)
        if ours is None or theirs is None:
            reasons["rated for one of the two only"] += 1
        elif ours.value is None or theirs.value is None:
            reasons[ours.reason if ours.value is None else theirs.reason] += 1
        else:
            pairs[id] = ours.value, theirs.value
    differences = [one - two for one, two in pairs.values()]
    names = [clusters[id] for id in pairs]
    return RatingSummary(
        judge,
        criterion,
        contender,
        other,
        len(pairs),
        reasons.total(),
        dict(reasons),
        sum(one for one, _ in pairs.values()) / len(pairs) if pairs else None,
        sum(two for _, two in pairs.values()) / len(pairs) if pairs else None,
        mean_interval(differences, names),
        paired_test(differences, names),
    )
