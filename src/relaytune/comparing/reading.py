"""Answers that were made anywhere: files of rows in, one list of rows out that all files answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_FAULTS_SHOWN = 8  # of each file; rows with the same fault count as one
_ROWS_SHOWN = 3  # of those with the same fault


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
    """What is wrong, by file: a fault of every row of one file hides nothing of the next."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, list[str]]] = {}

    def add(self, where: str, what: str) -> None:
        file = re.sub(r"(:\d+|\[\d+\])$", "", where)
        self.files.setdefault(file, {}).setdefault(what, []).append(where)

    def raise_if_any(self) -> None:
        """All faults at once."""
        if self.files:
            lines = [line for file, found in self.files.items() for line in self._lines(file, found)]
            raise DataError("\n".join(["the answers cannot be read", *(f"  - {line}" for line in lines)]))

    @staticmethod
    def _lines(file: str, found: Mapping[str, Sequence[str]]) -> Iterable[str]:
        for what, places in list(found.items())[:_FAULTS_SHOWN]:
            more = f" and {len(places) - _ROWS_SHOWN} more rows" if len(places) > _ROWS_SHOWN else ""
            yield f"{', '.join(places[:_ROWS_SHOWN])}{more}: {what}"
        if len(found) > _FAULTS_SHOWN:
            yield f"{file}: and {len(found) - _FAULTS_SHOWN} more faults"


def read_answers(files: Mapping[str, Path], references: Path | None = None) -> Matched:
    """Read one file of answers a contender (.jsonl, .json or .csv) and match their rows.

    Each row has an answer (`completion`, `answer`, `response`, `output` or `prediction`) and, to be matched, an `id`,
    `messages` or a `prompt` (`question`, `input`, `instruction`); rows that have none of these are matched by their
    place. A reference stands in a `reference` (`expected`, `target`, `gold`) column of any of the files, or in a
    file of its own, where it may also be called like an answer. Rows that not every file has are left out and counted.

    Raises:
        DataError: a file or a row cannot be read, two rows of one file are the same row, two files disagree about a
            reference, no row is in all files, `references` has none of them, or rows are matched by place and the
            files differ in length. All faults at once.
    """
    faults = _Faults()
    loaded = {name: _load(path, ANSWER_COLUMNS, faults) for name, path in files.items()}
    given = _load(references, (*REFERENCE_COLUMNS, *ANSWER_COLUMNS), faults) if references else []
    faults.raise_if_any()
    way = _way_of_matching([*loaded.values(), *([given] if given else [])])
    answers = {name: _answer_rows(rows, way, faults) for name, rows in loaded.items()}
    known = _references([*_keyed(given, way)], answers.values(), faults)
    faults.raise_if_any()
    if way == "place":
        _refuse_lengths({**loaded, **({"the references": given} if given else {})})
    matched = _match(answers, known, way)
    if references and not matched.num_references:
        raise DataError(
            f"{references}: none of its {len(given)} rows is one of the {len(matched.rows)} rows of the answers, "
            f"matched by {way}; give the same `id` to the same row in each file"
        )
    return matched


def read_for_rows(path: Path, rows: Sequence[Example]) -> list[Generation]:
    """One file of answers to rows that are known: matched by `id`, else by the prompt, which is the last user message
    or the whole conversation. Rows that the file does not answer stay unanswered.

    Raises:
        DataError: the file cannot be read, or an answer is to no row. All faults at once.
    """
    faults = _Faults()
    loaded = _load(path, ANSWER_COLUMNS, faults)
    faults.raise_if_any()
    way = _way_of_matching([loaded])
    if way == "place":
        raise DataError(
            f"{path}: its rows have neither an id nor a prompt, so which held-out rows they answer cannot be told; "
            f"add an `id` or one of messages, {', '.join(PROMPT_COLUMNS)}"
        )
    answers = _answer_rows(loaded, way, faults)
    faults.raise_if_any()
    known: dict[str, Example] = {}
    seen: Counter[str] = Counter()
    for row in rows:
        known[row.id] = row
        for prompt in {sha256_of_value(messages)[:16] for messages in (list(row.messages), [row.messages[-1]])}:
            seen[prompt] += 1
            known.setdefault(f"{prompt}-{seen[prompt]}", row)
    answered: dict[str, str] = {}
    for answer in answers.values():
        if answer.key not in known:
            faults.add(answer.source, f"answers no held-out row (matched by {way})")
        elif (first := answered.setdefault(known[answer.key].id, answer.source)) != answer.source:
            faults.add(answer.source, f"answers the same row as {first}; keep one of them")
    faults.raise_if_any()
    return [
        Generation(row.id, row.messages, answer.answer, answer.finish_reason, answer.num_tokens)
        for answer in answers.values()
        for row in (known[answer.key],)
    ]


def _load(path: Path, needed: Sequence[str], faults: _Faults) -> list[Row]:
    """All rows of a file; each should have one of the columns that are needed."""
    if path.is_dir():
        faults.add(str(path), "is a folder; name a file in it")
        return []
    rows, findings = load_rows(path, str(path))
    for finding in findings:
        if finding.severity == "error":
            faults.add(", ".join(finding.where[:3]), f"{finding.message}; {finding.advice}")
    some_ids = any(row.values.get("id") is not None for row in rows)
    for row in rows:
        for fault in _row_faults(row, needed, some_ids):
            faults.add(row.source, fault)
    return rows


