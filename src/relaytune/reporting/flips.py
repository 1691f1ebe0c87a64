"""The held-out rows on which the best prompt and tuned differ: in being right, in a value, or for the judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relaytune.core.contract import read_answer
from relaytune.core.metrics import Metric
from relaytune.core.preferences import PairVerdict, combine_judges, pair_verdicts
from relaytune.core.records import Example, Message
from relaytune.core.results import EvaluationResult
from relaytune.evidence import gain
from relaytune.reporting import formats
from relaytune.reporting.contents import RunContents

LARGEST_SHOWN = 10  # differences of a mean, each way


@dataclass(frozen=True)
class FlippedAnswer:
    """One contender's answer to a flipped row; `reason` is the scorer's, where it gave one."""

    contender: str
    text: str
    label: str | None  # where the contract has labels and the answer gives one
    value: str  # of a mean
    cut_off: bool
    reason: str


@dataclass(frozen=True)
class Opinion:
    """What one judge said of a row: its verdict over both orders, and its own words."""

    judge: str
    verdict: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Flip:
    """One held-out row that one contender does better than the other."""

    source: str
    question: str
    expected: str
    expected_label: str | None
    change: str  # of a mean, from the best prompt to tuned
    prompt_answer: FlippedAnswer
    tuned_answer: FlippedAnswer
    opinions: tuple[Opinion, ...] = ()


@dataclass(frozen=True)
class Flips:
    """What differs between the best prompt and tuned on the main metric, the largest differences first."""

    metric: Metric
    best_prompt: str
    gained: tuple[Flip, ...]  # tuned does better
    lost: tuple[Flip, ...]  # the best prompt does
    num_gained: int  # all of them, shown or not
    num_lost: int
    num_not_compared: int  # rows without an answer, a score or a verdict


def find_flips(contents: RunContents) -> Flips | None:
    """Rows that changed sides.

    None without held-out rows, an evaluation, tuned answers or, for preferences, judgements.
    """
    evaluation, held_out = contents.evaluation, contents.splits["held_out"]
    if evaluation is None or held_out is None or "tuned" not in contents.generations:
        return None
    metric = evaluation.metrics[evaluation.main_metric]
    prompt = evaluation.best_prompt.get(metric.name, "base")
    if metric.kind == "preference" and not contents.judgements:
        return None
    verdicts = _verdicts(contents, prompt) if metric.kind == "preference" else {}
    differences = (
        _preferred(evaluation, prompt, verdicts) if metric.kind == "preference" else _scored(contents, metric, prompt)
    )
    rows = {example.id: example for example in held_out}
    found = {id: differences[id] for id in rows if id in differences and _answered(contents, id, prompt)}
    gains = sorted((id for id, change in found.items() if gain(metric, change) > 0), key=lambda id: -abs(found[id]))
    losses = sorted((id for id, change in found.items() if gain(metric, change) < 0), key=lambda id: -abs(found[id]))
    shown = LARGEST_SHOWN if metric.kind == "mean" else None
    flips = {
        id: _flip(contents, metric, prompt, rows[id], found[id], _opinions(verdicts, prompt, id, contents))
        for id in (*gains[:shown], *losses[:shown])
    }
    return Flips(
        metric,
        prompt,
        tuple(flips[id] for id in gains[:shown]),
        tuple(flips[id] for id in losses[:shown]),
        len(gains),
        len(losses),
        len(held_out) - len(found),
    )


def question_of(messages: Sequence[Message]) -> str:
    """What is particular to a row: its messages without the instruction that all rows share."""
    own = [message for message in messages if message["role"] != "system"]
    if len(own) == 1:
        return own[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in own)


def _answered(contents: RunContents, id: str, prompt: str) -> bool:
    return all(id in contents.generations.get(contender, {}) for contender in ("tuned", prompt))


def _scored(contents: RunContents, metric: Metric, prompt: str) -> dict[str, float]:
    """Row → value of tuned less that of the prompt, where both are scored."""
    differences = {}
    for (contender, scorer, id), score in contents.scores.items():
        if contender != "tuned" or scorer != metric.name or score.value is None:
            continue
        other = contents.scores.get((prompt, metric.name, id))
        if other is not None and other.value is not None:
            differences[id] = score.value - other.value
    return differences


def _verdicts(contents: RunContents, prompt: str) -> dict[str, Mapping[str, PairVerdict]]:
    """Judge → row → what it says of tuned against the prompt."""
    judges = dict.fromkeys(judgement.judge for judgement in contents.judgements)
    found = {judge: pair_verdicts(contents.judgements, judge, "tuned", prompt) for judge in judges}
    return {judge: verdicts for judge, verdicts in found.items() if verdicts}


def _preferred(
    evaluation: EvaluationResult, prompt: str, verdicts: Mapping[str, Mapping[str, PairVerdict]]
) -> dict[str, float]:
    """Row → what judges and people together prefer, without those whose verdict is refused (unless all are)."""
    summaries = evaluation.judging.summaries if evaluation.judging else ()
    refused = {said.judge for said in summaries if said.refused and {said.contender, said.other} == {"tuned", prompt}}
    heard = [rows for judge, rows in verdicts.items() if judge not in refused] or list(verdicts.values())
    return {id: float(value) for id, value in combine_judges(heard).items() if value is not None}


def _opinions(
    verdicts: Mapping[str, Mapping[str, PairVerdict]], prompt: str, id: str, contents: RunContents
) -> tuple[Opinion, ...]:
    words: dict[str, list[str]] = {}
    for judgement in contents.judgements:
        if judgement.id == id and {judgement.first, judgement.second} == {"tuned", prompt}:
            words.setdefault(judgement.judge, []).append(judgement.reason)
    return tuple(
        Opinion(judge, _say(rows[id], prompt), tuple(dict.fromkeys(filter(None, words.get(judge, ())))))
        for judge, rows in verdicts.items()
        if id in rows
    )


def _say(verdict: PairVerdict, prompt: str) -> str:
    if verdict.preference is None:
        return "unscored"
    if not verdict.consistent:
        return "changes its mind with the order: a tie"
    return {1: "prefers tuned", 0: "a tie", -1: f"prefers {prompt}"}[verdict.preference]


def _flip(
    contents: RunContents,
    metric: Metric,
    prompt: str,
    example: Example,
    change: float,
    opinions: tuple[Opinion, ...],
) -> Flip:
    return Flip(
        example.source,
        question_of(example.messages),
        example.completion,
        read_answer(contents.recipe.contract, example.completion).label,
        formats.difference(change, metric) if metric.kind == "mean" else "",
        _answer(contents, metric, prompt, example.id),
        _answer(contents, metric, "tuned", example.id),
        opinions,
    )


def _answer(contents: RunContents, metric: Metric, contender: str, id: str) -> FlippedAnswer:
    generation = contents.generations[contender][id]
    score = contents.scores.get((contender, metric.name, id))
    return FlippedAnswer(
        contender,
        generation.completion,
        read_answer(contents.recipe.contract, generation.completion).label,
        formats.estimate(score.value, metric) if score is not None and metric.kind == "mean" else "",
        generation.finish_reason == "length",
        score.reason if score is not None else "",
    )
