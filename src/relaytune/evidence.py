"""What an evaluation says about one clause of the rule, in numbers and in words that a person reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from relaytune.core.counts import counted
from relaytune.core.metrics import Metric
from relaytune.core.results import ClauseResult, ClauseRole, Comparison, Estimate, EvaluationResult
from relaytune.core.rule import BEST_PROMPT, DEFAULT_MARGIN, Clause, DecisionRule
from relaytune.core.sections import PROMPTS
from relaytune.core.statistics import holm
from relaytune.core.statistics.means import MIN_CLUSTERS_FOR_MEAN

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


def apply_clause(clause: Clause, role: ClauseRole, evaluation: EvaluationResult) -> ClauseResult:
    """Does one sentence of the rule hold? What cannot be evaluated does not hold, and the evidence says so.

    `beats`: the paired exact test, two-sided, has p ≤ 0.05 and the difference is in favour (of means, its interval
    too); on one of several metrics, with p corrected for their number (Holm). Clauses that must all hold are not
    corrected for each other.
    `no worse`: the 95% interval of the difference excludes a loss of the margin and more. A level is compared
    with the observed value. `falls` and `rises` forbid keep, so they hold unless the interval excludes it; and
    whatever stands under `never_when` holds where it cannot be evaluated.
    """
    applied = {
        "beats": _beats,
        "no_worse": _no_worse,
        "at_least": _level,
        "at_most": _level,
        "falls": _changes,
        "rises": _changes,
    }
    holds, evidence = applied[clause.kind](clause, evaluation)
    if holds is None and role == "never_when":
        return ClauseResult(clause.text, role, True, f"{evidence}, so that it is not excluded")
    return ClauseResult(clause.text, role, bool(holds), evidence)


def resolve(name: str, metric: str, evaluation: EvaluationResult) -> str:
    """The contender that a rule's name stands for: `best_prompt` is base or few_shot, per metric."""
    return evaluation.best_prompt[metric] if name == BEST_PROMPT else name


def estimate_of(evaluation: EvaluationResult, contender: str, metric: str) -> Estimate | None:
    """A contender's estimate; None where it was not evaluated or nothing could be scored."""
    result = evaluation.contenders.get(contender)
    estimate = result.estimates.get(metric) if result else None
    return estimate if estimate and estimate.value is not None else None


def compare(evaluation: EvaluationResult, metric: str, contender: str, other: str) -> Comparison | None:
    """The paired comparison of two contenders, whichever way round it was saved; None without pairs, and where the
    judges' verdict is refused.
    """
    if evaluation.judging_refused(metric, contender, other):
        return None
    for saved in evaluation.comparisons:
        if saved.metric != metric or saved.num_pairs == 0:
            continue
        if (saved.contender, saved.other) == (contender, other):
            return saved
        if (saved.other, saved.contender) == (contender, other):
            return _mirrored(saved)
    return None


def prompt_meeting_levels(rule: DecisionRule, evaluation: EvaluationResult) -> str | None:
    """The prompt (base or few_shot) that alone meets every level of `keep_when`; the better one if both do.

    The clauses are read with `tuned` replaced by the prompt, the same one in all of them. None where no
    prompt meets them, or where the rule asks tuned for no level.
    """
    levels = [clause for clause in rule.keep_when if clause.kind in ("at_least", "at_most")]
    if not any(clause.contender == "tuned" for clause in levels):
        return None
    best = evaluation.best_prompt[evaluation.main_metric]
    prompts = sorted(PROMPTS, key=lambda prompt: prompt != best)
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


def say_estimate(estimate: Estimate | None, digits: int = 0) -> str:
    """`98/160 (61%, 53-69%)` or, of a mean, `0.213 (0.194 to 0.232, 50 scored)`; then what is unscored."""
    if estimate is None:
        return "nothing scored"
    if estimate.value is None:
        return f"nothing scored of {estimate.unscored}"
    unscored = f"; {estimate.unscored} unscored" if estimate.unscored else ""
    low, high = estimate.low, estimate.high
    if estimate.right is None:
        interval = say_no_mean_interval(estimate.scored) if low is None or high is None else f"{low:.3g} to {high:.3g}"
        return f"{estimate.value:.3g} ({interval}, {estimate.scored} scored{unscored})"
    interval = "too few for an interval" if low is None or high is None else f"{100 * low:.0f}-{100 * high:.0f}%"
    return f"{estimate.right}/{estimate.scored} ({100 * estimate.value:.{digits}f}%, {interval}{unscored})"


def say_prompt(prompt: str) -> str:
    """What to use in place of a tuned model."""
    return "the base model as it is" if prompt == "base" else f"the base model with the {prompt} prompt"


