"""What the evidence shows about a run, most telling first, each with the one change that it suggests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relaytune.core.recipe import Recipe
from relaytune.core.results import Diagnosis, EvaluationResult, Rate, TrainingResult, TrainingStep
from relaytune.core.statistics import pairs_needed
from relaytune.evidence import (
    SIGNIFICANCE,
    apply_clause,
    compare,
    prompt_meeting_levels,
    rate_of,
    say_comparison,
    say_points,
    say_prompt,
    say_rate,
)

PROMPT_AS_GOOD = "prompt_as_good"

FORMAT_METRICS = ("parses", "contract_pass")
FORMAT_IS_RIGHT = 0.95  # contract_pass from which a wrong answer is a matter of judgement
MANY_TRUNCATED = 0.05
# a prompt is as good as tuned when at most this much can be gained (upper limit of the interval)
NEGLIGIBLE_GAIN = 0.05
OVERFITTING_GAP = 0.15
SWALLOWED_ROWS = 5  # a label with fewer held-out rows says little
STILL_FALLING = 0.01  # relative fall of the validation loss over the last interval
PRACTICAL_HELD_OUT = 5000  # rows; to show a gain that needs more is not worth it


def diagnose(
    recipe: Recipe,
    evaluation: EvaluationResult,
    training: TrainingResult | None,
    steps: Sequence[TrainingStep],
) -> tuple[Diagnosis, ...]:
    """All that the evidence shows. Only where it shows nothing and the rule does not say keep: more rows.

    `steps` are those of the whole run, in order. Without `training` nothing is said about its course.
    """
    if rate_of(evaluation, "tuned", evaluation.main_metric) is None:
        return (_not_evaluated(evaluation),)
    found = [
        *_training_unfinished(training, steps),
        *_prompt_as_good(recipe, evaluation),
        *_loss_flat(recipe, training, steps),
        *_overfitting(recipe, evaluation, training, steps),
        *_format_wrong(recipe, evaluation),
        *_one_label_swallows(recipe, evaluation),
        *_judgement_wrong(recipe, evaluation, steps),
        *_validation_still_falling(recipe, training, steps),
        *_difference_not_detectable(evaluation),
    ]
    keeps = all(apply_clause(clause, "keep_when", evaluation).holds for clause in recipe.decision.keep_when)
    return tuple(found) if found or keeps else (_more_rows(evaluation),)


def _not_evaluated(evaluation: EvaluationResult) -> Diagnosis:
    if "tuned" not in evaluation.contenders:
        return Diagnosis(
            "not_evaluated",
            f"tuned answered none of the {evaluation.num_held_out} held-out rows",
            "train the model and let it answer: `relaytune train`, then `relaytune evaluate`",
        )
    return Diagnosis(
        "not_evaluated",
        f"none of tuned's answers could be scored for {evaluation.main_metric}; scores.jsonl says why",
        "answer the held-out rows again: delete generations/tuned.jsonl and run `relaytune evaluate`",
    )


def _prompt_as_good(recipe: Recipe, evaluation: EvaluationResult) -> Iterator[Diagnosis]:
    prompt = prompt_meeting_levels(recipe.decision, evaluation)
    comparison = compare(evaluation, evaluation.main_metric, "tuned", prompt) if prompt else None
    if not prompt or comparison is None or (comparison.p_value <= SIGNIFICANCE and comparison.difference > 0):
        return
    # a wide interval above 0 is a lack of held-out rows, not a sign that the two are alike
    if comparison.difference <= 0 or comparison.high <= NEGLIGIBLE_GAIN:
        yield Diagnosis(
            PROMPT_AS_GOOD,
            f"{prompt} meets every level of the rule without training, and tuned is not better: "
            f"{say_comparison(evaluation, comparison)}",
            f"do not fine-tune; use {say_prompt(prompt)}",
        )


def _training_unfinished(training: TrainingResult | None, steps: Sequence[TrainingStep]) -> Iterator[Diagnosis]:
    if training is None or training.stopped_early:
        return
    done = _steps_done(training, steps)
    if done < training.planned_steps:
        yield Diagnosis(
            "training_unfinished",
            f"{done} of {training.planned_steps} steps are trained",
            "finish the training with another session: `relaytune train`, then evaluate again",
        )


def _loss_flat(recipe: Recipe, training: TrainingResult | None, steps: Sequence[TrainingStep]) -> Iterator[Diagnosis]:
    rate = recipe.training.learning_rate
    # a rate of 1e-4 and more is a usual one for LoRA: what does not learn with it is unstable
    better = rate / 4 if rate >= 1e-4 else rate * 4
    change = f"set training.learning_rate to {better:g} (now {rate:g})"
    if training is not None and training.best_step == 0:
        evidence = (
            f"in {_steps_done(training, steps)} steps the validation loss was never below the one before "
            f"training ({training.first_validation_loss:.3f})"
        )
        yield Diagnosis("loss_flat", evidence, change)
        return
    losses = [step.train_loss for step in steps if step.train_loss is not None]
    quarter = len(losses) // 4
    if quarter < 2:
        return
    first, last = sum(losses[:quarter]) / quarter, sum(losses[-quarter:]) / quarter
    if last >= first:
        evidence = f"the mean training loss is {first:.3f} in the first quarter of steps, {last:.3f} in the last"
        yield Diagnosis("loss_flat", evidence, change)


def _overfitting(
    recipe: Recipe,
    evaluation: EvaluationResult,
    training: TrainingResult | None,
    steps: Sequence[TrainingStep],
) -> Iterator[Diagnosis]:
    train, held_out = evaluation.train_rate, rate_of(evaluation, "tuned", evaluation.main_metric)
    if train is None or held_out is None:
        return
    gap = _rate(train) - _rate(held_out)
    if gap <= OVERFITTING_GAP or train.low is None or held_out.high is None or train.low <= held_out.high:
        return
    evidence = (
        f"tuned {evaluation.main_metric}: {say_rate(train)} on training rows, {say_rate(held_out)} on "
        f"held-out rows, {say_points(gap)}"
    )
    done = _steps_done(training, steps) if training else 0
    if training is not None and training.best_step <= done / 2:
        epochs = recipe.training.num_epochs
        fewer = max(round(epochs * training.best_step / training.planned_steps, 1), 0.1)
        evidence += f"; the validation loss was best at step {training.best_step} of {done}"
        change = f"set training.num_epochs to {fewer:g} (now {epochs:g})"
    else:
        change = "add training rows that differ from those there: other wordings, other cases"
    yield Diagnosis("overfitting", evidence, change)


def _format_wrong(recipe: Recipe, evaluation: EvaluationResult) -> Iterator[Diagnosis]:
    rate = rate_of(evaluation, "tuned", "contract_pass")
    if rate is None or _rate(rate) >= (_level_asked(recipe, "contract_pass") or FORMAT_IS_RIGHT):
        return
    tuned = evaluation.contenders["tuned"]
    evidence = f"tuned keeps the contract in {say_rate(rate)}"
    if tuned.num_truncated > MANY_TRUNCATED * tuned.num_answers:
        tokens = recipe.evaluation.max_new_tokens
        evidence += f"; {tuned.num_truncated} of {tuned.num_answers} answers were cut off at {tokens} tokens"
        change = f"set evaluation.max_new_tokens to {2 * tokens} (now {tokens})"
    else:
        change = _more_epochs(recipe)
    yield Diagnosis("format_wrong", evidence, change)


def _one_label_swallows(recipe: Recipe, evaluation: EvaluationResult) -> Iterator[Diagnosis]:
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


def _judgement_wrong(
    recipe: Recipe, evaluation: EvaluationResult, steps: Sequence[TrainingStep]
) -> Iterator[Diagnosis]:
    format_rate = rate_of(evaluation, "tuned", "contract_pass")
    if _rate(format_rate) < FORMAT_IS_RIGHT:
        return
    asked = (clause.metric for clause in recipe.decision.keep_when if clause.kind == "at_least")
    for metric in dict.fromkeys((evaluation.main_metric, *asked)):
        rate = rate_of(evaluation, "tuned", metric)
        wanted, whose = _wanted(recipe, evaluation, metric)
        if metric in FORMAT_METRICS or rate is None or _rate(rate) >= wanted:
            continue
        more, change = _why_misjudged(recipe, evaluation, steps, metric, wanted)
        yield Diagnosis(
            "judgement_wrong",
            f"tuned keeps the contract in {say_rate(format_rate)} but reaches {metric} {say_rate(rate)}, "
            f"below {whose}{more}",
            change,
        )
        return


def _wanted(recipe: Recipe, evaluation: EvaluationResult, metric: str) -> tuple[float, str]:
    """What tuned should reach, and in words: the level that the rule asks, else the best prompt's."""
    level = _level_asked(recipe, metric)
    if level is not None:
        return level, f"the {100 * level:g}% asked"
    prompt = evaluation.best_prompt[metric]
    rate = rate_of(evaluation, prompt, metric)
    return _rate(rate), f"{prompt} with {say_rate(rate)}"


