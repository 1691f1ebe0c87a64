"""What the evidence shows about a run, most telling first, each with the one change that it suggests."""

from __future__ import annotations

from collections.abc import Sequence

from relaytune.core.recipe import Recipe
from relaytune.core.records import Finding
from relaytune.core.results import Diagnosis, EvaluationResult, TrainingResult, TrainingStep
from relaytune.core.rule import DecisionRule
from relaytune.diagnosis.answers import (
    PROMPT_AS_GOOD,
    difference_not_detectable,
    more_rows,
    not_evaluated,
    prompt_as_good,
    sounds_better,
)
from relaytune.diagnosis.course import loss_flat, overfitting, training_unfinished, validation_still_falling
from relaytune.diagnosis.task import both_wrong, format_wrong, judgement_wrong, one_label_swallows
from relaytune.evidence import apply_clause, estimate_of

__all__ = ["PROMPT_AS_GOOD", "diagnose", "diagnose_answers"]


def diagnose(
    recipe: Recipe,
    evaluation: EvaluationResult,
    training: TrainingResult | None,
    steps: Sequence[TrainingStep],
    contradictions: Sequence[Finding] = (),
) -> tuple[Diagnosis, ...]:
    """All that the evidence shows. Only where it shows nothing and the rule does not say keep: more rows.

    `steps` are those of the whole run, in order. Without `training` nothing is said about its course.
    `contradictions` are training rows that are alike and answered differently.
    """
    if estimate_of(evaluation, "tuned", evaluation.main_metric) is None:
        return (not_evaluated(evaluation),)
    found = [
        *training_unfinished(training, steps),
        *prompt_as_good(recipe.decision, evaluation),
        *sounds_better(evaluation),
        *loss_flat(recipe, evaluation, training, steps, contradictions),
        *overfitting(recipe, evaluation, training, steps),
        *both_wrong(recipe, evaluation, steps),
        *format_wrong(recipe, evaluation, steps),
        *one_label_swallows(recipe, evaluation),
        *judgement_wrong(recipe, evaluation, steps),
        *validation_still_falling(recipe, training, steps),
        *difference_not_detectable(evaluation),
    ]
    return tuple(found) if found or keeps(recipe.decision, evaluation) else (more_rows(evaluation),)


def diagnose_answers(rule: DecisionRule, evaluation: EvaluationResult) -> tuple[Diagnosis, ...]:
    """What the answers alone show, where nothing is known of a training."""
    if estimate_of(evaluation, "tuned", evaluation.main_metric) is None and "tuned" not in evaluation.contenders:
        return (not_evaluated(evaluation),)
    found = [
        *prompt_as_good(rule, evaluation),
        *sounds_better(evaluation),
        *difference_not_detectable(evaluation),
    ]
    return tuple(found) if found or keeps(rule, evaluation) else (more_rows(evaluation),)


def keeps(rule: DecisionRule, evaluation: EvaluationResult) -> bool:
    return all(apply_clause(clause, "keep_when", evaluation).holds for clause in rule.keep_when) and not any(
        apply_clause(clause, "never_when", evaluation).holds for clause in rule.never_when
    )
