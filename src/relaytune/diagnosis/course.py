"""What the course of the training shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relaytune.core.recipe import Recipe
from relaytune.core.records import Finding
from relaytune.core.results import Diagnosis, EvaluationResult, TrainingResult, TrainingStep
from relaytune.diagnosis.levels import (
    STILL_FALLING,
    last_fall,
    misses_training_rows,
    more_epochs,
    validation_losses,
    value_of,
)
from relaytune.evidence import (
    estimate_of,
    say_difference,
    say_estimate,
)

DIVERGED = 1.0  # nats a token: no change of batches or of wording does that
OVERFITTING_GAP = 0.15
FLAT_AFTER = 150  # steps, by which a training that learns has begun to
STEPS_AVERAGED = 25
ROWS_NAMED = 6
ENOUGH_ROWS = 500  # training rows, with which a large rank rather than too few cases is to blame
SMALL_RANK = 8


def training_unfinished(training: TrainingResult | None, steps: Sequence[TrainingStep]) -> Iterator[Diagnosis]:
    """Another session would still change the adapter."""
    if training is None or training.stopped_early:
        return
    done = _steps_done(training, steps)
    if done < training.planned_steps:
        yield Diagnosis(
            "training_unfinished",
            f"{done} of {training.planned_steps} steps are trained",
            "finish the training with another session: `relaytune train`, then evaluate again",
        )


def training_diverged(
    recipe: Recipe, training: TrainingResult | None, steps: Sequence[TrainingStep]
) -> Iterator[Diagnosis]:
    """Training broke the model: its loss ends far above the validation loss before the first step."""
    losses = [step.train_loss for step in steps if step.train_loss is not None]
    quarter = len(losses) // 4
    if training is None or quarter < 2:
        return
    before, last = training.first_validation_loss, sum(losses[-quarter:]) / quarter
    if last > before + DIVERGED:
        rate = recipe.training.learning_rate
        yield Diagnosis(
            "training_diverged",
            f"the validation loss was {before:.3f} before training, and the training loss is {last:.3f} in the last "
            "quarter of steps: the model is broken",
            f"set training.learning_rate to {rate / 4:g} (now {rate:g})",
        )


def loss_flat(
    recipe: Recipe,
    evaluation: EvaluationResult,
    training: TrainingResult | None,
    steps: Sequence[TrainingStep],
    contradictions: Sequence[Finding],
) -> Iterator[Diagnosis]:
    """Training teaches nothing, from the start or from a point on."""
    rate = recipe.training.learning_rate
    # a rate of 1e-4 and more is a usual one for LoRA: what does not learn with it is unstable
    better = rate / 4 if rate >= 1e-4 else rate * 4
    change = f"set training.learning_rate to {better:g} (now {rate:g})"
    if contradictions:
        places = [place for finding in contradictions for place in finding.where]
        more = f" and {len(places) - ROWS_NAMED} more" if len(places) > ROWS_NAMED else ""
        change = f"settle the training rows that contradict each other: {', '.join(places[:ROWS_NAMED])}{more}"
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
    elif len(losses) >= FLAT_AFTER + 2 * STEPS_AVERAGED and misses_training_rows(recipe, evaluation):
        middle = sum(losses[FLAT_AFTER : FLAT_AFTER + STEPS_AVERAGED]) / STEPS_AVERAGED
        end = sum(losses[-STEPS_AVERAGED:]) / STEPS_AVERAGED
        if end > (1 - STILL_FALLING) * middle:
            own = say_estimate(evaluation.train_estimate)
            evidence = (
                f"the training loss is flat after step {FLAT_AFTER}: {middle:.3f} in the next {STEPS_AVERAGED} steps, "
                f"{end:.3f} in the last; on training rows tuned reaches {evaluation.main_metric} {own}"
            )
            yield Diagnosis("loss_flat", evidence, change)


def overfitting(
    recipe: Recipe,
    evaluation: EvaluationResult,
    training: TrainingResult | None,
    steps: Sequence[TrainingStep],
) -> Iterator[Diagnosis]:
    """Training rows are learnt by heart."""
    metric = evaluation.metrics[evaluation.main_metric]
    train, held_out = evaluation.train_estimate, estimate_of(evaluation, "tuned", metric.name)
    if train is None or held_out is None or metric.kind != "share":
        return
    gap = value_of(train) - value_of(held_out)
    if gap <= OVERFITTING_GAP or train.low is None or held_out.high is None or train.low <= held_out.high:
        return
    evidence = (
        f"tuned {evaluation.main_metric}: {say_estimate(train)} on training rows, {say_estimate(held_out)} on "
        f"held-out rows, {say_difference(metric, gap)}"
    )
    done = _steps_done(training, steps) if training else 0
    if training is not None and training.best_step <= done / 2:
        epochs = recipe.training.num_epochs
        fewer = max(round(epochs * training.best_step / training.planned_steps, 1), 0.1)
        evidence += f"; the validation loss was best at step {training.best_step} of {done}"
        change = f"set training.num_epochs to {fewer:g} (now {epochs:g})"
    elif training is not None and _num_train_rows(recipe, training) >= ENOUGH_ROWS and recipe.lora.rank > SMALL_RANK:
        rank = recipe.lora.rank
        change = f"set lora.rank to {rank // 2} (now {rank})"
    else:
        change = "add training rows that differ from those there: other wordings, other cases"
    yield Diagnosis("overfitting", evidence, change)


def _num_train_rows(recipe: Recipe, training: TrainingResult) -> float:
    return recipe.training.examples_per_step * training.planned_steps / recipe.training.num_epochs


def validation_still_falling(
    recipe: Recipe, training: TrainingResult | None, steps: Sequence[TrainingStep]
) -> Iterator[Diagnosis]:
    """The training ended before it had nothing left to gain."""
    if training is None or training.stopped_early or last_fall(steps) < STILL_FALLING:
        return
    before, last = validation_losses(steps)[-2:]
    yield Diagnosis(
        "validation_still_falling",
        f"the validation loss fell from {before:.3f} to {last:.3f} over the last interval of the training",
        more_epochs(recipe),
    )


def _steps_done(training: TrainingResult, steps: Sequence[TrainingStep]) -> int:
    return max([training.num_steps, *(step.step for step in steps)])
