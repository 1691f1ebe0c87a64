"""facts.jsonl: a line for every answer of a contender that was held against the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from relaytune.core.claims import CheckedAnswer
from relaytune.core.errors import RunError
from relaytune.core.files import read_jsonl, write_jsonl

_ANSWER = TypeAdapter(CheckedAnswer)


def write_checked_answers(path: Path, answers: Mapping[str, Sequence[CheckedAnswer]]) -> None:
    """Write the answers of each contender: its name, then the fields of `CheckedAnswer`."""
    write_jsonl(path, ({"contender": name, **asdict(answer)} for name, rows in answers.items() for answer in rows))


def read_checked_answers(path: Path) -> dict[str, list[CheckedAnswer]]:
    """Read what `write_checked_answers` wrote, by contender.

    Raises:
        RunError: a line is none of this version's.
        DataError: the file is damaged.
    """
    answers: dict[str, list[CheckedAnswer]] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            contender = row.pop("contender")
            answers.setdefault(contender, []).append(_ANSWER.validate_python(row))
        except (KeyError, ValidationError) as error:
            raise RunError(
                f"{path}:{number}: not a line of this version ({type(error).__name__}). Delete the file; `relaytune "
                "evaluate` makes it anew."
            ) from error
    return answers
