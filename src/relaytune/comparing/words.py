"""A comparison as a person reads it on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from relaytune.comparing import FilesCompared
from relaytune.core.metrics import Metric
from relaytune.core.results import Comparison, EvaluationResult
from relaytune.evidence import SIGNIFICANCE, gain, say_comparison, say_estimate, say_p
from relaytune.testimony import testimony_lines
from relaytune.weaknesses import weaknesses_of

QUIET_GROUPS = ("style",)  # in the table, but compared in evaluation.json only


def comparison_text(compared: FilesCompared) -> str:
    """What was compared, every measure of every contender, the differences, and what all that cannot show."""
    evaluation = compared.evaluation
    repeated = evaluation.num_held_out - evaluation.num_prompts
    rows = f"{evaluation.num_held_out} rows in every file, matched by {compared.matched.matched_by}"
    return "\n".join(
        [
            rows + (f"; {repeated} repeat a prompt" if repeated else ""),
            *(f"  {line}" for line in compared.matched.left_out),
            "",
            *_table(evaluation),
            *_notes(evaluation),
            *_differences(evaluation),
            *_judges(evaluation),
            "",
            "What this cannot show",
            *(f"  - {weakness}" for weakness in weaknesses_of(evaluation)),
        ]
    )


def _table(evaluation: EvaluationResult) -> Iterator[str]:
    results = evaluation.contenders.values()
    lines = [["", *evaluation.contenders]]
    unscored = []
    for name in evaluation.metrics:
        found = [result.estimates.get(name) for result in results]
        if any(estimate is not None and estimate.scored for estimate in found):
            lines.append([name, *(say_estimate(estimate, digits=1) for estimate in found)])
        elif any(found):
            unscored.append(name)
    cut_off = (f"{result.num_truncated} of {result.num_answers}" for result in results)
    lines.append(["cut off", *cut_off])
    lines.append(["mean characters", *(f"{result.mean_num_characters:.0f}" for result in results)])
    yield from _aligned(lines)
    if unscored:
        yield f"nothing scored: {', '.join(unscored)} (scores.jsonl gives the reasons)"


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _notes(evaluation: EvaluationResult) -> Iterator[str]:
    if evaluation.notes:
        yield ""
        yield from (f"{metric}: {note}" for metric, note in evaluation.notes.items())


def _differences(evaluation: EvaluationResult) -> Iterator[str]:
    shown = [
        row
        for row in evaluation.comparisons
        if row.num_pairs and evaluation.metrics[row.metric].group not in QUIET_GROUPS
    ]
    shown.sort(key=lambda row: (row.contender, row.other))
    for (contender, other), rows in groupby(shown, key=lambda row: (row.contender, row.other)):
        yield ""
        yield f"{contender} against {other}, on the same rows (95% intervals, two-sided p)"
        for row in rows:
            if refused := evaluation.judging_refused(row.metric, contender, other):
                yield f"  {row.metric}: not stated ({refused})"
                continue
            yield f"  {row.metric}: {_outcome(row, evaluation.metrics[row.metric])}"
            yield f"    {say_comparison(evaluation, row)}{_corrected(row)}"


def _judges(evaluation: EvaluationResult) -> Iterator[str]:
    if evaluation.judging is not None:
        yield ""
        yield "Judges"
        yield from (f"  - {line}" for line in testimony_lines(evaluation.judging))


def _outcome(row: Comparison, metric: Metric) -> str:
    if row.adjusted_p_value > SIGNIFICANCE:
        return "no difference shown"
    return f"{row.contender if gain(metric, row.difference) > 0 else row.other} is better"


def _corrected(row: Comparison) -> str:
    return f", {say_p(row.adjusted_p_value)} corrected" if row.adjusted_p_value != row.p_value else ""
