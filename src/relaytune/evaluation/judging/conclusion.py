"""Everything that saved judgements and ratings say: of each judge, of all together, and against people."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from relaytune.core.files import canonical_json
from relaytune.core.judging import HUMAN, Judging
from relaytune.core.records import Example, Judgement, Rating
from relaytune.core.statistics import CorrectedMean
from relaytune.evaluation.judging.calibration import (
    JudgeAgreement,
    RatingSummary,
    compare_judges,
    correct_preferences,
    summarize_ratings,
)
from relaytune.evaluation.judging.preferences import (
    PairVerdict,
    PreferenceSummary,
    WinLoss,
    combine_judges,
    pair_verdicts,
    summarize_preferences,
    win_loss,
)

Comparison = tuple[str, str]


@dataclass(frozen=True)
class CombinedPreference:
    """The majority of judges and people on one pair of contenders; those whose verdict is refused do not vote."""

    contender: str
    other: str
    judges: tuple[str, ...]
    left_out: Mapping[str, str]  # judge → why
    result: WinLoss
    num_unscored: int


@dataclass(frozen=True)
class CorrectedPreference:
    """Share won - share lost that people would give over all examples, from a judge's verdicts and their labels."""

    judge: str
    contender: str
    other: str
    corrected: CorrectedMean


@dataclass(frozen=True)
class JudgingResult:
    """What judging concluded."""

    preferences: tuple[PreferenceSummary, ...]
    combined: tuple[CombinedPreference, ...]
    agreements: tuple[JudgeAgreement, ...]
    corrected: tuple[CorrectedPreference, ...]
    ratings: tuple[RatingSummary, ...]


def summarize_judging(
    judging: Judging,
    examples: Sequence[Example],
    answers: Mapping[str, Mapping[str, str]],
    comparisons: Sequence[Comparison],
    judgements: Sequence[Judgement],
    ratings: Sequence[Rating],
) -> JudgingResult:
    """Summarize the judgements and ratings of models and people. `answers`: contender → example id → completion."""
    clusters: dict[str, Hashable] = {example.id: canonical_json(example.messages) for example in examples}
    judges = tuple(dict.fromkeys(row.judge for row in judgements))
    raters = tuple(dict.fromkeys(row.judge for row in ratings))
    criteria = tuple(dict.fromkeys(row.criterion for row in ratings))
    preferences: list[PreferenceSummary] = []
    combined: list[CombinedPreference] = []
    agreements: list[JudgeAgreement] = []
    corrected: list[CorrectedPreference] = []
    for comparison in comparisons:
        verdicts = {judge: pair_verdicts(judgements, judge, *comparison) for judge in judges}
        verdicts = {judge: by_id for judge, by_id in verdicts.items() if by_id}
        lengths = _lengths(answers, comparison)
        summaries = [
            summarize_preferences(judge, *comparison, by_id, lengths, clusters, judging.min_consistency)
            for judge, by_id in verdicts.items()
        ]
        preferences += summaries
        combined.append(_combine(comparison, verdicts, summaries, clusters))
        values = {judge: _preferences(by_id) for judge, by_id in verdicts.items()}
        agreements += [
            compare_judges(pair, comparison, values[pair[0]], values[pair[1]], clusters)
            for pair in combinations(verdicts, 2)
        ]
        people = combine_judges([verdicts[judge] for judge in verdicts if judge.startswith(HUMAN)])
        for judge in verdicts:
            if not judge.startswith(HUMAN) and (found := correct_preferences(values[judge], people, clusters)):
                corrected.append(CorrectedPreference(judge, *comparison, found))
    return JudgingResult(
        tuple(preferences),
        tuple(combined),
        tuple(agreements),
        tuple(corrected),
        tuple(
            summarize_ratings(ratings, judge, criterion, *comparison, clusters)
            for comparison in comparisons
            for judge in raters
            for criterion in criteria
        ),
    )


def _combine(
    comparison: Comparison,
    verdicts: Mapping[str, Mapping[str, PairVerdict]],
    summaries: Sequence[PreferenceSummary],
    clusters: Mapping[str, Hashable],
) -> CombinedPreference:
    left_out = {summary.judge: summary.refused for summary in summaries if summary.refused}
    heard = tuple(judge for judge in verdicts if judge not in left_out)
    majority = combine_judges([verdicts[judge] for judge in heard])
    scored = {id: preference for id, preference in majority.items() if preference is not None}
    return CombinedPreference(
        *comparison, heard, left_out, win_loss(scored, clusters), num_unscored=len(majority) - len(scored)
    )


def _preferences(verdicts: Mapping[str, PairVerdict]) -> dict[str, int | None]:
    return {id: verdict.preference for id, verdict in verdicts.items()}


def _lengths(answers: Mapping[str, Mapping[str, str]], comparison: Comparison) -> dict[str, tuple[int, int]]:
    """Characters of both answers, for the examples that both contenders answered."""
    ours, theirs = (answers.get(name, {}) for name in comparison)
    return {id: (len(ours[id].strip()), len(theirs[id].strip())) for id in ours if id in theirs}
