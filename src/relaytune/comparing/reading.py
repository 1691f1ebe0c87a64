"""Answers that were made anywhere: files of rows in, one list of rows out that all files answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from relaytune.core.errors import DataError
from relaytune.core.files import sha256_of_value
from relaytune.core.records import Example, FinishReason, Generation, Message
from relaytune.data.loading import Row, load_rows, shown

# the names under which other tools write them, ours first
ANSWER_COLUMNS = ("completion", "answer", "response", "output", "prediction")
PROMPT_COLUMNS = ("prompt", "question", "input", "instruction")
REFERENCE_COLUMNS = ("reference", "expected", "target", "gold")
_FAULTS_SHOWN = 20


@dataclass(frozen=True)
class AnswerRow:
    """One answer as a file holds it; `key` is what the rows of other files are matched by."""

    key: str
    id: str
    messages: tuple[Message, ...]
    answer: str
    reference: str | None
    finish_reason: FinishReason
    num_tokens: int
    source: str


@dataclass(frozen=True)
class Matched:
    """The rows that every file answers, and each file's answers to them."""

    rows: list[Example]  # `completion` is the reference, empty where there is none
    generations: dict[str, list[Generation]]
    matched_by: str
    num_references: int
    left_out: tuple[str, ...]  # what was not compared, in words


