"""From answers, scores and judgements to estimates, paired comparisons and confusions: all that the rows say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from relaytune.core.contract import Contract, read_answer
from relaytune.core.criteria import Criteria
from relaytune.core.files import sha256_of_value
from relaytune.core.metrics import PREFERENCE, Metric
from relaytune.core.records import Example, Generation, Score
from relaytune.core.results import (
    Comparison,
    ContenderResult,
    EvaluationResult,
    FactsResult,
    FewShotChoice,
    Forgetting,
    JudgingResult,
)
from relaytune.core.sections import PROMPTS, in_order
from relaytune.core.statistics import smallest_detectable_difference
from relaytune.evaluation.estimating import Clusters, Values, adjusted, compare, compare_preferences, estimate
from relaytune.evaluation.measuring import measure

NO_LABEL = "(none)"

# metric → contender → row → value
Table = Mapping[str, Mapping[str, Values]]


@dataclass(frozen=True)
class Evidence:
    """What an evaluation rests on. `scores` are of held-out rows, and of the general set where it was answered."""

    held_out: Sequence[Example]
    generations: Mapping[str, Sequence[Generation]]  # contender → its answers to held-out rows
    scores: Sequence[Score]
    train_scores: Sequence[Score] = ()  # of tuned, on training rows
    # (contender, other) → row → 1, 0, -1 or None, as the judges together prefer
    preferences: Mapping[tuple[str, str], Values] = field(default_factory=dict)
    few_shot: FewShotChoice | None = None
    forgetting: Forgetting | None = None
    judging: JudgingResult | None = None
    facts: FactsResult | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def measure_answers(
    criteria: Criteria,
    held_out: Sequence[Example],
    generations: Mapping[str, Sequence[Generation]],
    trained_on: Sequence[Example] = (),
    train_generations: Sequence[Generation] = (),
) -> Evidence:
    """Score all answers: those to held-out rows, and those of tuned to rows that it was trained on.

    Raises:
        RunError: an answer belongs to no row, or two answers to the same one.
        MachineError: a package that a scorer needs is missing.
    """
    measured = [measure(criteria, held_out, answers, contender) for contender, answers in generations.items()]
    return Evidence(
        held_out,
        generations,
        [row for rows, _ in measured for row in rows],
        measure(criteria, trained_on, train_generations, "tuned")[0],
        notes=_joined_notes([notes for _, notes in measured]),
    )


def _joined_notes(all_notes: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Each metric's notes of all contenders, each said once."""
    names = dict.fromkeys(name for notes in all_notes for name in notes)
    return {name: "; ".join(dict.fromkeys(notes[name] for notes in all_notes if name in notes)) for name in names}


def summarize(criteria: Criteria, evidence: Evidence) -> EvaluationResult:
    """Estimates for every contender and comparisons of every pair of them, on every metric."""
    held_out, metrics = evidence.held_out, criteria.metrics
    contenders = in_order(evidence.generations)
    table = _table(evidence.scores)
    clusters = clusters_of(held_out, evidence.scores)
    preferences = {
        pair: compare_preferences(metrics[PREFERENCE], *pair, values, clusters)
        for pair, values in evidence.preferences.items()
    }
    comparisons = adjusted(
        [
            compare(metric, contender, other, values[contender], values[other], clusters)
            for name, metric in metrics.items()
            for values in (table.get(name, {}),)
            for contender, other in combinations(contenders, 2)
            if contender in values and other in values
        ]
        + list(preferences.values()),
        metrics,
    )
    main = metrics[criteria.main_metric]
    train = {row.id: row.value for row in evidence.train_scores if row.scorer == main.name}
    contender_results = {
        contender: _contender_result(criteria, evidence, contender, table, clusters) for contender in contenders
    }
    return EvaluationResult(
        main_metric=main.name,
        metrics=metrics,
        num_held_out=len(held_out),
        num_prompts=len({clusters[example.id] for example in held_out}),
        contenders=contender_results,
        comparisons=comparisons,
        best_prompt={metric.name: _best_prompt(metric, contender_results, preferences) for metric in metrics.values()},
        train_estimate=estimate(main, train, {id: id for id in train}) if train else None,
        num_train_answered=len({row.id for row in evidence.train_scores}),
        smallest_detectable_difference=smallest_detectable_difference(len({clusters[row.id] for row in held_out})),
        few_shot=evidence.few_shot,
        forgetting=evidence.forgetting,
        judging=evidence.judging,
        notes=evidence.notes,
        facts=evidence.facts,
    )


def clusters_of(held_out: Iterable[Example], scores: Iterable[Score] = ()) -> dict[str, str]:
    """The cluster of each row: held-out rows with the same messages are one, any other row is its own."""
    clusters = {row.id: row.id for row in scores}
    return clusters | {
        example.id: sha256_of_value(list(example.messages)) if example.messages else example.id for example in held_out
    }


def _table(scores: Iterable[Score]) -> Table:
    table: dict[str, dict[str, dict[str, float | None]]] = {}
    for row in scores:
        table.setdefault(row.scorer, {}).setdefault(row.contender, {})[row.id] = row.value
    return table


def _contender_result(
    criteria: Criteria, evidence: Evidence, contender: str, table: Table, clusters: Clusters
) -> ContenderResult:
    generations = evidence.generations[contender]
    count = max(len(generations), 1)
    return ContenderResult(
        contender,
        {
            name: estimate(metric, table[name][contender], clusters)
            for name, metric in criteria.metrics.items()
            if contender in table.get(name, {})
        },
        num_answers=len(generations),
        num_truncated=sum(generation.finish_reason == "length" for generation in generations),
        mean_num_tokens=sum(generation.num_tokens for generation in generations) / count,
        mean_num_characters=sum(len(generation.completion) for generation in generations) / count,
        confusion=_confusion(criteria.contract, evidence.held_out, generations) if criteria.contract else {},
    )


def _confusion(
    contract: Contract, held_out: Sequence[Example], generations: Sequence[Generation]
) -> dict[str, dict[str, int]]:
    expected = {example.id: read_answer(contract, example.completion).label for example in held_out}
    counts = Counter(
        (expected_label, read_answer(contract, generation.completion).label or NO_LABEL)
        for generation in generations
        if (expected_label := expected[generation.id]) is not None
    )
    confusion: dict[str, dict[str, int]] = {}
    for label in contract.allowed_labels:
        row = {given: counts[label, given] for given in (*contract.allowed_labels, NO_LABEL)}
        if any(row.values()):
            confusion[label] = {given: count for given, count in row.items() if count}
    return confusion


def _best_prompt(
    metric: Metric, results: Mapping[str, ContenderResult], preferences: Mapping[tuple[str, str], Comparison]
) -> str:
    """The prompt that tuned has to beat: the better one by its own value, by preference the one that loses least."""
    if metric.kind == "preference":
        against = {
            other: -comparison.difference
            for (contender, other), comparison in preferences.items()
            if contender == "tuned" and other in PROMPTS and comparison.num_pairs
        }
        return max(against, key=against.__getitem__, default="base")
    sign = -1 if metric.lower_is_better else 1
    values = {
        name: sign * found.value
        for name in PROMPTS
        if name in results
        and (found := results[name].estimates.get(metric.name)) is not None
        and found.value is not None
    }
    return max(values, key=values.__getitem__, default="base")  # of equals the first: base
