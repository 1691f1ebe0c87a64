"""Forgetting: what a model can do outside its task, before tuning and after.

`general.jsonl`, written for relaytune, holds 60 short questions (facts, arithmetic, language, instructions, common
sense), each with a regular expression that a right answer matches, and 20 texts of a few sentences whose likelihood is
compared. It is small: it shows that much was lost, not that nothing was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

from relaytune.core.declining import Value
from relaytune.core.errors import RunError
from relaytune.core.files import read_jsonl
from relaytune.core.records import Example, Generation, Score
from relaytune.evaluation.perplexity import reference_nats_per_token

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


def score_general(rows: Sequence[Generation], contender: str) -> list[Score]:
    """One score for each question (general_right) and each text (general_nats) of a contender's saved answers.

    Raises:
        RunError: a row is of another item than the set has, as when it was made by another version.
    """
    general = load_general()
    by_id = {row.id: row for row in rows}
    known = {each.id for each in general.questions} | {each.id for each in general.texts}
    unknown = sorted(by_id.keys() - known)
    if unknown:
        raise RunError(
            f"general set, answers of {contender}: {len(unknown)} of items that this version of relaytune does not "
            f"have: {', '.join(unknown[:5])}. Delete the file and answer the set again."
        )
    missing: Value = (None, "no answer")
    return [
        *(
            Score(each.id, contender, "general_right", *(is_right(each, by_id[each.id].completion)))
            if each.id in by_id
            else Score(each.id, contender, "general_right", *missing)
            for each in general.questions
        ),
        *(
            Score(
                each.id,
                contender,
                "general_nats",
                *(reference_nats_per_token(by_id[each.id]) if each.id in by_id else missing),
            )
            for each in general.texts
        ),
    ]
