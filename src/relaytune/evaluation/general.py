"""Forgetting: what a model can do outside its task, before tuning and after.

`general.jsonl`, written for relaytune, holds 60 short questions (facts, arithmetic, language, instructions, common
sense), each with a regular expression that a right answer matches, and 20 texts of a few sentences whose likelihood is
compared. It is small: it shows that much was lost, not that nothing was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

from relaytune.core.errors import RunError
from relaytune.core.files import read_jsonl
from relaytune.core.records import Example, Generation
from relaytune.evaluation.perplexity import reference_nats_per_token
from relaytune.evaluation.traits import Value

MAX_NEW_TOKENS = 48  # for a question: all of them have short answers


@dataclass(frozen=True)
class Question:
    """A question, and the pattern that is searched in an answer, whatever the case."""

    id: str
    question: str
    accept: str


@dataclass(frozen=True)
class Text:
    """A plain text, given to the model without a chat template."""

    id: str
    text: str


@dataclass(frozen=True)
class GeneralSet:
    """All questions and texts."""

    questions: tuple[Question, ...]
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class Forgetting:
    """By item, before and after. An answer is 1 (right), 0 (wrong) or None (no answer). Texts are in nats per token,
    where lower is better, or None where nothing was saved.
    """

    right_before: Mapping[str, float | None]
    right_after: Mapping[str, float | None]
    nats_per_token_before: Mapping[str, float | None]
    nats_per_token_after: Mapping[str, float | None]


@cache
def load_general() -> GeneralSet:
    """The set that comes with relaytune."""
    with as_file(files("relaytune.evaluation") / "general.jsonl") as path:
        rows = read_jsonl(path)
    return GeneralSet(
        tuple(Question(row["id"], row["question"], row["accept"]) for row in rows if "question" in row),
        tuple(Text(row["id"], row["text"]) for row in rows if "text" in row),
    )


def as_examples(questions: Sequence[Question]) -> list[Example]:
    """Questions as rows that a contender can be asked; they have no completion."""
    return [Example(each.id, ({"role": "user", "content": each.question},), "", "general.jsonl") for each in questions]


def is_right(question: Question, answer: str) -> Value:
    """1 where the accepted pattern stands in the answer, else 0."""
    if re.search(question.accept, answer.strip(), re.IGNORECASE | re.DOTALL):
        return 1.0, ""
    return 0.0, f"nothing that matches {question.accept}"


def forgetting(before: Sequence[Generation], after: Sequence[Generation]) -> Forgetting:
    """What the saved answers and likelihoods of two contenders say, item by item.

    Raises:
        RunError: rows of the two are of other items than the set has, as when they were made by another version.
    """
    general = load_general()
    known = {each.id for each in general.questions} | {each.id for each in general.texts}
    for name, rows in (("before", before), ("after", after)):
        if unknown := sorted({row.id for row in rows} - known):
            raise RunError(
                f"general set, answers {name}: {len(unknown)} of items that this version of relaytune does not have: "
                f"{', '.join(unknown[:5])}. Delete the file and answer the set again."
            )
    sides = [{row.id: row for row in rows} for rows in (before, after)]
    right = [
        {
            each.id: is_right(each, side[each.id].completion)[0] if each.id in side else None
            for each in general.questions
        }
        for side in sides
    ]
    nats = [
        {each.id: reference_nats_per_token(side[each.id])[0] if each.id in side else None for each in general.texts}
        for side in sides
    ]
    return Forgetting(*right, *nats)