def _why_misjudged(
    recipe: Recipe, evaluation: EvaluationResult, steps: Sequence[TrainingStep], metric: str, wanted: float
) -> tuple[str, str]:
    """What more the evidence says about wrong judgements, and the change."""
    rate, train = rate_of(evaluation, "tuned", metric), evaluation.train_rate
    likeliest = rate_of(evaluation, "tuned", "likeliest_label_accuracy")
    if metric == "label_accuracy" and likeliest and (likeliest.low or 0) > _rate(rate):
        return (
            f"; its likeliest label is right in {say_rate(likeliest)}",
            "take the likeliest label, not the written one, and state the rule on likeliest_label_accuracy",
        )
    if metric == evaluation.main_metric and train and train.rate is not None and train.rate < wanted:
        change = _more_epochs(recipe) if _last_fall(steps) >= STILL_FALLING else "use a larger base_model"
        return f"; on training rows too it reaches only {say_rate(train)}", change
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


def _validation_still_falling(
    recipe: Recipe, training: TrainingResult | None, steps: Sequence[TrainingStep]
) -> Iterator[Diagnosis]:
    if training is None or training.stopped_early or _last_fall(steps) < STILL_FALLING:
        return
    before, last = _validation_losses(steps)[-2:]
    yield Diagnosis(
        "validation_still_falling",
        f"the validation loss fell from {before:.3f} to {last:.3f} over the last interval of the training",
        _more_epochs(recipe),
    )