class _Faults:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, where: str, what: str) -> None:
        self.lines.append(f"{where}: {what}")

    def raise_if_any(self) -> None:
        """All faults at once."""
        if self.lines:
            more = len(self.lines) - _FAULTS_SHOWN
            shown_lines = self.lines[:_FAULTS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
            raise DataError("\n".join(["the answers cannot be read", *(f"  - {line}" for line in shown_lines)]))


def read_answers(files: Mapping[str, Path], references: Path | None = None) -> Matched:
    """Read one file of answers a contender (.jsonl, .json or .csv) and match their rows.

    Each row has an answer (`completion`, `answer`, `response`, `output` or `prediction`) and, to be matched, an `id`,
    `messages` or a `prompt` (`question`, `input`, `instruction`); rows that have none of these are matched by their
    place. A reference stands in a `reference` (`expected`, `target`, `gold`) column of any of the files, or in a
    file of its own, where it may also be called like an answer. Rows that not every file has are left out and counted.

    Raises:
        DataError: a file or a row cannot be read, two rows of one file are the same row, two files disagree about a
            reference, or no row is in all files. All faults at once.
    """
    faults = _Faults()
    loaded = {name: _load(path, faults) for name, path in files.items()}
    given = _load(references, faults) if references else []
    faults.raise_if_any()
    way = _way_of_matching([*loaded.values(), *([given] if given else [])])
    answers = {name: _answer_rows(rows, way, faults) for name, rows in loaded.items()}
    known = _references([*_keyed(given, way)], answers.values(), faults)
    faults.raise_if_any()
    return _match(answers, known, way)


def read_for_rows(path: Path, rows: Sequence[Example]) -> list[Generation]:
    """One file of answers to rows that are known: matched by `id`, else by the prompt, which is the last user message
    or the whole conversation. Rows that the file does not answer stay unanswered.

    Raises:
        DataError: the file cannot be read, or an answer is to no row. All faults at once.
    """
    faults = _Faults()
    loaded = _load(path, faults)
    faults.raise_if_any()
    way = _way_of_matching([loaded])
    answers = _answer_rows(loaded, way, faults)
    faults.raise_if_any()
    known: dict[str, Example] = {}
    seen: Counter[str] = Counter()
    for row in rows:
        known[row.id] = row
        for prompt in {sha256_of_value(messages)[:16] for messages in (list(row.messages), [row.messages[-1]])}:
            seen[prompt] += 1
            known.setdefault(f"{prompt}-{seen[prompt]}", row)
    for answer in answers.values():
        if answer.key not in known:
            faults.add(answer.source, f"answers no held-out row (matched by {way})")
    faults.raise_if_any()
    return [
        Generation(row.id, row.messages, answer.answer, answer.finish_reason, answer.num_tokens)
        for answer in answers.values()
        for row in (known[answer.key],)
    ]


def _load(path: Path, faults: _Faults) -> list[Row]:
    rows, findings = load_rows(path, str(path))
    for finding in findings:
        if finding.severity == "error":
            faults.add(", ".join(finding.where[:3]), f"{finding.message}; {finding.advice}")
    return rows


def _way_of_matching(files: Sequence[Sequence[Row]]) -> str:
    rows = [row.values for file in files for row in file]
    if all(isinstance(row.get("id"), (str, int)) for row in rows):
        return "id"
    if all("messages" in row or any(name in row for name in PROMPT_COLUMNS) for row in rows):
        return "prompt"
    return "place"


def _keyed(rows: Sequence[Row], way: str) -> Iterable[tuple[str, Row]]:
    """Each row with its key. The k-th row of a prompt is matched with the k-th of the same prompt elsewhere."""
    seen: Counter[str] = Counter()
    for place, row in enumerate(rows, start=1):
        if way == "id":
            yield str(row.values["id"]), row
        elif way == "place":
            yield str(place), row
        else:
            prompt = sha256_of_value(_plain_messages(row.values))[:16]
            seen[prompt] += 1
            yield f"{prompt}-{seen[prompt]}", row


def _plain_messages(values: Mapping[str, Any]) -> list[Message]:
    """The row's conversation, or its prompt as the user's message; empty where it has neither."""
    messages = values.get("messages")
    if isinstance(messages, str):  # a CSV file holds them as JSON
        try:
            messages = json.loads(messages)
        except ValueError:
            messages = None
    if isinstance(messages, list):
        return [
            Message(role=str(message.get("role", "")), content=str(message.get("content", "")))
            for message in messages
            if isinstance(message, dict)
        ]
    prompt = _first(values, PROMPT_COLUMNS)
    return [] if prompt is None else [Message(role="user", content=prompt)]


def _answer_rows(rows: Sequence[Row], way: str, faults: _Faults) -> dict[str, AnswerRow]:
    found: dict[str, AnswerRow] = {}
    for key, row in _keyed(rows, way):
        answer = _first(row.values, ANSWER_COLUMNS)
        if answer is None:
            has = ", ".join(shown(name, 40) for name in row.values) or "no columns"
            faults.add(row.source, f"no answer; it has {has}, one of {', '.join(ANSWER_COLUMNS)} is needed")
        elif key in found:
            faults.add(row.source, f"the id {shown(key)} stands twice, first at {found[key].source}; make ids unique")
        else:
            found[key] = _answer_row(key, row, answer, faults)
    return found


def _answer_row(key: str, row: Row, answer: str, faults: _Faults) -> AnswerRow:
    values = row.values
    reason: Any = values.get("finish_reason") or "unknown"
    if reason not in get_args(FinishReason):
        faults.add(row.source, f"finish_reason is {shown(reason)}; allowed: {', '.join(get_args(FinishReason))}")
        reason = "unknown"
    tokens = str(values.get("num_tokens") or 0)
    if not tokens.isdecimal():
        faults.add(row.source, f"num_tokens is {shown(values['num_tokens'])}; a whole number is needed")
        tokens = "0"
    return AnswerRow(
        key,
        str(values.get("id", key)),
        tuple(_plain_messages(values)),
        answer,
        _first(values, REFERENCE_COLUMNS),
        reason,
        int(tokens),
        row.source,
    )


def _first(values: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these columns, a value that is no text as JSON; None where there is none."""
    for name in names:
        if values.get(name) is not None:
            value = values[name]
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return None


def _references(
    given: Sequence[tuple[str, Row]], answers: Iterable[Mapping[str, AnswerRow]], faults: _Faults
) -> dict[str, str]:
    """Reference by key, of the file of references or of any file of answers."""
    known: dict[str, tuple[str, str]] = {}
    for key, given_row in given:
        reference = _first(given_row.values, (*REFERENCE_COLUMNS, *ANSWER_COLUMNS))
        if reference is None:
            faults.add(given_row.source, f"no reference; one of {', '.join(REFERENCE_COLUMNS)} is needed")
        else:
            known[key] = reference, given_row.source
    for rows in answers:
        for key, row in rows.items():
            if row.reference is None:
                continue
            reference, source = known.setdefault(key, (row.reference, row.source))
            if reference.strip() != row.reference.strip():
                faults.add(row.source, f"its reference differs from that at {source}; keep the right one")
    return {key: reference for key, (reference, _) in known.items()}


def _match(answers: Mapping[str, Mapping[str, AnswerRow]], references: Mapping[str, str], way: str) -> Matched:
    first = next(iter(answers.values()))
    common = [key for key in first if all(key in rows for rows in answers.values())]
    left_out = [
        f"{len(rows) - len(common)} of {len(rows)} rows of {name} have no counterpart in every file"
        for name, rows in answers.items()
        if len(rows) > len(common)
    ]
    if not common:
        raise DataError(
            f"no row is in all of {', '.join(answers)}, matched by {way}: {'; '.join(left_out)}. Give the same `id` to "
            "the same row in each file."
        )
    if references and (without := sum(key not in references for key in common)):
        left_out.append(f"{without} of {len(common)} rows have no reference")
    messages = {
        key: next((rows[key].messages for rows in answers.values() if rows[key].messages), ()) for key in common
    }
    return Matched(
        [Example(first[key].id, messages[key], references.get(key, "").strip(), first[key].source) for key in common],
        {
            name: [
                Generation(
                    first[key].id, messages[key], rows[key].answer, rows[key].finish_reason, rows[key].num_tokens
                )
                for key in common
            ]
            for name, rows in answers.items()
        },
        way,
        sum(key in references for key in common),
        tuple(left_out),
    )
