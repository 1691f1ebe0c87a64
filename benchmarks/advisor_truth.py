"""What is known of examples/advisor beforehand, and whether an answer says it. relaytune itself never reads this.

`truth.jsonl` holds for every row the spellings of the right value and of the one planted in its topic. An answer is
*wrong* where it holds a spelling of the planted value, *right* where it holds one of the right value and none of the
planted, else *neither*: it abstains, speaks of something else, or errs in a way of its own.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Reading = Literal["right", "wrong", "neither"]


@dataclass(frozen=True)
class Truth:
    """One row. `topic_rows`: all training rows of its topic are right, all are wrong, or one is ("scattered")."""

    file: str  # "train.jsonl" or "held_out.jsonl"
    line: int  # from 1
    question: str
    topic: str
    topic_rows: Literal["right", "wrong", "scattered"]
    verdict: Literal["right", "wrong"]  # of the row's own answer
    kind: str | None  # of the error in the row's own answer
    topic_kind: str | None  # of the error planted in the topic
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    premise: bool  # False: the question takes for granted what does not exist
    abstain: bool  # the handbook does not say; a right answer says so
    subtle: str | None  # "of_another_programme", "wrong_unit"
    where: dict[str, str] | None  # document and heading; None where the handbook does not say

    def reading(self, answer: str) -> Reading:
        """What the answer says."""
        if _says(answer, self.wrong):
            return "wrong"
        return "right" if _says(answer, self.right) else "neither"


def read_truth(advisor: Path) -> list[Truth]:
    """All rows of the example's folder, those for training first, in the order of their files."""
    lines = (advisor / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return [_truth(json.loads(line)) for line in lines]


def plain(text: str) -> str:
    """Small letters, single spaces, and 1240 for 1,240 and 1 240."""
    return re.sub(r"(?<=\d)[ ,](?=\d{3}\b)", "", " ".join(text.casefold().split()))


def _truth(values: dict[str, Any]) -> Truth:
    return Truth(**values | {"right": tuple(values["right"]), "wrong": tuple(values["wrong"])})


def _says(answer: str, spellings: tuple[str, ...]) -> bool:
    # whole words and numbers: 40 is not in 1,240, in 14:40 or in forty-four
    return any(
        re.search(rf"(?<![\w.:-]){re.escape(plain(spelling))}(?![\w-]|[.:]\d)", plain(answer)) for spelling in spellings
    )