def _difference_not_detectable(evaluation: EvaluationResult) -> Iterator[Diagnosis]:
    metric = evaluation.main_metric
    comparison = compare(evaluation, metric, "tuned", evaluation.best_prompt[metric])
    if comparison is None or comparison.difference <= 0 or comparison.p_value <= SIGNIFICANCE:
        return
    discordant = (comparison.only_contender + comparison.only_other) / comparison.num_pairs
    needed = pairs_needed(comparison.difference, discordant)
    if needed is not None and needed <= PRACTICAL_HELD_OUT:
        change = f"enlarge the held-out set to about {needed} rows (now {comparison.num_pairs} compared)"
    else:
        change = "add training rows; a difference this small is not worth measuring"
    yield Diagnosis(
        "difference_not_detectable",
        f"{say_comparison(evaluation, comparison)}; a true difference of this size takes about {needed} "
        "held-out rows to be found with 80% power",
        change,
    )


def _more_rows(evaluation: EvaluationResult) -> Diagnosis:
    rate = rate_of(evaluation, "tuned", evaluation.main_metric)
    return Diagnosis(
        "cause_unknown",
        f"tuned {evaluation.main_metric} {say_rate(rate)}; neither answers nor losses point to one cause",
        "add training rows",
    )


def _steps_done(training: TrainingResult, steps: Sequence[TrainingStep]) -> int:
    return max([training.num_steps, *(step.step for step in steps)])


def _level_asked(recipe: Recipe, metric: str) -> float | None:
    levels = [
        clause.threshold
        for clause in recipe.decision.keep_when
        if (clause.contender, clause.metric, clause.kind) == ("tuned", metric, "at_least")
        and clause.threshold is not None
    ]
    return max(levels, default=None)


def _more_epochs(recipe: Recipe) -> str:
    epochs = recipe.training.num_epochs
    return f"set training.num_epochs to {2 * epochs:g} (now {epochs:g})"


def _validation_losses(steps: Sequence[TrainingStep]) -> list[float]:
    return [step.validation_loss for step in steps if step.validation_loss is not None]


def _last_fall(steps: Sequence[TrainingStep]) -> float:
    """How far the last validation loss lies below the best one before it, as a share of that; else 0."""
    *before, last = _validation_losses(steps) or [0.0]
    return max(1 - last / min(before), 0.0) if before and min(before) > 0 else 0.0


def _rate(rate: Rate | None) -> float:
    return rate.rate if rate is not None and rate.rate is not None else 0.0