def _row_faults(row: Row, needed: Sequence[str], some_ids: bool) -> Iterator[str]:
    values = row.values
    id, messages = values.get("id"), values.get("messages")
    if isinstance(id, bool) or not isinstance(id, (str, int, type(None))):
        yield f"the id is {shown(id)}; a text or a whole number is needed"
    elif id is None and some_ids:
        yield "no id, and other rows of the file have one; give one to every row or to none"
    if messages is not None and not _is_conversation(_parsed(messages)):
        yield f'messages is {shown(messages)}; needed: [{{"role": "user", "content": "…"}}, …]'
    if _first(values, needed) is None:
        yield _what_is_missing(row, needed)
    reason, tokens = _finish_reason(values), _num_tokens(values)
    if reason not in get_args(FinishReason):
        yield f"finish_reason is {shown(reason)}; allowed: {', '.join(get_args(FinishReason))}"
    if not tokens.isdecimal():
        yield f"num_tokens is {shown(values['num_tokens'])}; a whole number is needed"


def _what_is_missing(row: Row, needed: Sequence[str]) -> str:
    what = "answer" if needed == ANSWER_COLUMNS else "reference"
    if null := [name for name in needed if name in row.values]:
        return f'no {what}: {null[0]} is null; write "" where it is empty, or leave the row out'
    has = ", ".join(shown(name, 40) for name in row.values) or "no columns"
    header = " (a CSV file's first line names its columns)" if ".csv:" in row.source.lower() else ""
    return f"no {what}; it has {has}, one of {', '.join(needed)} is needed{header}"


def _finish_reason(values: Mapping[str, Any]) -> Any:
    return values.get("finish_reason") or "unknown"


def _num_tokens(values: Mapping[str, Any]) -> str:
    return str(values.get("num_tokens") or 0)


def _parsed(messages: Any) -> Any:
    """A CSV file holds them as JSON."""
    if not isinstance(messages, str):
        return messages
    try:
        return json.loads(messages)
    except (ValueError, RecursionError):
        return None


def _is_conversation(messages: Any) -> bool:
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(
            isinstance(message, dict) and all(isinstance(message.get(key), str) for key in ("role", "content"))
            for message in messages
        )
    )


def _refuse_lengths(files: Mapping[str, Sequence[Row]]) -> None:
    if len({len(rows) for rows in files.values()}) > 1:
        counts = ", ".join(f"{name} {len(rows)}" for name, rows in files.items())
        raise DataError(
            f"not all rows have an id, nor all a prompt, so only their places could match them, and the files differ "
            f"in length (rows: {counts}). Give the same `id` to the same row in each file."
        )


def _way_of_matching(files: Sequence[Sequence[Row]]) -> str:
    rows = [row.values for file in files for row in file]
    if all(row.get("id") is not None for row in rows):
        return "id"
    if all(any(row.get(name) is not None for name in ("messages", *PROMPT_COLUMNS)) for row in rows):
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
    if (messages := values.get("messages")) is not None:
        return [Message(role=message["role"], content=message["content"]) for message in _parsed(messages)]
    prompt = _first(values, PROMPT_COLUMNS)
    return [] if prompt is None else [Message(role="user", content=prompt)]


def _answer_rows(rows: Sequence[Row], way: str, faults: _Faults) -> dict[str, AnswerRow]:
    found: dict[str, AnswerRow] = {}
    for key, row in _keyed(rows, way):
        if key in found:
            faults.add(row.source, f"the id {shown(key)} stands twice, first at {found[key].source}; make ids unique")
        else:
            found[key] = _answer_row(key, row)
    return found


def _answer_row(key: str, row: Row) -> AnswerRow:
    values = row.values
    return AnswerRow(
        key,
        key if values.get("id") is None else str(values["id"]),
        tuple(_plain_messages(values)),
        _first(values, ANSWER_COLUMNS) or "",
        _first(values, REFERENCE_COLUMNS),
        _finish_reason(values),
        int(_num_tokens(values)),
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
        reference = _first(given_row.values, (*REFERENCE_COLUMNS, *ANSWER_COLUMNS)) or ""
        first = known.setdefault(key, (reference, given_row.source))
        if first[1] != given_row.source and first[0].strip() != reference.strip():
            faults.add(given_row.source, f"the same row has another reference at {first[1]}; keep the right one")
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
    left_out += _other_prompts(answers, common)
    ids = {key: first[key].id for key in common}
    if len(set(ids.values())) < len(ids):  # not matched by them, so they need not be unique
        ids = {key: key for key in common}
    messages = {
        key: next((rows[key].messages for rows in answers.values() if rows[key].messages), ()) for key in common
    }
    return Matched(
        [Example(ids[key], messages[key], references.get(key, "").strip(), first[key].source) for key in common],
        {
            name: [
                Generation(ids[key], messages[key], rows[key].answer, rows[key].finish_reason, rows[key].num_tokens)
                for key in common
            ]
            for name, rows in answers.items()
        },
        way,
        sum(key in references for key in common),
        tuple(left_out),
    )


def _other_prompts(answers: Mapping[str, Mapping[str, AnswerRow]], common: Sequence[str]) -> Iterable[str]:
    """Rows of one id whose questions differ: another prompt for the same task, or other rows altogether."""
    (first_name, first), *others = answers.items()
    for name, rows in others:
        count = sum(
            bool(first[key].messages and rows[key].messages) and first[key].messages[-1] != rows[key].messages[-1]
            for key in common
        )
        if count:
            yield f"{count} of {len(common)} rows have another last message in {name} than in {first_name}"
