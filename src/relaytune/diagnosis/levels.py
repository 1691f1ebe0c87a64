"""What tuned should reach, and how far it is from it."""

from __future__ import annotations

from collections.abc import Sequence

from relaytune.core.recipe import Recipe
from relaytune.core.results import Estimate, EvaluationResult, TrainingStep
from relaytune.evidence import (
    estimate_of,
    say_estimate,
    say_level,
)

STILL_FALLING = 0.01  # relative fall of the validation loss over the last interval
LEARNT = 0.9  # of the training rows, right


def misses_training_rows(recipe: Recipe, evaluation: EvaluationResult) -> bool:
    """Whether tuned fails on the very rows that it was trained on."""
    own = evaluation.train_estimate
    level, _ = wanted(recipe, evaluation, evaluation.main_metric)
    return own is not None and own.value is not None and own.high is not None and own.high < max(level, LEARNT)


def wanted(recipe: Recipe, evaluation: EvaluationResult, metric: str) -> tuple[float, str]:
    """What tuned should reach, and in words: the level that the rule asks, else the best prompt's."""
    level = level_asked(recipe, metric)
    if level is not None:
        return level, f"the {say_level(evaluation.metrics[metric], level)} asked"
    prompt = evaluation.best_prompt[metric]
    rate = estimate_of(evaluation, prompt, metric)
    return value_of(rate), f"{prompt} with {say_estimate(rate)}"


def level_asked(recipe: Recipe, metric: str) -> float | None:
    """The highest level that the rule asks of tuned; None where it asks none."""
    levels = [
        clause.threshold
        for clause in recipe.decision.keep_when
        if (clause.contender, clause.metric, clause.kind) == ("tuned", metric, "at_least")
        and clause.threshold is not None
    ]
    return max(levels, default=None)


def more_epochs(recipe: Recipe) -> str:
    """The change to twice the epochs."""
    epochs = recipe.training.num_epochs
    return f"set training.num_epochs to {2 * epochs:g} (now {epochs:g})"


def last_fall(steps: Sequence[TrainingStep]) -> float:
    """How far the last validation loss lies below the best one before it, as a share of that; else 0."""
    *before, last = validation_losses(steps) or [0.0]
    return max(1 - last / min(before), 0.0) if before and min(before) > 0 else 0.0


def value_of(estimate: Estimate | None) -> float:
    """The value, 0 where there is none."""
    return estimate.value if estimate is not None and estimate.value is not None else 0.0


def validation_losses(steps: Sequence[TrainingStep]) -> list[float]:
    """Those that were measured, in order."""
    return [step.validation_loss for step in steps if step.validation_loss is not None]
