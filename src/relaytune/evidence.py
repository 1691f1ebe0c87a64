"""What an evaluation says about one clause of the rule, in numbers and in words that a person reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from relaytune.core.results import ClauseResult, Comparison, EvaluationResult, Rate
from relaytune.core.rule import Clause, DecisionRule, RuleContender

SIGNIFICANCE = 0.05
LABEL_METRICS = ("label_accuracy", "likeliest_label_accuracy")


@dataclass(frozen=True)
class OneLabel:
    """The most frequent expected label: giving it always is right on `right` of `total` held-out rows."""

    label: str
    right: int
    total: int

    @property
    def rate(self) -> float:
        """The share that it has right."""
        return self.right / self.total

    def __str__(self) -> str:
        return f"always answering {self.label} would be right in {self.right}/{self.total} ({100 * self.rate:.0f}%)"


def apply_clause(
    clause: Clause, role: Literal["keep_when", "discard_when"], evaluation: EvaluationResult
) -> ClauseResult:
    """Does one sentence of the rule hold? What cannot be evaluated does not hold, and the evidence says so.

    `beats` holds when the exact McNemar test, two-sided, has p ≤ 0.05 and the difference is in favour. A
    level is compared with the observed rate. Keeping needs every clause, so p is not corrected for several.
    """
    holds, evidence = _beats(clause, evaluation) if clause.kind == "beats" else _level(clause, evaluation)
    return ClauseResult(clause.text, role, holds, evidence)


def resolve(name: str, metric: str, evaluation: EvaluationResult) -> str:
    """The contender that a rule's name stands for: `best_prompt` is base or few_shot, per metric."""
    return evaluation.best_prompt[metric] if name == "best_prompt" else name


def rate_of(evaluation: EvaluationResult, contender: str, metric: str) -> Rate | None:
    """A contender's rate; None where it was not evaluated or nothing could be scored."""
    result = evaluation.contenders.get(contender)
    rate = result.rates[metric] if result else None
    return rate if rate and rate.rate is not None else None


def compare(evaluation: EvaluationResult, metric: str, contender: str, other: str) -> Comparison | None:
    """The paired comparison of two contenders, whichever way round it was saved; None without pairs."""
    for saved in evaluation.comparisons:
        if saved.metric != metric or saved.num_pairs == 0:
            continue
        if (saved.contender, saved.other) == (contender, other):
            return saved
        if (saved.other, saved.contender) == (contender, other):
            return _mirrored(saved)
    return None


def prompt_meeting_levels(rule: DecisionRule, evaluation: EvaluationResult) -> RuleContender | None:
    """The prompt (base or few_shot) that alone meets every level of `keep_when`; the better one if both do.

    The clauses are read with `tuned` replaced by the prompt, the same one in all of them. None where no
    prompt meets them, or where the rule asks tuned for no level.
    """
    levels = [clause for clause in rule.keep_when if clause.kind != "beats"]
    if not any(clause.contender == "tuned" for clause in levels):
        return None
    prompts: tuple[RuleContender, ...] = ("base", "few_shot")
    if evaluation.best_prompt[evaluation.main_metric] == "few_shot":
        prompts = ("few_shot", "base")
    for prompt in prompts:
        as_prompt = [replace(clause, contender=prompt) if clause.contender == "tuned" else clause for clause in levels]
        if all(apply_clause(clause, "keep_when", evaluation).holds for clause in as_prompt):
            return prompt
    return None


def always_one_label(evaluation: EvaluationResult) -> OneLabel | None:
    """What knowing nothing scores; None where the contract has no labels."""
    confusion = next((result.confusion for result in evaluation.contenders.values() if result.confusion), None)
    if not confusion:
        return None
    counts = {label: sum(given.values()) for label, given in confusion.items()}
    label = max(counts, key=lambda label: counts[label])
    return OneLabel(label, counts[label], sum(counts.values()))


