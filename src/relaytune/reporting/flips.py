"""The held-out rows where the best prompt and the tuned model differ in being right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relaytune.core.contract import read_answer
from relaytune.core.records import Example, Generation, Message
from relaytune.reporting.contents import RunContents


@dataclass(frozen=True)
class FlippedAnswer:
    """One contender's answer to a flipped row; `reason` is the scorer's, where it gave one."""

    contender: str
    text: str
    label: str | None  # where the contract has labels and the answer gives one
    cut_off: bool
    reason: str


@dataclass(frozen=True)
class Flip:
    """One held-out row that one contender has right and the other wrong."""

    source: str
    question: str
    expected: str
    expected_label: str | None
    prompt_answer: FlippedAnswer
    tuned_answer: FlippedAnswer


@dataclass(frozen=True)
class Flips:
    """What flipped between the best prompt and tuned on the main metric."""

    metric: str
    best_prompt: str
    gained: tuple[Flip, ...]  # tuned right, the best prompt wrong
    lost: tuple[Flip, ...]  # the reverse
    num_not_compared: int  # rows without an answer or a score of both


def find_flips(contents: RunContents) -> Flips | None:
    """Rows that changed sides; None where there are no held-out rows, no evaluation or no tuned answers."""
    evaluation, held_out = contents.evaluation, contents.splits["held_out"]
    if evaluation is None or held_out is None or "tuned" not in contents.generations:
        return None
    metric = evaluation.main_metric
    best_prompt = evaluation.best_prompt.get(metric, "base")
    gained: list[Flip] = []
    lost: list[Flip] = []
    num_not_compared = 0
    for example in held_out:
        answers = [_scored_answer(contents, contender, metric, example) for contender in (best_prompt, "tuned")]
        if answers[0] is None or answers[1] is None:
            num_not_compared += 1
            continue
        (prompt_right, prompt_answer), (tuned_right, tuned_answer) = answers[0], answers[1]
        if prompt_right == tuned_right:
            continue
        flip = Flip(
            example.source,
            question_of(example.messages),
            example.completion,
            read_answer(contents.recipe.contract, example.completion).label,
            prompt_answer,
            tuned_answer,
        )
        (gained if tuned_right else lost).append(flip)
    return Flips(metric, best_prompt, tuple(gained), tuple(lost), num_not_compared)


def question_of(messages: Sequence[Message]) -> str:
    """What is particular to a row: its messages without the instruction that all rows share."""
    own = [message for message in messages if message["role"] != "system"]
    if len(own) == 1:
        return own[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in own)


def _scored_answer(
    contents: RunContents, contender: str, metric: str, example: Example
) -> tuple[bool, FlippedAnswer] | None:
    generation: Generation | None = contents.generations.get(contender, {}).get(example.id)
    score = contents.scores.get((contender, metric, example.id))
    if generation is None or score is None or score.value is None:
        return None
    answer = FlippedAnswer(
        contender,
        generation.completion,
        read_answer(contents.recipe.contract, generation.completion).label,
        generation.finish_reason == "length",
        score.reason,
    )
    return score.value >= 1, answer