def say_difference(metric: Metric, difference: float) -> str:
    """`+24 points` (of a hundred) for shares and preferences, `+0.019` for means."""
    return f"{difference:+.3g}" if metric.kind == "mean" else f"{_signed(difference)} points"


def say_comparison(evaluation: EvaluationResult, comparison: Comparison) -> str:
    """Both estimates (or wins, losses, ties), the paired difference with its 95% interval, and p."""
    metric, first, second = evaluation.metrics[comparison.metric], comparison.contender, comparison.other
    if metric.kind == "preference":
        ties = comparison.num_pairs - comparison.wins - comparison.losses
        sides = f"{first} preferred on {comparison.wins} rows, {second} on {comparison.losses}, {ties} ties"
    else:
        sides = " against ".join(
            f"{name} {say_estimate(estimate_of(evaluation, name, metric.name))}" for name in (first, second)
        )
    left_out = f"{comparison.num_unscored} unscored for one or both" if comparison.num_unscored else ""
    repeated = f"of {comparison.num_clusters} prompts" if comparison.num_clusters < comparison.num_pairs else ""
    rows = ", ".join(part for part in (f"{counted(comparison.num_pairs, 'row')} compared", repeated, left_out) if part)
    return (
        f"{sides}; difference {say_difference(metric, comparison.difference)} ({say_interval(metric, comparison)}), "
        f"{say_p(comparison.p_value)}{f'; {rows}' if left_out or repeated else ''}"
    )


def say_interval(metric: Metric, comparison: Comparison) -> str:
    """`+17 to +30`: the interval of a difference."""
    if comparison.low is None or comparison.high is None:
        return say_no_mean_interval(comparison.num_clusters) if metric.kind == "mean" else "too few for an interval"
    ends = (f"{end:+.3g}" if metric.kind == "mean" else _signed(end) for end in (comparison.low, comparison.high))
    return " to ".join(ends)


def say_no_mean_interval(num_rows: int) -> str:
    """Why the interval of a mean is not stated."""
    few = num_rows < MIN_CLUSTERS_FOR_MEAN
    return "too few for an interval" if few else "no interval, nearly all the same"


def say_threshold(clause: Clause, metric: Metric) -> str:
    """`at least 70%`, of a mean `at least 2.5`."""
    return f"{clause.kind.replace('_', ' ')} {say_level(metric, clause.threshold or 0)}"


def say_level(metric: Metric, level: float) -> str:
    """`70%`, of a mean `2.5`."""
    return f"{level:g}" if metric.kind == "mean" else f"{100 * level:g}%"


def say_margin(metric: Metric, margin: float) -> str:
    """A difference without its direction: `5 points` (of a hundred), of a mean `0.1`."""
    return f"{margin:g}" if metric.kind == "mean" else f"{100 * margin:g} points"


def say_overlap(generator: str | None) -> str:
    """What overlap with references means, given who wrote them (data.generator)."""
    if generator is None or generator == "people":
        return "closeness to the references, not quality"
    return f"fidelity to references written by {generator}, not quality"


