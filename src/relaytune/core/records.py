"""What travels between stages: examples, generations, scores, judgements, findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, get_type_hints

from relaytune.core.errors import DataError
from relaytune.core.files import read_jsonl, sha256_of_value, write_jsonl

FinishReason = Literal["stop", "length", "unknown"]
Severity = Literal["error", "warning", "note"]
Flat = TypeVar("Flat")


class Message(TypedDict):
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """One training or held-out row. `id` is made of its content; `source` is where it stood (file:line)."""

    id: str
    messages: tuple[Message, ...]
    completion: str
    source: str

    @staticmethod
    def of(messages: Sequence[Message], completion: str, source: str) -> Example:
        """An example whose id follows from messages and completion."""
        content = {"messages": list(messages), "completion": completion}
        return Example(sha256_of_value(content)[:16], tuple(messages), completion, source)


@dataclass(frozen=True)
class Generation:
    """One answer of one contender. `finish_reason` is "length" where it was cut off."""

    id: str
    messages: tuple[Message, ...]
    completion: str
    finish_reason: FinishReason
    num_tokens: int
    # log-probability of each allowed label, in nats; None where the contract has no labels to compare
    label_log_probs: Mapping[str, float] | None = None
    # of the row's own completion behind the same messages, in nats, the end of turn included, and its tokens
    reference_log_prob: float | None = None
    reference_tokens: int | None = None
    seed: int | None = None  # of the sampling; None: greedy


def question_of(row: Example | Generation) -> str:
    """The last turn that is the user's; empty where there is none."""
    return next((turn["content"] for turn in reversed(row.messages) if turn["role"] == "user"), "")


@dataclass(frozen=True)
class Score:
    """One scorer's value for one generation; `value` None is *unscored*, with the reason."""

    id: str
    contender: str
    scorer: str
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Finding:
    """One fault that a check found in data."""

    severity: Severity
    check: str
    message: str
    where: tuple[str, ...] = ()  # file:line of each row concerned
    advice: str = ""


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write frozen examples as JSON Lines."""
    write_jsonl(path, (asdict(example) for example in examples))


def read_examples(path: Path) -> list[Example]:
    """Read examples that `write_examples` wrote.

    Raises:
        DataError: a row lacks a field.
    """
    return [
        Example(row["id"], tuple(row["messages"]), row["completion"], row["source"])
        for row in _rows_with(("id", "messages", "completion", "source"), path)
    ]


def write_generations(path: Path, generations: Iterable[Generation]) -> None:
    """Write generations as JSON Lines."""
    write_jsonl(path, (asdict(generation) for generation in generations))


def read_generations(path: Path) -> list[Generation]:
    """Read generations, ours or another tool's (which have no probabilities).

    Raises:
        DataError: a row lacks a field.
    """
    return [
        Generation(
            row["id"],
            tuple(row["messages"]),
            row["completion"],
            row["finish_reason"],
            row["num_tokens"],
            row.get("label_log_probs"),
            row.get("reference_log_prob"),
            row.get("reference_tokens"),
            row.get("seed"),
        )
        for row in _rows_with(("id", "messages", "completion", "finish_reason", "num_tokens"), path)
    ]


def _rows_with(fields: Sequence[str], path: Path) -> list[dict[str, Any]]:
    rows = read_jsonl(path)
    for number, row in enumerate(rows, start=1):
        if missing := [name for name in fields if name not in row]:
            raise DataError(f"{path}: row {number} lacks {', '.join(missing)}; every row needs {', '.join(fields)}")
    return rows


def data_hash(examples: Iterable[Example]) -> str:
    """Hash of examples in their order; where they stood in a file does not count."""
    return sha256_of_value([example.id for example in examples])


def as_json(record: Any) -> dict[str, Any]:
    """A frozen dataclass as a JSON object."""
    return asdict(record)


@dataclass(frozen=True)
class Judgement:
    """What one judge said of two answers to one example, shown in this order.

    `better` None is *unscored*; `reason` then says why, else it holds the judge's own words, shortened.
    """

    id: str
    judge: str
    first: str  # contender
    second: str
    better: Literal["first", "second", "tie"] | None
    reason: str


@dataclass(frozen=True)
class Rating:
    """One judge's points for one answer on one criterion; `value` None is *unscored*, with the reason."""

    id: str
    judge: str
    contender: str
    criterion: str
    value: float | None
    reason: str


def write_judgements(path: Path, judgements: Iterable[Judgement]) -> None:
    """Write judgements as JSON Lines."""
    write_jsonl(path, (asdict(judgement) for judgement in judgements))


def read_judgements(path: Path) -> list[Judgement]:
    """Read judgements that `write_judgements` wrote.

    Raises:
        DataError: a row lacks a field.
    """
    return _read_flat(path, Judgement)


def write_ratings(path: Path, ratings: Iterable[Rating]) -> None:
    """Write ratings as JSON Lines."""
    write_jsonl(path, (asdict(rating) for rating in ratings))


def read_ratings(path: Path) -> list[Rating]:
    """Read ratings that `write_ratings` wrote.

    Raises:
        DataError: a row lacks a field.
    """
    return _read_flat(path, Rating)


def _read_flat(path: Path, kind: type[Flat]) -> list[Flat]:
    """Records whose fields are plain values, each of which every row must have."""
    names = list(get_type_hints(kind))
    return [kind(*(row[name] for name in names)) for row in _rows_with(names, path)]
