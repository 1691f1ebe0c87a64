"""From answers to rates, paired comparisons and confusions: everything that the held-out rows say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from relaytune.core.contract import Contract, read_answer
from relaytune.core.recipe import Recipe, metrics_of
from relaytune.core.records import Example, Generation, Score
from relaytune.core.results import Comparison, ContenderResult, EvaluationResult, FewShotChoice, Rate
from relaytune.core.rule import DecisionRule
from relaytune.core.statistics import (
    mcnemar_exact,
    paired_difference_interval,
    smallest_detectable_difference,
    wilson_interval,
)
from relaytune.evaluation.scoring import score

# the order in which contenders are shown; of two, the earlier one is compared with the later one
CONTENDERS = ("tuned", "exported", "few_shot", "base")
NO_LABEL = "(none)"

# metric → contender → example id → value (None: unscored)
Values = Mapping[str, Mapping[str, Mapping[str, float | None]]]


def summarize(
    recipe: Recipe,
    held_out: Sequence[Example],
    generations_by_contender: Mapping[str, Sequence[Generation]],
    train_examples_answered: Sequence[Example],
    train_generations: Sequence[Generation],
    few_shot: FewShotChoice | None,
) -> tuple[EvaluationResult, list[Score]]:
    """Score all answers to the held-out rows and compare every pair of contenders on every metric.

    `train_examples_answered` are the training rows that `tuned` answered too; they give `train_rate` only,
    and their scores are not among those returned. Both are empty before training.

    Raises:
        RunError: an answer belongs to no row, or two answers to the same one.
    """
    contract = recipe.contract
    metrics = metrics_of(contract)
    main = main_metric(recipe.decision)
    contenders = sorted(generations_by_contender, key=CONTENDERS.index)
    scores = [
        row
        for contender in contenders
        for row in score(contract, held_out, generations_by_contender[contender], contender)
    ]
    values = _by_metric_and_contender(scores, metrics, contenders)
    train_scores = score(contract, train_examples_answered, train_generations, "tuned")
    return EvaluationResult(
        main_metric=main,
        metrics=metrics,
        num_held_out=len(held_out),
        contenders={
            contender: _contender_result(
                contract,
                held_out,
                generations_by_contender[contender],
                contender,
                {metric: _rate(values[metric][contender].values()) for metric in metrics},
            )
            for contender in contenders
        },
        comparisons=tuple(
            _compare(metric, contender, other, values)
            for metric in metrics
            for contender, other in combinations(contenders, 2)
        ),
        best_prompt={metric: _best_prompt(values[metric]) for metric in metrics},
        train_rate=_rate(row.value for row in train_scores if row.scorer == main) if train_scores else None,
        num_train_answered=len(train_generations),
        smallest_detectable_difference=smallest_detectable_difference(len(held_out)),
        few_shot=few_shot,
    ), scores


def main_metric(rule: DecisionRule) -> str:
    """The metric that the rule decides by: of its first comparison, else of its first clause."""
    beats = [clause.metric for clause in rule.keep_when if clause.kind == "beats"]
    return beats[0] if beats else rule.keep_when[0].metric


def _by_metric_and_contender(scores: Iterable[Score], metrics: Iterable[str], contenders: Sequence[str]) -> Values:
    values: dict[str, dict[str, dict[str, float | None]]] = {
        metric: {contender: {} for contender in contenders} for metric in metrics
    }
    for row in scores:
        values[row.scorer][row.contender][row.id] = row.value
    return values


def _rate(values: Iterable[float | None]) -> Rate:
    values = list(values)
    scored = [value for value in values if value is not None]
    right = sum(value == 1.0 for value in scored)
    if not scored:
        return Rate(0, 0, len(values), None, None, None)
    return Rate(
        right,
        len(scored),
        len(values) - len(scored),
        right / len(scored),
        *wilson_interval(right, len(scored)),
    )


def _contender_result(
    contract: Contract,
    held_out: Sequence[Example],
    generations: Sequence[Generation],
    contender: str,
    rates: Mapping[str, Rate],
) -> ContenderResult:
    num_tokens = [generation.num_tokens for generation in generations]
    return ContenderResult(
        contender,
        rates,
        num_answers=len(generations),
        num_truncated=sum(generation.finish_reason == "length" for generation in generations),
        mean_num_tokens=sum(num_tokens) / len(num_tokens) if num_tokens else 0.0,
        confusion=_confusion(contract, held_out, generations),
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


def _compare(metric: str, contender: str, other: str, values: Values) -> Comparison:
    ours, theirs = values[metric][contender], values[metric][other]
    pairs = Counter(
        (ours[id] == 1.0, theirs[id] == 1.0) for id in ours if ours[id] is not None and theirs[id] is not None
    )
    both, only_ours, only_theirs = pairs[True, True], pairs[True, False], pairs[False, True]
    num_pairs = pairs.total()
    low, high = paired_difference_interval(both, only_ours, only_theirs, pairs[False, False])
    return Comparison(
        metric,
        contender,
        other,
        num_pairs=num_pairs,
        num_unscored=len(ours) - num_pairs,
        both_right=both,
        only_contender=only_ours,
        only_other=only_theirs,
        difference=(only_ours - only_theirs) / num_pairs if num_pairs else 0.0,
        low=low,
        high=high,
        p_value=mcnemar_exact(only_ours, only_theirs),
    )


def _best_prompt(values: Mapping[str, Mapping[str, float | None]]) -> str:
    rates = {name: _rate(values[name].values()).rate for name in ("base", "few_shot") if name in values}
    scored = {name: rate for name, rate in rates.items() if rate is not None}
    return max(scored, key=scored.__getitem__, default="base")  # of equals the first: base
