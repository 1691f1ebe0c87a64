"""Everything that saved judgements and ratings say: of each judge, of all together, and against people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from relaytune.core.judging import HUMAN, Judging
from relaytune.core.preferences import PairVerdict, combine_judges, pair_verdicts
from relaytune.core.records import Example, Judgement, Rating, Score
from relaytune.core.results import HumanCorrection, JudgingResult, PreferenceSummary, RaterAgreement
from relaytune.core.sections import in_order
from relaytune.core.statistics import correct_by_human_labels, measure_agreement
from relaytune.evaluation.estimating import Clusters, Values
from relaytune.evaluation.judging.preferences import summarize_preferences
from relaytune.evaluation.summary import Evidence, clusters_of

Pair = tuple[str, str]  # contender, other


@dataclass(frozen=True)
class JudgingConclusion:
    """The judges' and people's joint preference on each pair, their mean points for each answer, and what these are
    worth.
    """

    preferences: Mapping[Pair, Values]
    scores: tuple[Score, ...]
    result: JudgingResult


def conclude_judging(
    judging: Judging,
    examples: Sequence[Example],
    answers: Mapping[str, Mapping[str, str]],
    judgements: Sequence[Judgement],
    ratings: Sequence[Rating],
    clusters: Clusters,
    stamps: Sequence[str] = (),
) -> JudgingConclusion:
    """Conclude from what models and people said. `answers`: contender → example id → completion.

    Those whose verdict on a pair is refused have no part in the joint preference; where all are refused it is theirs
    all the same, and says so. A criterion's score of an answer is the mean of all points that it was given.
    """
    preferences: dict[Pair, Values] = {}
    summaries: list[PreferenceSummary] = []
    agreements: list[RaterAgreement] = []
    corrections: list[HumanCorrection] = []
    rank = in_order(answers).index  # as everywhere: ours first, then others as given
    for contender, other in dict.fromkeys(
        (min(row.first, row.second, key=rank), max(row.first, row.second, key=rank)) for row in judgements
    ):
        said = {judge: pair_verdicts(judgements, judge, contender, other) for judge in _raters(judgements)}
        said = {judge: verdicts for judge, verdicts in said.items() if verdicts}
        lengths = _lengths(answers, (contender, other))
        of_pair = [
            summarize_preferences(judge, contender, other, verdicts, lengths, clusters, judging.min_consistency)
            for judge, verdicts in said.items()
        ]
        heard = [said[summary.judge] for summary in of_pair if not summary.refused] or list(said.values())
        joint = combine_judges(heard)
        preferences[contender, other] = {example.id: joint.get(example.id) for example in examples}
        summaries += of_pair
        by_judge = {judge: _preferences(verdicts) for judge, verdicts in said.items()}
        about = f"preference, {contender} against {other}"
        agreements += _agreements(about, by_judge, clusters)
        corrections += _corrections(about, contender, by_judge, clusters, (-1, 1))
    for criterion in judging.criteria:
        for contender in answers:
            points = _points(ratings, criterion, contender)
            about = f"{criterion} of {contender}"
            agreements += _agreements(about, points, clusters)
            corrections += _corrections(about, contender, points, clusters, (0, judging.scale))
    result = JudgingResult(
        tuple(summaries),
        tuple(agreements),
        tuple(corrections),
        raters=_raters(ratings),
        num_unscored_ratings=sum(row.value is None for row in ratings),
        equal_points=_equal_points(preferences, ratings),
        stamps=tuple(stamps),
    )
    return JudgingConclusion(preferences, tuple(_scores(judging, answers, ratings)), result)


def with_judging(
    judging: Judging,
    evidence: Evidence,
    answers: Mapping[str, Mapping[str, str]],
    judgements: Sequence[Judgement],
    ratings: Sequence[Rating],
    stamps: Sequence[str],
) -> Evidence:
    """The evidence with what judges and people said of the answers that they were shown."""
    clusters = clusters_of(evidence.held_out)
    said = conclude_judging(judging, evidence.held_out, answers, judgements, ratings, clusters, stamps)
    scores = [*evidence.scores, *said.scores]
    return replace(evidence, scores=scores, preferences=said.preferences, judging=said.result)


def _raters(rows: Sequence[Judgement] | Sequence[Rating]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.judge for row in rows))


def _preferences(verdicts: Mapping[str, PairVerdict]) -> dict[str, float | None]:
    return {id: verdict.preference for id, verdict in verdicts.items()}


def _points(ratings: Sequence[Rating], criterion: str, contender: str) -> dict[str, dict[str, float | None]]:
    """Judge → example id → points."""
    points: dict[str, dict[str, float | None]] = {}
    for row in ratings:
        if (row.criterion, row.contender) == (criterion, contender):
            points.setdefault(row.judge, {})[row.id] = row.value
    return points


def _lengths(answers: Mapping[str, Mapping[str, str]], pair: Pair) -> dict[str, tuple[int, int]]:
    """Characters of both answers, for the examples that both contenders answered."""
    ours, theirs = (answers.get(name, {}) for name in pair)
    return {id: (len(ours[id].strip()), len(theirs[id].strip())) for id in ours if id in theirs}


def _agreements(
    about: str, by_judge: Mapping[str, Mapping[str, float | None]], clusters: Clusters
) -> list[RaterAgreement]:
    """Of every two raters, on the rows that both scored."""
    found = []
    for first, second in combinations(by_judge, 2):
        ids = [id for id in by_judge[first] if id in by_judge[second]]
        one, other = ([by_judge[name][id] for id in ids] for name in (first, second))
        agreement = measure_agreement(one, other, [clusters[id] for id in ids])
        if agreement.num_rows:
            found.append(RaterAgreement(first, second, about, agreement))
    return found


def _corrections(
    about: str,
    contender: str,
    by_judge: Mapping[str, Mapping[str, float | None]],
    clusters: Clusters,
    bounds: tuple[float, float],
) -> list[HumanCorrection]:
    """What people would have said of all rows, by each judge; where several people labelled a row, their mean."""
    labels: dict[str, list[float]] = {}
    for judge, values in by_judge.items():
        if judge.startswith(HUMAN):
            for id, value in values.items():
                if value is not None:
                    labels.setdefault(id, []).append(value)
    people = {id: sum(values) / len(values) for id, values in labels.items()}
    found = []
    for judge, values in by_judge.items():
        scored = {id: value for id, value in values.items() if value is not None}
        if judge.startswith(HUMAN) or not scored:
            continue
        mean = sum(scored.values()) / len(scored)
        # a row that the judge left unscored gets its mean, which cannot bias the result
        judged = [scored.get(id, mean) for id in values]
        human, prompts = [people.get(id) for id in values], [clusters[id] for id in values]
        corrected = correct_by_human_labels(judged, human, prompts, bounds=bounds)
        if corrected is not None:
            found.append(HumanCorrection(judge, about, contender, mean, corrected))
    return found


def _equal_points(preferences: Mapping[Pair, Values], ratings: Sequence[Rating]) -> Mapping[str, int] | None:
    """Of rows whose two answers have the same points in all, and of the others: tied and decided; None without both."""
    totals: Counter[tuple[str, str]] = Counter()
    rated: set[tuple[str, str]] = set()
    for row in ratings:
        if row.value is not None:
            totals[row.contender, row.id] += row.value  # type: ignore[assignment]
            rated.add((row.contender, row.id))
    counts: Counter[str] = Counter()
    for (contender, other), values in preferences.items():
        for id, preference in values.items():
            if preference is None or not {(contender, id), (other, id)} <= rated:
                continue
            equal = totals[contender, id] == totals[other, id]
            counts[f"{'tied' if preference == 0 else 'decided'}, points {'equal' if equal else 'different'}"] += 1
    return dict(counts) or None


def _scores(judging: Judging, answers: Mapping[str, Mapping[str, str]], ratings: Sequence[Rating]) -> list[Score]:
    """The mean of all points that an answer was given, for each criterion; unscored where it was given none."""
    given: dict[tuple[str, str, str], list[Rating]] = {}
    for row in ratings:
        given.setdefault((row.contender, row.criterion, row.id), []).append(row)
    scores = []
    for (contender, criterion, id), rows in given.items():
        if contender not in answers or criterion not in judging.criteria:
            continue
        points = [row.value for row in rows if row.value is not None]
        value = sum(points) / len(points) if points else None
        scores.append(Score(id, contender, criterion, value, rows[0].reason))
    return scores
