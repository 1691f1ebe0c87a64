"""Right, wrong or unscored: every metric of the contract for every answer of one contender."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import jsonschema

from relaytune.core.contract import Answer, Contract, read_answer
from relaytune.core.errors import RunError
from relaytune.core.metrics import contract_metrics
from relaytune.core.records import Example, Generation, Score

# a score's value (None: unscored) and the reason where it is not 1
Value = tuple[float | None, str]

NO_REFERENCE = "the row has no reference"
NO_ANSWER = "no answer"


def score(
    contract: Contract, examples: Sequence[Example], generations: Iterable[Generation], contender: str
) -> list[Score]:
    """One row per example and metric. A metric is 1 (right), 0 (wrong) or unscored, never a silent 0.

    Unscored are: an example without an answer, label probabilities that were not saved or that tie, and an
    example whose own completion cannot be read.

    Raises:
        RunError: an answer belongs to no example, or two answers to the same one.
    """
    answers = by_id(examples, generations, contender)
    return [
        Score(example.id, contender, metric, *value)
        for example in examples
        for metric, value in _values(contract, example, answers.get(example.id)).items()
    ]


def by_id(examples: Sequence[Example], generations: Iterable[Generation], contender: str) -> dict[str, Generation]:
    """One contender's answers by the row that they answer. Raises as `score` does.

    A row that stands twice among the examples is answered twice; the last answer counts.
    """
    generations = list(generations)
    counts = Counter(generation.id for generation in generations)
    asked = Counter(example.id for example in examples)
    unknown = sorted(counts.keys() - asked.keys())
    twice = sorted(id for id, count in counts.items() if count > max(asked[id], 1))
    problems = []
    if unknown:
        problems.append(f"{len(unknown)} of no row of these examples: {_few(unknown)}")
    if twice:
        problems.append(f"{len(twice)} answered more than once: {_few(twice)}")
    if problems:
        raise RunError(
            f"answers of {contender}, by id: {'; '.join(problems)}. The answers were made from other rows or "
            "joined from two runs; delete the file and answer the rows again."
        )
    return {generation.id: generation for generation in generations}


def _values(contract: Contract, example: Example, generation: Generation | None) -> dict[str, Value]:
    metrics = contract_metrics(contract)
    if generation is None:
        return dict.fromkeys(metrics, (None, NO_ANSWER))
    answer = read_answer(contract, generation.completion)
    expected = read_answer(contract, example.completion)
    values: dict[str, Value] = {}
    for metric in metrics:
        if metric == "parses":
            values[metric] = _right_or(answer.parses, answer.problem)
        elif metric == "contract_pass":
            values[metric] = _right_or(answer.passes, answer.problem)
        elif not example.completion:
            values[metric] = None, NO_REFERENCE
        elif metric == "exact_match":
            values[metric] = _exact_match(contract, answer, expected)
        elif metric == "numeric_match":
            values[metric] = _numeric_match(contract, answer, expected)
        elif expected.label is None:
            values[metric] = None, f"the row's own completion has no label at {example.source}"
        elif metric == "label_accuracy":
            values[metric] = _label_accuracy(answer, expected.label)
        elif metric == "likeliest_label_accuracy":
            values[metric] = _likeliest_label_accuracy(contract, generation.label_log_probs, expected.label)
        else:
            raise NotImplementedError(f"metric {metric} has no scorer")
    return values


def _label_accuracy(answer: Answer, expected: str) -> Value:
    # an answer without a readable label has given none: that is wrong, not unscored
    if answer.label is None:
        return 0.0, "no label"
    return _right_or(answer.label == expected, f"{answer.label} instead of {expected}")


def _likeliest_label_accuracy(contract: Contract, log_probs: Mapping[str, float] | None, expected: str) -> Value:
    if log_probs is None:
        return None, "no label probabilities saved"
    if log_probs.keys() != set(contract.allowed_labels) or any(map(math.isnan, log_probs.values())):
        return None, "the saved label probabilities are not one number for each allowed label"
    highest = max(log_probs.values())
    likeliest = [label for label, value in log_probs.items() if value == highest]
    if len(likeliest) > 1:
        return None, f"{' and '.join(likeliest)} are equally likely"
    return _right_or(likeliest[0] == expected, f"{likeliest[0]} instead of {expected}")


def _exact_match(contract: Contract, answer: Answer, expected: Answer) -> Value:
    if contract.kind != "json_schema":
        return _right_or(answer.value == expected.value, "another text than expected")
    if not expected.parses:
        return None, f"the row's own completion is {expected.problem}"
    if not answer.parses:
        return 0.0, answer.problem
    # JSON Schema's `const` is JSON equality: 1 is 1.0 but not true, and keys have no order
    same = jsonschema.Draft202012Validator({"const": expected.value}).is_valid(answer.value)
    return _right_or(same, "another value than expected")


def _numeric_match(contract: Contract, answer: Answer, expected: Answer) -> Value:
    assert contract.number is not None
    if expected.number is None:
        return None, f"the row's own completion: {expected.problem}"
    # an answer without a readable number has given none: that is wrong, not unscored
    if answer.number is None:
        return 0.0, answer.problem
    right = contract.number.agrees(answer.number, expected.number)
    return _right_or(right, f"{answer.value} instead of {expected.value}")


def _right_or(right: bool, reason: str) -> Value:
    return (1.0, "") if right else (0.0, reason)


def _few(ids: Sequence[str], limit: int = 5) -> str:
    return ", ".join(ids[:limit]) + (f" and {len(ids) - limit} more" if len(ids) > limit else "")
