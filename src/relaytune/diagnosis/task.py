"""What goes wrong with the form and the judgement of answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relaytune.core.recipe import Recipe
from relaytune.core.results import Diagnosis, EvaluationResult, TrainingStep
from relaytune.diagnosis.levels import (
    STILL_FALLING,
    last_fall,
    level_asked,
    misses_training_rows,
    more_epochs,
    value_of,
    wanted,
)
from relaytune.evidence import (
    estimate_of,
    say_estimate,
)

FORMAT_IS_RIGHT = 0.95  # contract_pass from which a wrong answer is a matter of judgement
MANY_TRUNCATED = 0.05
SWALLOWED_ROWS = 5  # a label with fewer held-out rows says little


def both_wrong(recipe: Recipe, evaluation: EvaluationResult, steps: Sequence[TrainingStep]) -> Iterator[Diagnosis]:
    """Neither form nor judgement, not even on training rows, and the loss no longer falls: more than training lacks."""
    form = estimate_of(evaluation, "tuned", "contract_pass")
    judged = estimate_of(evaluation, "tuned", evaluation.main_metric)
    metric = evaluation.metrics[evaluation.main_metric]
    if metric.kind != "share" or metric.group == "format" or form is None or judged is None:
        return
    level, whose = wanted(recipe, evaluation, metric.name)
    readable = value_of(judged) / value_of(form) if value_of(form) else 0.0
    truncated = evaluation.contenders["tuned"].num_truncated > MANY_TRUNCATED * form.scored
    if value_of(form) >= FORMAT_IS_RIGHT or readable >= level or truncated or last_fall(steps) >= STILL_FALLING:
        return
    if misses_training_rows(recipe, evaluation):
        yield Diagnosis(
            "both_wrong",
            f"tuned keeps the contract in {say_estimate(form)} and reaches {metric.name} {say_estimate(judged)}, below "
            f"{whose}; on training rows {say_estimate(evaluation.train_estimate)}",
            "use a larger base_model",
        )


def format_wrong(recipe: Recipe, evaluation: EvaluationResult, steps: Sequence[TrainingStep]) -> Iterator[Diagnosis]:
    """Answers break the contract."""
    if any(both_wrong(recipe, evaluation, steps)):
        return
    rate = estimate_of(evaluation, "tuned", "contract_pass")
    if rate is None or value_of(rate) >= (level_asked(recipe, "contract_pass") or FORMAT_IS_RIGHT):
        return
    tuned = evaluation.contenders["tuned"]
    evidence = f"tuned keeps the contract in {say_estimate(rate)}"
    if tuned.num_truncated > MANY_TRUNCATED * tuned.num_answers:
        tokens = recipe.evaluation.max_new_tokens
        evidence += f"; {tuned.num_truncated} of {tuned.num_answers} answers were cut off at {tokens} tokens"
        change = f"set evaluation.max_new_tokens to {2 * tokens} (now {tokens})"
    else:
        change = more_epochs(recipe)
    yield Diagnosis("format_wrong", evidence, change)


def one_label_swallows(recipe: Recipe, evaluation: EvaluationResult) -> Iterator[Diagnosis]:
    """One label is given where another is expected."""
    confusion = evaluation.contenders["tuned"].confusion
    labels = recipe.contract.allowed_labels
    given = {label: sum(row.get(label, 0) for row in confusion.values()) for label in labels}
    expected = {label: sum(confusion.get(label, {}).values()) for label in labels}
    swallowed = [
        (count, label, other)
        for label in labels
        if given[label] > 1.5 * expected[label]
        for other, row in confusion.items()
        if (count := row.get(label, 0)) > expected[other] / 2 and other != label and expected[other] >= SWALLOWED_ROWS
    ]
    if not swallowed:
        return
    count, label, other = max(swallowed)
    yield Diagnosis(
        "one_label_swallows",
        f"{label} is given {given[label]} times in {sum(expected.values())}, expected {expected[label]}; "
        f"{count} of the {expected[other]} rows of {other} are answered with it",
        f"add contrast examples to the training rows: cases of {other} close to {label}, and the reverse",
    )


def judgement_wrong(recipe: Recipe, evaluation: EvaluationResult, steps: Sequence[TrainingStep]) -> Iterator[Diagnosis]:
    """The form is right and the judgement is not: data and rubric, not epochs."""
    format_rate = estimate_of(evaluation, "tuned", "contract_pass")
    if value_of(format_rate) < FORMAT_IS_RIGHT:
        return
    asked = (clause.metric for clause in recipe.decision.keep_when if clause.kind == "at_least")
    for metric in dict.fromkeys((evaluation.main_metric, *asked)):
        rate = estimate_of(evaluation, "tuned", metric)
        level, whose = wanted(recipe, evaluation, metric)
        known = evaluation.metrics[metric]
        if known.group == "format" or known.lower_is_better or rate is None or value_of(rate) >= level:
            continue
        more, change = _why_misjudged(recipe, evaluation, steps, metric, level)
        yield Diagnosis(
            "judgement_wrong",
            f"tuned keeps the contract in {say_estimate(format_rate)} but reaches {metric} {say_estimate(rate)}, "
            f"below {whose}{more}",
            change,
        )
        return


def _why_misjudged(
    recipe: Recipe, evaluation: EvaluationResult, steps: Sequence[TrainingStep], metric: str, wanted: float
) -> tuple[str, str]:
    """What more the evidence says about wrong judgements, and the change."""
    rate, train = estimate_of(evaluation, "tuned", metric), evaluation.train_estimate
    likeliest = estimate_of(evaluation, "tuned", "likeliest_label_accuracy")
    if metric == "label_accuracy" and likeliest and (likeliest.low or 0) > value_of(rate):
        return (
            f"; its likeliest label is right in {say_estimate(likeliest)}",
            "take the likeliest label, not the written one, and state the rule on likeliest_label_accuracy",
        )
    if metric == evaluation.main_metric and train and train.value is not None and train.value < wanted:
        change = more_epochs(recipe) if last_fall(steps) >= STILL_FALLING else "use a larger base_model"
        return f"; on training rows too it reaches only {say_estimate(train)}", change
    return "", _rows_for_weakest_label(evaluation)


def _rows_for_weakest_label(evaluation: EvaluationResult) -> str:
    confusion = evaluation.contenders["tuned"].confusion
    shares = {
        label: (row.get(label, 0), sum(row.values()))
        for label, row in confusion.items()
        if sum(row.values()) >= SWALLOWED_ROWS
    }
    if not shares:
        return "add training rows of the kind that tuned answers wrongly, checked by a second person"
    label = min(shares, key=lambda label: shares[label][0] / shares[label][1])
    right, expected = shares[label]
    return f"add training rows for the label {label} ({right} of its {expected} held-out rows are right)"
