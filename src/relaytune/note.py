"""A verdict, or an evaluation without one, as a short note in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relaytune.audit_text import gate_sentence, rate_sentence
from relaytune.core.audit import AuditResult
from relaytune.core.counts import counted
from relaytune.core.method_or_data import MethodOrData
from relaytune.core.metrics import Metric
from relaytune.core.recipe import Recipe
from relaytune.core.results import Comparison, Diagnosis, EvaluationResult, Verdict
from relaytune.corroboration import corroboration_lines, method_or_data_lines, wrong_claim_lines
from relaytune.evidence import (
    always_one_label,
    say_comparison,
    say_difference,
    say_estimate,
    say_interval,
    say_overlap,
    say_p,
)
from relaytune.testimony import testimony_lines
from relaytune.weaknesses import weaknesses_of

METHOD_OR_DATA = "## Method or data?"
QUIET_GROUPS = ("style", "forgetting")  # in the table, but their differences stand in evaluation.json only


def verdict_markdown(
    verdict: Verdict,
    evaluation: EvaluationResult,
    recipe: Recipe,
    audited: AuditResult | None = None,
    tested: MethodOrData | None = None,
) -> str:
    """The verdict: outcome, why, the rule clause by clause, the evaluation, the risk.

    `audited` is what the audit of the training answers found, `tested` what the test of method against data found.
    """
    weaknesses = set(weaknesses_of(evaluation))  # these are named with the evaluation
    risks = [risk for risk in verdict.remaining_risks if risk not in weaknesses]
    sections = [f"# {recipe.name}: {verdict.outcome}", verdict.reason]
    if verdict.next_change:
        label = "Next change" if verdict.outcome == "iterate" else "Instead"
        sections.append(f"**{label}:** {verdict.next_change}.")
    sections += [
        _stamps(evaluation),
        "## The rule, clause by clause",
        _clause_list(verdict, "keep_when", "Keep when all of these hold:"),
        _clause_list(verdict, "never_when", "Never keep when any of these holds:"),
        _clause_list(verdict, "discard_when", "Discard when any of these holds:"),
    ]
    if verdict.diagnoses:
        heading = "If you go on" if verdict.outcome == "keep" else "What the evidence shows"
        sections += [f"## {heading}, most telling first", _ranked(verdict.diagnoses)]
    sections += [
        *_evaluation_sections(evaluation, recipe.data.generator),
        *_training_answers(recipe, audited),
        *([METHOD_OR_DATA, _list(method_or_data_lines(tested))] if tested else ()),
        "## Remaining risk" if risks else "",
        _list(risks),
        "## The rule's record",
        _record(verdict),
    ]
    return _joined(sections)


def _training_answers(recipe: Recipe, audited: AuditResult | None) -> Iterator[str]:
    if audited is not None and recipe.data.facts is not None:
        yield "## The training answers"
        yield _list([rate_sentence(audited), gate_sentence(recipe.data.facts, audited.gate)])


def evaluation_markdown(evaluation: EvaluationResult, generator: str | None = None) -> str:
    """Contenders, differences, judges, and what all that cannot show. `generator` wrote the references, if one did."""
    return _joined([_stamps(evaluation), *_evaluation_sections(evaluation, generator)])


def _joined(sections: Sequence[str]) -> str:
    return "\n\n".join(section for section in sections if section) + "\n"


def _evaluation_sections(evaluation: EvaluationResult, generator: str | None) -> Iterator[str]:
    yield f"## The contenders on {counted(evaluation.num_held_out, 'held-out row')}"
    yield _table(evaluation)
    yield _legend(evaluation, generator)
    if differences := list(_differences(evaluation)):
        yield "## Differences on the same rows"
        yield from differences
    if evaluation.facts is not None:
        yield "## What the sources say"
        yield _list(corroboration_lines(evaluation))
        if wrong := list(wrong_claim_lines(evaluation)):
            yield f"What {evaluation.facts.contender} says and the sources contradict:"
            yield _list(wrong)
    if evaluation.judging is not None:
        yield "## The judges"
        yield _list(testimony_lines(evaluation.judging))
    if forgotten := [row for row in evaluation.comparisons if evaluation.metrics[row.metric].group == "forgetting"]:
        yield "## What it knew before"
        yield _list(f"{row.metric}: {say_comparison(evaluation, row)}" for row in forgotten if row.num_pairs)
    if weaknesses := list(weaknesses_of(evaluation)):
        yield "## What this evaluation cannot show"
        yield _list(weaknesses)


def _stamps(evaluation: EvaluationResult) -> str:
    stamps = evaluation.judging.stamps if evaluation.judging else ()
    return "\n".join(f"> **{stamp}**  " for stamp in stamps)


def _table(evaluation: EvaluationResult) -> str:
    results = evaluation.contenders.values()
    lines = [("", *evaluation.contenders), ("---",) * (len(results) + 1)]
    for name, metric in evaluation.metrics.items():
        cells = [result.estimates.get(name) for result in results]
        if metric.kind != "preference" and any(cells):
            lines.append((name, *(say_estimate(cell) for cell in cells)))
    lines.append(("answers, cut off", *(f"{result.num_answers}, {result.num_truncated}" for result in results)))
    if any(result.mean_num_tokens for result in results):
        # answers made elsewhere may come without their tokens
        tokens = (f"{result.mean_num_tokens:.0f}" if result.mean_num_tokens else "" for result in results)
        lines.append(("mean tokens", *tokens))
    lines.append(("mean characters", *(f"{result.mean_num_characters:.0f}" for result in results)))
    if evaluation.train_estimate is not None:
        own = say_estimate(evaluation.train_estimate)
        row = [own if name == "tuned" else "" for name in evaluation.contenders]
        lines.append((f"{evaluation.main_metric} on {evaluation.num_train_answered} training rows", *row))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _legend(evaluation: EvaluationResult, generator: str | None) -> str:
    """How the table is read."""
    metrics = evaluation.metrics.values()
    said = ["Of shares: right of scored answers, the share, its 95% interval."]
    if any(metric.kind == "mean" for metric in metrics):
        said.append("Of means: the mean and its 95% interval.")
    if one_label := always_one_label(evaluation):
        said.append(f"For comparison: {one_label}.")
    if overlaps := [metric.name for metric in metrics if metric.group == "overlap"]:
        said.append(f"{', '.join(overlaps)}: {say_overlap(generator)}.")
    shown = {name for result in evaluation.contenders.values() for name in result.estimates}
    if fewer := [metric.name for metric in metrics if metric.lower_is_better and metric.name in shown]:
        said.append(f"Less is better: {', '.join(fewer)}.")
    said += [f"{metric}: {note}." for metric, note in evaluation.notes.items()]
    return " ".join(said)


def _differences(evaluation: EvaluationResult) -> Iterator[str]:
    """The first contender against each of the others."""
    first = next(iter(evaluation.contenders), "")
    for other in evaluation.contenders:
        rows = [
            row
            for row in evaluation.comparisons
            if (row.contender, row.other) == (first, other)
            and row.num_pairs
            and evaluation.metrics[row.metric].group not in QUIET_GROUPS
        ]
        if rows:
            lines: list[tuple[str, ...]] = [
                (f"{first} − {other}", "difference", "95% interval", "p", "rows"),
                ("---",) * 5,
            ]
            lines += [_difference(evaluation, evaluation.metrics[row.metric], row) for row in rows]
            yield "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _difference(evaluation: EvaluationResult, metric: Metric, row: Comparison) -> tuple[str, ...]:
    if refused := evaluation.judging_refused(row.metric, row.contender, row.other):
        return row.metric, "not stated", refused, "", f"{row.num_pairs}"
    p_value, adjusted = say_p(row.p_value), say_p(row.adjusted_p_value)
    return (
        row.metric,
        say_difference(metric, row.difference),
        say_interval(metric, row),
        p_value if p_value == adjusted else f"{p_value}, {adjusted} corrected",
        f"{row.num_pairs}" + (f", {row.num_unscored} unscored" if row.num_unscored else ""),
    )


def _clause_list(verdict: Verdict, role: str, heading: str) -> str:
    lines = [
        f"- **{'holds' if clause.holds else 'does not hold'}**: {clause.text}  \n  {clause.evidence}"
        for clause in verdict.clauses
        if clause.role == role
    ]
    return "\n".join([heading, "", *lines]) if lines else ""


def _ranked(diagnoses: Sequence[Diagnosis]) -> str:
    return "\n".join(
        f"{rank}. **{diagnosis.name.replace('_', ' ')}**: {diagnosis.evidence}. Suggests: {diagnosis.next_change}."
        for rank, diagnosis in enumerate(diagnoses, start=1)
    )


def _list(sentences: Sequence[str] | Iterator[str]) -> str:
    return "\n".join(f"- {sentence}." for sentence in sentences)


def _record(verdict: Verdict) -> str:
    changed = "**changed after an evaluation**" if verdict.rule_changed_after_evaluation else "not changed"
    lines = [f"Rule {verdict.rule_hash[:16]}, {changed}; decided {verdict.decided_at}."]
    if verdict.rule_changed_after_evaluation:
        lines += ["- " + ", ".join(f"{key}: {value}" for key, value in entry.items()) for entry in verdict.rule_history]
    return "\n".join(lines)
