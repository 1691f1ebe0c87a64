"""Keep, iterate or discard: the rule that was written down first, applied to what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from relaytune.core.metrics import FACTUAL_ERRORS, Metric
from relaytune.core.recipe import Recipe
from relaytune.core.records import Finding
from relaytune.core.results import (
    ClauseResult,
    Diagnosis,
    EvaluationResult,
    TrainingResult,
    TrainingStep,
    Verdict,
)
from relaytune.core.rule import DecisionRule
from relaytune.core.run_folder import now
from relaytune.diagnosis import AUDIT_DATA, FACTS_DOWN, HARM_NOT_EXCLUDED, PROMPT_AS_GOOD, diagnose, diagnose_answers
from relaytune.evidence import (
    LABEL_METRICS,
    always_one_label,
    apply_clause,
    estimate_of,
    prompt_meeting_levels,
    resolve,
    say_estimate,
    say_prompt,
    say_threshold,
)
from relaytune.weaknesses import weaknesses_of

FEW_ROWS = 10  # held-out rows of a label, below which its errors hardly show


def decide(
    recipe: Recipe,
    evaluation: EvaluationResult,
    training: TrainingResult | None,
    steps: Sequence[TrainingStep],
    rule_history: tuple[Mapping[str, str], ...],
    rule_changed: bool,
    contradictions: Sequence[Finding] = (),
) -> Verdict:
    """Apply the recipe's rule.

    Discard when any clause of `discard_when` holds; keep when all of `keep_when` hold and none of `never_when`;
    otherwise discard if a prompt alone meets the levels asked and tuned adds nothing to it, or if the judges like tuned
    better while sources contradict it more often; else iterate.
    `steps` are those of the whole run, `contradictions` training rows that are alike and answered differently.
    `rule_changed` (after an evaluation) changes no outcome, but is shown.
    """
    clauses = _apply(recipe.decision, evaluation)
    diagnoses = diagnose(recipe, evaluation, training, steps, contradictions)
    outcome, reason, next_change = _conclude(clauses, diagnoses, evaluation)
    return Verdict(
        outcome,
        reason,
        next_change,
        clauses,
        diagnoses,
        tuple(_remaining_risks(recipe, evaluation, rule_changed)),
        recipe.decision.hash,
        rule_changed,
        rule_history,
        now(),
    )


def decide_answers(rule: DecisionRule, evaluation: EvaluationResult) -> Verdict:
    """Apply a rule to answers made elsewhere: nothing is known of a training, or of when the rule was written."""
    clauses = _apply(rule, evaluation)
    diagnoses = diagnose_answers(rule, evaluation)
    risks = [*_close_levels(rule, evaluation), *_prompt_at_chance(evaluation), *weaknesses_of(evaluation)]
    return Verdict(
        *_conclude(clauses, diagnoses, evaluation), clauses, diagnoses, tuple(risks), rule.hash, False, (), now()
    )


def _apply(rule: DecisionRule, evaluation: EvaluationResult) -> tuple[ClauseResult, ...]:
    return (
        *(apply_clause(clause, "keep_when", evaluation) for clause in rule.keep_when),
        *(apply_clause(clause, "never_when", evaluation) for clause in rule.never_when),
        *(apply_clause(clause, "discard_when", evaluation) for clause in rule.discard_when),
    )


def prompt_suffices(recipe: Recipe, evaluation: EvaluationResult) -> str:
    """A sentence if a prompt alone already meets every level of `keep_when`, else ''. For before training."""
    prompt = prompt_meeting_levels(recipe.decision, evaluation)
    if prompt is None:
        return ""
    met = "; ".join(
        f"{clause.metric} {say_estimate(estimate_of(evaluation, prompt, clause.metric))}, "
        f"{say_threshold(clause, evaluation.metrics[clause.metric])}"
        for clause in recipe.decision.keep_when
        if clause.contender == "tuned" and clause.kind in ("at_least", "at_most")
    )
    return f"{prompt} alone meets every level that the rule asks of tuned ({met}); a prompt may be enough."


def _conclude(
    clauses: Sequence[ClauseResult], diagnoses: Sequence[Diagnosis], evaluation: EvaluationResult
) -> tuple[Literal["keep", "iterate", "discard"], str, str]:
    """Outcome, reason, next change."""
    keep = [clause for clause in clauses if clause.role == "keep_when"]
    failing = [clause for clause in keep if not clause.holds]
    forbidding = [clause for clause in clauses if clause.role == "discard_when" and clause.holds]
    if forbidding:
        reason = f"This clause of discard_when holds: {forbidding[0].text} ({forbidding[0].evidence})."
        if FACTUAL_ERRORS in forbidding[0].text.split() and any(one.next_change == AUDIT_DATA for one in diagnoses):
            return "discard", reason, AUDIT_DATA  # a base that errs less may do so by knowing nothing
        return "discard", reason, _instead(evaluation, diagnoses)
    hindering = [clause for clause in clauses if clause.role == "never_when" and clause.holds]
    if not failing and not hindering:
        return "keep", f"Every clause of keep_when holds ({len(keep)} of {len(keep)}).", ""
    if diagnoses[0].name == PROMPT_AS_GOOD:
        return "discard", f"A prompt is as good: {diagnoses[0].evidence}.", diagnoses[0].next_change
    if fooled := next((one for one in diagnoses if one.name == FACTS_DOWN), None):
        return "discard", f"The judges like it better, and it is less true: {fooled.evidence}.", fooled.next_change
    if not failing:
        reason = f"This clause of never_when forbids to keep: {hindering[0].text} ({hindering[0].evidence})."
        allowing = (one.next_change for one in diagnoses if one.name == HARM_NOT_EXCLUDED)
        return "iterate", reason, next(allowing, diagnoses[0].next_change)
    reason = (
        f"{len(keep) - len(failing)} of {len(keep)} clauses of keep_when hold. This one does not: "
        f"{failing[0].text} ({failing[0].evidence})."
    )
    return "iterate", reason, diagnoses[0].next_change


def _instead(evaluation: EvaluationResult, diagnoses: Sequence[Diagnosis]) -> str:
    metric = evaluation.main_metric
    prompt = resolve("best_prompt", metric, evaluation)
    estimate = estimate_of(evaluation, prompt, metric)
    use = f"use {say_prompt(prompt)}" if prompt in evaluation.contenders else "do without it"
    if estimate is not None:
        use += f" ({metric} {say_estimate(estimate)})"
    if not diagnoses or diagnoses[0].name == PROMPT_AS_GOOD:
        return use
    return f"{use}; before any other try: {diagnoses[0].next_change}"


def _remaining_risks(recipe: Recipe, evaluation: EvaluationResult, rule_changed: bool) -> Iterator[str]:
    if rule_changed:
        yield "the rule was changed after an evaluation had been seen, so this verdict proves less"
    if recipe.data.facts is None and recipe.data.generator not in (None, "people"):
        yield (
            f"the training answers were written by {recipe.data.generator} and never held against sources "
            "(data.facts): what is wrong in them was learned"
        )
    yield from _close_levels(recipe.decision, evaluation)
    yield from _prompt_at_chance(evaluation)
    yield from weaknesses_of(evaluation)
    yield from _rare_labels(recipe, evaluation)
    if "few_shot" not in evaluation.contenders:
        yield "few_shot was not evaluated: a prompt with examples may do as well"
    if "tuned" in evaluation.contenders:
        yield f"one training run with one seed ({recipe.training.seed}); another seed gives another model"
    yield "the held-out rows come from the same source as the training rows; other inputs may fare worse"


def _close_levels(rule: DecisionRule, evaluation: EvaluationResult) -> Iterator[str]:
    """Levels that the observed rate passes and its interval does not."""
    for clause in rule.keep_when:
        contender = resolve(clause.contender, clause.metric, evaluation)
        rate = estimate_of(evaluation, contender, clause.metric)
        if clause.kind not in ("at_least", "at_most") or clause.threshold is None or rate is None or rate.value is None:
            continue
        metric, least = evaluation.metrics[clause.metric], clause.kind == "at_least"
        if not (rate.value >= clause.threshold if least else rate.value <= clause.threshold):
            continue
        if rate.low is None or rate.high is None:
            beyond = "cannot be stated"
        elif least and rate.low < clause.threshold:
            beyond = f"reaches down to {_level(metric, rate.low)}"
        elif not least and rate.high > clause.threshold:
            beyond = f"reaches up to {_level(metric, rate.high)}"
        else:
            continue
        value = f"{rate.value:.3g}" if metric.kind == "mean" else f"{100 * rate.value:.1f}%"
        yield (
            f"{contender} {metric.name} passes {say_threshold(clause, metric)} with {value}, but its interval {beyond}"
        )


def _level(metric: Metric, value: float) -> str:
    return f"{value:.3g}" if metric.kind == "mean" else f"{100 * value:.0f}%"


def _prompt_at_chance(evaluation: EvaluationResult) -> Iterator[str]:
    """The best prompt is no better than giving one label always, so that to beat it proves little."""
    metric, one_label = evaluation.main_metric, always_one_label(evaluation)
    prompt = evaluation.best_prompt[metric]
    rate = estimate_of(evaluation, prompt, metric)
    if metric not in LABEL_METRICS or one_label is None or rate is None or (rate.low or 0) > one_label.rate:
        return
    given = Counter[str]()
    for row in evaluation.contenders[prompt].confusion.values():
        given.update(row)
    label, count = given.most_common(1)[0]
    yield (
        f"{prompt}, the best prompt, is not shown to know more than chance: {metric} {say_estimate(rate)}, "
        f"and {one_label} "
        f"(it gives {label} in {count} of {one_label.total} answers). That tuned beats it shows that tuned has "
        "learned, not that no prompt or larger base model could do the task"
    )


def _rare_labels(recipe: Recipe, evaluation: EvaluationResult) -> Iterator[str]:
    confusions = [result.confusion for result in evaluation.contenders.values() if result.confusion]
    if not confusions:
        return
    counts = {label: sum(confusions[0].get(label, {}).values()) for label in recipe.contract.allowed_labels}
    rare = sorted((count, label) for label, count in counts.items() if count < FEW_ROWS)
    if rare:
        named = ", ".join(f"{label} {count}" for count, label in rare[:5])
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        yield f"{len(rare)} of {len(counts)} labels have fewer than {FEW_ROWS} held-out rows: {named}{more}"