def say_rate(rate: Rate | None, digits: int = 0) -> str:
    """`98/160 (61%, 53-69%)`: right of scored, the share, its 95% interval; then what is unscored."""
    if rate is None:
        return "nothing scored"
    if rate.rate is None or rate.low is None or rate.high is None:
        return f"nothing scored of {rate.unscored}"
    interval = f"{100 * rate.low:.0f}-{100 * rate.high:.0f}%"
    unscored = f"; {rate.unscored} unscored" if rate.unscored else ""
    return f"{rate.right}/{rate.scored} ({100 * rate.rate:.{digits}f}%, {interval}{unscored})"


def say_prompt(prompt: str) -> str:
    """What to use in place of a tuned model."""
    return "the base model as it is" if prompt == "base" else f"the base model with the {prompt} prompt"


def say_points(difference: float) -> str:
    """`+24 points`: a difference of two shares, in points of a hundred."""
    return f"{_signed(difference)} points"


def say_comparison(evaluation: EvaluationResult, comparison: Comparison) -> str:
    """Both rates, the paired difference with its 95% interval, and p."""
    metric, first, second = comparison.metric, comparison.contender, comparison.other
    left_out = (
        f"; {comparison.num_pairs} rows compared, {comparison.num_unscored} unscored for one or both"
        if comparison.num_unscored
        else ""
    )
    return (
        f"{first} {say_rate(rate_of(evaluation, first, metric))} against "
        f"{second} {say_rate(rate_of(evaluation, second, metric))}; "
        f"difference {say_points(comparison.difference)} "
        f"({_signed(comparison.low)} to {_signed(comparison.high)}), {_say_p(comparison.p_value)}{left_out}"
    )


def say_threshold(clause: Clause) -> str:
    """`at least 70%`."""
    assert clause.threshold is not None
    return f"{clause.kind.replace('_', ' ')} {100 * clause.threshold:g}%"


def _beats(clause: Clause, evaluation: EvaluationResult) -> tuple[bool, str]:
    assert clause.other is not None
    first, second = (resolve(name, clause.metric, evaluation) for name in (clause.contender, clause.other))
    prefix = _which_prompt(clause, evaluation)
    if first == second:
        return False, f"{prefix}nothing to compare: both sides are {first}"
    if missing := [name for name in (first, second) if name not in evaluation.contenders]:
        return False, f"{prefix}cannot be evaluated: {' and '.join(missing)} was not evaluated"
    comparison = compare(evaluation, clause.metric, first, second)
    if comparison is None:
        return False, f"{prefix}cannot be evaluated: no row is scored for both {first} and {second}"
    holds = comparison.p_value <= SIGNIFICANCE and comparison.difference > 0
    return holds, prefix + say_comparison(evaluation, comparison)


def _level(clause: Clause, evaluation: EvaluationResult) -> tuple[bool, str]:
    contender = resolve(clause.contender, clause.metric, evaluation)
    prefix = _which_prompt(clause, evaluation)
    if contender not in evaluation.contenders:
        return False, f"{prefix}cannot be evaluated: {contender} was not evaluated"
    rate = rate_of(evaluation, contender, clause.metric)
    if rate is None or rate.rate is None or clause.threshold is None:
        unscored = evaluation.contenders[contender].rates[clause.metric].unscored
        return False, f"{prefix}cannot be evaluated: none of {contender}'s {unscored} answers could be scored"
    holds = rate.rate >= clause.threshold if clause.kind == "at_least" else rate.rate <= clause.threshold
    return holds, f"{prefix}{contender} {say_rate(rate, digits=1)}; asked: {say_threshold(clause)}"


def _which_prompt(clause: Clause, evaluation: EvaluationResult) -> str:
    if "best_prompt" not in (clause.contender, clause.other):
        return ""
    best = evaluation.best_prompt[clause.metric]
    other = "few_shot" if best == "base" else "base"
    alone = "" if other in evaluation.contenders else f" ({other} was not evaluated)"
    return f"best_prompt is {best}{alone}: "


def _mirrored(comparison: Comparison) -> Comparison:
    return replace(
        comparison,
        contender=comparison.other,
        other=comparison.contender,
        only_contender=comparison.only_other,
        only_other=comparison.only_contender,
        difference=-comparison.difference,
        low=-comparison.high,
        high=-comparison.low,
    )


def _signed(share: float) -> str:
    points = round(100 * share)
    return f"{points:+d}" if points else "0"


def _say_p(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
