"""What the answers show by themselves, wherever they come from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from statistics import NormalDist

from relaytune.core.metrics import FACTUAL_ERRORS
from relaytune.core.results import Comparison, Diagnosis, EvaluationResult
from relaytune.core.rule import DEFAULT_MARGIN, Clause, DecisionRule
from relaytune.core.statistics import pairs_needed
from relaytune.core.statistics.means import MIN_CLUSTERS_FOR_MEAN, MIN_DEPARTING
from relaytune.evidence import (
    SIGNIFICANCE,
    compare,
    estimate_of,
    gain,
    prompt_meeting_levels,
    resolve,
    say_comparison,
    say_estimate,
    say_prompt,
)

PROMPT_AS_GOOD = "prompt_as_good"
FACTS_DOWN = "judge_up_and_facts_down"
HARM_NOT_EXCLUDED = "harm_not_excluded"
# a prompt is as good as tuned when at most this much can be gained (upper limit of the interval)
NEGLIGIBLE_GAIN = 0.05
SUBSTANCE = re.compile("fact|accura|correct|true|truth|error|faithful")  # names of criteria that judge what is said
AUDIT_ANSWERS = "audit the training answers against sources, and remove or correct what is wrong in them"
AUDIT_DATA = (
    "leave out (data.facts.on_contradiction: drop) or correct the training rows that the sources contradict, and "
    "train anew; `relaytune audit` shows those rows, `relaytune trace` the rows behind each wrong answer"
)
PRACTICAL_HELD_OUT = 5000  # rows; to show a gain that needs more is not worth it


def not_evaluated(evaluation: EvaluationResult, contender: str, other: str) -> Iterator[Diagnosis]:
    """There is nothing to judge the contender by."""
    name = evaluation.main_metric
    against = resolve(other, name, evaluation)
    if contender not in evaluation.contenders:
        yield Diagnosis(
            "not_evaluated",
            f"{contender} answered none of the {evaluation.num_held_out} held-out rows",
            "train the model and let it answer: `relaytune train`, then `relaytune evaluate`",
        )
    elif evaluation.metrics[name].kind == "preference":
        refused = evaluation.judging_refused(name, contender, against)
        if not refused and compare(evaluation, name, contender, against) is None:
            yield Diagnosis(
                "not_evaluated",
                f"no pair of {contender} and {against} is judged",
                f"let the judges, or people, compare {contender} with {against}",
            )
    elif estimate_of(evaluation, contender, name) is None:
        yield Diagnosis(
            "not_evaluated",
            f"none of {contender}'s answers could be scored for {name}; scores.jsonl says why",
            f"answer the held-out rows again: delete generations/{contender}.jsonl and run `relaytune evaluate`",
        )


def judges_refused(evaluation: EvaluationResult, contender: str, other: str) -> Iterator[Diagnosis]:
    """The rule asks the judges, and what they say cannot be relied on."""
    name = evaluation.main_metric
    against = resolve(other, name, evaluation)
    if refused := evaluation.judging_refused(name, contender, against):
        yield Diagnosis(
            "judges_refused",
            f"no {name} of {contender} against {against} is stated: {refused}",
            "choose another judge, or let people label the pairs (judging.human_labels)",
        )


def prompt_as_good(rule: DecisionRule, evaluation: EvaluationResult) -> Iterator[Diagnosis]:
    """A prompt does what the rule asks, and tuned adds nothing."""
    prompt = prompt_meeting_levels(rule, evaluation)
    comparison = compare(evaluation, evaluation.main_metric, "tuned", prompt) if prompt else None
    if not prompt or comparison is None:
        return
    metric = evaluation.metrics[comparison.metric]
    if comparison.p_value <= SIGNIFICANCE and gain(metric, comparison.difference) > 0:
        return
    # a wide interval is a lack of held-out rows, not a sign that the two are alike
    most = comparison.low if metric.lower_is_better else comparison.high
    if most is not None and gain(metric, most) <= (0.0 if metric.kind == "mean" else NEGLIGIBLE_GAIN):
        yield Diagnosis(
            PROMPT_AS_GOOD,
            f"{prompt} meets every level of the rule without training, and tuned is not better: "
            f"{say_comparison(evaluation, comparison)}",
            f"do not fine-tune; use {say_prompt(prompt)}",
        )


def sounds_better(evaluation: EvaluationResult, contender: str, other: str) -> Iterator[Diagnosis]:
    """Closer to the references, or liked by the judges, and yet worse in substance: what the training data taught.

    Where the judges like it and sources contradict it more often, that is a diagnosis of its own (FACTS_DOWN); so it is
    where only the sources speak.
    """
    changes: dict[str, list[str]] = {"up": [], "down": []}
    liked = contradicted = False
    for name, metric in evaluation.metrics.items():
        comparison = compare(evaluation, name, contender, resolve(other, name, evaluation))
        if comparison is None:
            continue
        if metric.group == "facts":
            # the other measures of facts are made of the same verdicts: one is looked at, and not corrected
            if name == FACTUAL_ERRORS and comparison.p_value <= SIGNIFICANCE and comparison.difference > 0:
                contradicted = True
                changes["down"].insert(0, f"{name}: {say_comparison(evaluation, comparison)}")
            continue
        if comparison.adjusted_p_value > SIGNIFICANCE:
            continue
        sounds = metric.group in ("judge", "overlap")
        substance = metric.group == "judgement" or (
            metric.group == "judge" and (SUBSTANCE.search(name) or metric.kind == "preference")
        )
        better = gain(metric, comparison.difference) > 0
        if sounds if better else substance:
            liked |= better and metric.group == "judge"
            changes["up" if better else "down"].append(f"{name}: {say_comparison(evaluation, comparison)}")
    if contradicted and not changes["up"]:
        yield Diagnosis("errs_more", f"the sources contradict it more often: {changes['down'][0]}", AUDIT_DATA)
    elif changes["up"] and changes["down"]:
        yield Diagnosis(
            FACTS_DOWN if liked and contradicted else "sounds_better",
            f"{contender} is better in {'; '.join(changes['up'])}; and worse in {'; '.join(changes['down'])}",
            AUDIT_DATA if contradicted else AUDIT_ANSWERS,
        )


def harm_not_excluded(rule: DecisionRule, evaluation: EvaluationResult) -> Iterator[Diagnosis]:
    """A change for the worse that is not seen, and that so few rows cannot exclude."""
    for clause in (*rule.never_when, *rule.keep_when):
        if clause.kind in ("no_worse", "falls", "rises"):
            yield from _harm_not_excluded(clause, evaluation)


def _harm_not_excluded(clause: Clause, evaluation: EvaluationResult) -> Iterator[Diagnosis]:
    assert clause.other is not None
    metric, margin = evaluation.metrics[clause.metric], clause.threshold or DEFAULT_MARGIN
    sides = (resolve(name, metric.name, evaluation) for name in (clause.contender, clause.other))
    comparison = compare(evaluation, metric.name, *sides)
    if comparison is None:
        return
    harm_is_up = clause.kind == "rises" or (clause.kind == "no_worse" and metric.lower_is_better)
    harm = comparison.difference if harm_is_up else -comparison.difference
    worst = comparison.high if harm_is_up else comparison.low
    if harm >= margin or (harm > 0 and comparison.p_value <= SIGNIFICANCE):
        return  # harm is seen
    prompts = f"now {comparison.num_clusters} compared"
    if worst is None and metric.kind == "mean" and comparison.num_clusters >= MIN_CLUSTERS_FOR_MEAN:
        asked = f"{clause.contender} {metric.name} at {'most' if harm_is_up else 'least'} …"
        change = (
            f"ask for a level under keep_when, {asked!r}: of values without bounds that hardly vary no interval holds"
        )
    elif worst is None:
        change = f"enlarge the held-out set ({prompts})"
    elif abs(worst) < margin or (worst > 0) != harm_is_up:
        return  # excluded
    else:
        # the reach of an interval falls with the root of the rows, where values hardly vary with the rows themselves
        power = 1 if metric.kind == "mean" and _hardly_varies(comparison) else 2
        needed = math.ceil(comparison.num_clusters * ((abs(worst) - harm) / (margin - harm)) ** power)
        change = f"enlarge the held-out set to about {needed} rows ({prompts})"
        if needed > PRACTICAL_HELD_OUT:
            change = f"allow more in {clause.text!r}: to exclude it takes more than {PRACTICAL_HELD_OUT} held-out rows"
    yield Diagnosis(
        HARM_NOT_EXCLUDED,
        f"{clause.text!r}: no harm is shown, and none excluded: {say_comparison(evaluation, comparison)}",
        change,
    )


def difference_not_detectable(evaluation: EvaluationResult, contender: str, other: str) -> Iterator[Diagnosis]:
    """A gain that so few rows cannot tell from chance."""
    metric = evaluation.metrics[evaluation.main_metric]
    comparison = compare(evaluation, metric.name, contender, resolve(other, metric.name, evaluation))
    if comparison is None or comparison.p_value <= SIGNIFICANCE or gain(metric, comparison.difference) <= 0:
        return
    prompts = comparison.num_clusters
    if metric.kind == "mean":
        needed = mean_pairs_needed(comparison)
    else:
        needed = pairs_needed(comparison.difference, (comparison.wins + comparison.losses) / comparison.num_pairs)
    if needed is not None and needed <= PRACTICAL_HELD_OUT:
        change = f"enlarge the held-out set to about {needed} rows (now {prompts} compared)"
    else:
        change = "add training rows; a difference this small is not worth measuring"
    size = f"takes about {needed} held-out rows" if needed is not None else "takes more held-out rows than can be said"
    yield Diagnosis(
        "difference_not_detectable",
        f"{say_comparison(evaluation, comparison)}; a true difference of this size {size} to be found with 80% power",
        change,
    )


def mean_pairs_needed(comparison: Comparison) -> int | None:
    """About how many rows show a mean difference of this size with 80% power; None where no interval is stated, or
    the differences hardly vary.

    The standard error is read off the 95% interval and falls with the root of the rows.
    """
    if comparison.low is None or comparison.high is None or comparison.difference == 0 or _hardly_varies(comparison):
        return None
    error = (comparison.high - comparison.low) / (2 * NormalDist().inv_cdf(0.975))
    ratio = error * (NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)) / comparison.difference
    return math.ceil(comparison.num_clusters * ratio**2)


def _hardly_varies(comparison: Comparison) -> bool:
    """Nearly all differences are none, so that the interval of their mean is not the bootstrap's."""
    return comparison.wins + comparison.losses < MIN_DEPARTING


def more_rows(evaluation: EvaluationResult, contender: str, other: str) -> Diagnosis:
    """What is left where nothing else is found."""
    name = evaluation.main_metric
    comparison = compare(evaluation, name, contender, resolve(other, name, evaluation))
    found = (
        say_comparison(evaluation, comparison)
        if comparison is not None and evaluation.metrics[name].kind == "preference"
        else f"{contender} {name} {say_estimate(estimate_of(evaluation, contender, name))}"
    )
    return Diagnosis("cause_unknown", f"{found}; neither answers nor losses point to one cause", "add training rows")
