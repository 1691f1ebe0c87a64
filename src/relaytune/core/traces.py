"""What a trace finds: for each wrong answer the training rows behind it, each with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relaytune.core.claims import AnswerVerdict
from relaytune.core.records import Example

Method = Literal["words", "meaning", "gradients"]
METHODS: tuple[Method, ...] = ("words", "meaning", "gradients")


@dataclass(frozen=True)
class WrongAnswer:
    """One answer that is traced. `claims` are the wrong things that it says, verbatim; none where nobody checked."""

    example: Example  # the held-out row; its completion is the reference
    contender: str
    answer: str
    claims: tuple[str, ...]
    wrong_because: str
    right: tuple[str, ...] = ()  # what is known to be right instead: passages of sources; the reference counts besides


@dataclass(frozen=True)
class Standing:
    """Where a row stands by one method: the value (BM25; a cosine) and its place among the candidates, from 1."""

    value: float
    rank: int


@dataclass(frozen=True)
class TracedRow:
    """A training row that may have taught a wrong answer."""

    id: str
    source: str  # file:line
    question: str
    answer: str
    by: dict[Method, Standing]
    states: tuple[str, ...]  # what is wrong in the answer and stands in this row's answer too
    claims: tuple[str, ...]  # wrong claims that stand in this row's answer word for word
    shares: tuple[str, ...]  # rare words that question and answer have in common with this row
    speaks_of: tuple[str, ...]  # names in this row where the question has others: a mix-up, not an error of this row
    audit: AnswerVerdict | None  # of the row, where it was audited
    taught: bool  # by the rule in tracing/tracing.py
    alike: tuple[str, ...]  # ids of further training rows that say nearly the same

    def reasons(self, num_candidates: int) -> list[str]:
        """Why this row is named, in words, each method apart."""
        said = [f"its answer says {_quoted(self.claims)} word for word"] if self.claims else []
        said += [f"{_quoted(self.states)} stands in it"] if self.states else []
        said += [f"shares {_quoted(self.shares)}"] if self.shares else []
        said += [f"speaks of {_quoted(self.speaks_of)} instead"] if self.speaks_of else []
        ranked = {name: f"rank {standing.rank} of {num_candidates}" for name, standing in self.by.items()}
        if words := self.by.get("words"):
            said.append(f"words {words.value:.1f}, {ranked['words']}")
        if meaning := self.by.get("meaning"):
            said.append(f"meaning {meaning.value:.2f}, {ranked['meaning']}")
        if gradient := self.by.get("gradients"):
            said.append(f"gradient {gradient.value:+.2f}, {ranked['gradients']}")
        return said


@dataclass(frozen=True)
class TracedAnswer:
    """A wrong answer and the rows behind it, the likeliest first."""

    id: str  # of the held-out row
    source: str
    contender: str
    question: str
    answer: str
    reference: str
    wrong_because: str
    wrong: tuple[str, ...]  # what in the answer is wrong, as it is traced
    num_candidates: int
    rows: tuple[TracedRow, ...]


@dataclass(frozen=True)
class Trace:
    """Everything that was traced at one time."""

    answers: tuple[TracedAnswer, ...]
    num_train: int
    methods: tuple[Method, ...]
    left_out: dict[Method, str]  # method → why it could not be used


def _quoted(texts: tuple[str, ...]) -> str:
    return " and ".join(f"'{text}'" for text in texts)