def say_p(p_value: float) -> str:
    """`p = 0.031`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def gain(metric: Metric, difference: float) -> float:
    """A difference, positive where it is for the better."""
    return -difference if metric.lower_is_better else difference


# Each of these says whether a clause holds (None: it cannot be evaluated), and the evidence.


def _beats(clause: Clause, evaluation: EvaluationResult) -> tuple[bool | None, str]:
    pairs = [(metric, *_pair(clause, metric, evaluation)) for metric in clause.metrics]
    # the rule's number of metrics counts, also of those that could not be compared: it was written down first
    corrected = holm([1.0 if comparison is None else comparison.p_value for _, comparison, _ in pairs])
    wins = any(
        p_value <= SIGNIFICANCE and _in_favour(evaluation.metrics[metric], comparison)
        for (metric, comparison, _), p_value in zip(pairs, corrected, strict=True)
        if comparison is not None
    )
    holds = wins or (None if any(comparison is None for _, comparison, _ in pairs) else False)
    said = [
        prefix + (say_comparison(evaluation, comparison) + _not_borne_out(evaluation, comparison) if comparison else "")
        for _, comparison, prefix in pairs
    ]
    if len(pairs) == 1:
        return holds, said[0]
    named = "; ".join(f"{metric}: {text}" for (metric, _, _), text in zip(pairs, said, strict=True))
    corrected_ps = ", ".join(
        f"{metric} {say_p(p_value)}"
        for (metric, comparison, _), p_value in zip(pairs, corrected, strict=True)
        if comparison is not None
    )
    return holds, f"{named}; corrected for {len(pairs)} metrics (Holm): {corrected_ps or 'none compared'}"


def _in_favour(metric: Metric, comparison: Comparison) -> bool:
    if metric.kind != "mean":
        return gain(metric, comparison.difference) > 0
    # of few skewed differences the test alone would call too many significant: the interval must agree
    worst = comparison.high if metric.lower_is_better else comparison.low
    return worst is not None and gain(metric, worst) > 0


def _not_borne_out(evaluation: EvaluationResult, comparison: Comparison) -> str:
    """Why a gain that the test finds does not count."""
    metric = evaluation.metrics[comparison.metric]
    if comparison.p_value > SIGNIFICANCE or gain(metric, comparison.difference) <= 0:
        return ""
    return "" if _in_favour(metric, comparison) else "; no win, since of a mean the interval must exclude 0 too"


def _pair(clause: Clause, metric: str, evaluation: EvaluationResult) -> tuple[Comparison | None, str]:
    """The comparison that a clause asks for, and what to say before it; or None, and why there is none."""
    assert clause.other is not None
    first, second = (resolve(name, metric, evaluation) for name in (clause.contender, clause.other))
    prefix = _which_prompt(clause, metric, evaluation)
    if first == second:
        return None, f"{prefix}nothing to compare: both sides are {first}"
    if missing := [name for name in (first, second) if name not in evaluation.contenders]:
        return None, f"{prefix}cannot be evaluated: {' and '.join(missing)} was not evaluated"
    if refused := evaluation.judging_refused(metric, first, second):
        return None, f"{prefix}cannot be evaluated: {refused}"
    comparison = compare(evaluation, metric, first, second)
    if comparison is None:
        return None, f"{prefix}cannot be evaluated: no row is scored for both {first} and {second}"
    return comparison, prefix


def _no_worse(clause: Clause, evaluation: EvaluationResult) -> tuple[bool | None, str]:
    comparison, prefix = _pair(clause, clause.metric, evaluation)
    if comparison is None:
        return None, prefix
    metric, margin = evaluation.metrics[clause.metric], clause.threshold or 0.0
    worst = comparison.high if metric.lower_is_better else comparison.low
    holds = worst is not None and gain(metric, worst) > -margin
    shown = "excluded" if holds else "not excluded"
    return holds, f"{prefix}{say_comparison(evaluation, comparison)}; a loss of {say_margin(metric, margin)} is {shown}"


def _changes(clause: Clause, evaluation: EvaluationResult) -> tuple[bool | None, str]:
    comparison, prefix = _pair(clause, clause.metric, evaluation)
    if comparison is None:
        return None, prefix
    metric, margin = evaluation.metrics[clause.metric], clause.threshold or DEFAULT_MARGIN
    falls = clause.kind == "falls"
    worst = comparison.low if falls else comparison.high
    excluded = worst is not None and (worst > -margin if falls else worst < margin)
    change = f"a {'fall' if falls else 'rise'} of {say_margin(metric, margin)}"
    shown = "excluded" if excluded else "not excluded"
    return not excluded, f"{prefix}{say_comparison(evaluation, comparison)}; {change} is {shown}"


def _level(clause: Clause, evaluation: EvaluationResult) -> tuple[bool | None, str]:
    contender, metric = resolve(clause.contender, clause.metric, evaluation), evaluation.metrics[clause.metric]
    prefix = _which_prompt(clause, clause.metric, evaluation)
    if contender not in evaluation.contenders:
        return None, f"{prefix}cannot be evaluated: {contender} was not evaluated"
    estimate = estimate_of(evaluation, contender, metric.name)
    if estimate is None or estimate.value is None or clause.threshold is None:
        unscored = evaluation.contenders[contender].num_answers
        return None, f"{prefix}cannot be evaluated: none of {contender}'s {unscored} answers could be scored"
    value = estimate.value
    holds = value >= clause.threshold if clause.kind == "at_least" else value <= clause.threshold
    return holds, f"{prefix}{contender} {say_estimate(estimate, digits=1)}; asked: {say_threshold(clause, metric)}"


def _which_prompt(clause: Clause, metric: str, evaluation: EvaluationResult) -> str:
    if BEST_PROMPT not in (clause.contender, clause.other):
        return ""
    best = evaluation.best_prompt[metric]
    other = "few_shot" if best == "base" else "base"
    alone = "" if other in evaluation.contenders else f" ({other} was not evaluated)"
    return f"best_prompt is {best}{alone}: "


def _mirrored(comparison: Comparison) -> Comparison:
    return replace(
        comparison,
        contender=comparison.other,
        other=comparison.contender,
        wins=comparison.losses,
        losses=comparison.wins,
        difference=-comparison.difference,
        low=None if comparison.high is None else -comparison.high,
        high=None if comparison.low is None else -comparison.low,
    )


def _signed(share: float) -> str:
    points = round(100 * share)
    return f"{points:+d}" if points else "0"
