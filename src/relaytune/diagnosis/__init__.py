"""What the evidence shows about a run, most telling first, each with the one change that it suggests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from relaytune.core.recipe import Recipe
from relaytune.core.records import Finding
from relaytune.core.results import Diagnosis, EvaluationResult, TrainingResult, TrainingStep
from relaytune.core.rule import BEST_PROMPT, DecisionRule
from relaytune.diagnosis.answers import (
    AUDIT_DATA,
    FACTS_DOWN,
    HARM_NOT_EXCLUDED,
    PROMPT_AS_GOOD,
    difference_not_detectable,
    harm_not_excluded,
    judges_refused,
    more_rows,
    not_evaluated,
    prompt_as_good,
    sounds_better,
)
from relaytune.diagnosis.course import (
    loss_flat,
    overfitting,
    training_diverged,
    training_unfinished,
    validation_still_falling,
)
from relaytune.diagnosis.task import both_wrong, format_wrong, judgement_wrong, one_label_swallows
from relaytune.evidence import apply_clause

__all__ = ["AUDIT_DATA", "FACTS_DOWN", "HARM_NOT_EXCLUDED", "PROMPT_AS_GOOD", "diagnose", "diagnose_answers"]

SEE_REASONS = "see in scores.jsonl (--output writes it) why no answer is scored, and mend the answers or the criteria"


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
    sides = "tuned", BEST_PROMPT
    if missing := tuple(not_evaluated(evaluation, *sides)):
        return missing
    diverged = tuple(training_diverged(recipe, training, steps))
    found = [
        *training_unfinished(training, steps),
        *diverged,
        *prompt_as_good(recipe.decision, evaluation),
        *judges_refused(evaluation, *sides),
        *sounds_better(evaluation, *sides),
        *(() if diverged else loss_flat(recipe, evaluation, training, steps, contradictions)),
        *overfitting(recipe, evaluation, training, steps),
        *both_wrong(recipe, evaluation, steps),
        *format_wrong(recipe, evaluation, steps),
        *one_label_swallows(recipe, evaluation),
        *judgement_wrong(recipe, evaluation, steps),
        *validation_still_falling(recipe, training, steps),
        *harm_not_excluded(recipe.decision, evaluation),
        *difference_not_detectable(evaluation, *sides),
    ]
    return tuple(found) if found or keeps(recipe.decision, evaluation) else (more_rows(evaluation, *sides),)


def diagnose_answers(rule: DecisionRule, evaluation: EvaluationResult) -> tuple[Diagnosis, ...]:
    """What the answers alone show, where nothing is known of a training: of the two that the rule compares first."""
    first = next((clause for clause in rule.keep_when if clause.other), rule.keep_when[0])
    sides = first.contender, first.other or BEST_PROMPT
    if missing := tuple(not_evaluated(evaluation, *sides)):
        return tuple(replace(one, next_change=SEE_REASONS) for one in missing)
    found = [
        *prompt_as_good(rule, evaluation),
        *judges_refused(evaluation, *sides),
        *sounds_better(evaluation, *sides),
        *harm_not_excluded(rule, evaluation),
        *difference_not_detectable(evaluation, *sides),
    ]
    if found or keeps(rule, evaluation):
        return tuple(found)
    return (
        replace(more_rows(evaluation, *sides), next_change=f"read the answers of {sides[0]} that are wrong or lose"),
    )


def keeps(rule: DecisionRule, evaluation: EvaluationResult) -> bool:
    """Whether the rule's conditions to keep are met, whatever it says of a discard."""
    return all(apply_clause(clause, "keep_when", evaluation).holds for clause in rule.keep_when) and not any(
        apply_clause(clause, "never_when", evaluation).holds for clause in rule.never_when
    )
