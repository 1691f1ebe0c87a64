"""From a row to an example: the recipe's templates filled in, or the row's own messages."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from relaytune.core.recipe import Recipe
from relaytune.core.records import Example, Finding, Message
from relaytune.core.sections import JsonCompletion
from relaytune.data.loading import Row, shown

_BRACES = re.compile(r"\{([^{}]+)\}")
# what reads like the name of a column; other text in braces is left alone unless a column is called so
_NAME = re.compile(r"[^\W\d][\w .-]*")
_MESSAGES_SHAPE = (
    "rows without task.input hold `messages`: an optional system message, then user and assistant in turn; "
    "the last is the assistant's, or the user's with a `completion` text beside `messages`"
)


class _Faults:
    """The faults of one row."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.findings: list[Finding] = []

    def add(self, check: str, message: str, advice: str) -> None:
        self.findings.append(Finding("error", check, message, (self.source,), advice))


def render(row: Row, recipe: Recipe) -> tuple[Example | None, list[Finding]]:
    """Make an example of a row: None and its errors, or the example and a note where white space was cut.

    With `task.input`, `{column}` in input and completion stands for the row's value: a text as it is, any
    other value as JSON. Without it the row holds `messages`. White space around the completion is stripped.
    """
    faults = _Faults(row.source)
    if recipe.task.input is None:
        messages, completion = _conversation(row.values, faults)
    else:
        messages = _prompt(row.values, recipe.task.instruction, recipe.task.input, faults)
        completion = _completion(row.values, recipe.task.completion, faults)
    if faults.findings:
        return None, faults.findings
    example = Example.of(messages, completion.strip(), row.source)
    if example.completion == completion:
        return example, []
    message = f"white space around the completion was stripped: {shown(completion)}"
    return example, [Finding("note", "completion_white_space", message, (row.source,))]


def literal_ends(template: str) -> tuple[str, str]:
    """The recipe's own words before the first and after the last `{column}` of a template."""
    pieces = _BRACES.split(template)
    return (pieces[0], pieces[-1]) if len(pieces) > 1 else ("", "")


def _prompt(values: Mapping[str, Any], instruction: str, template: str, faults: _Faults) -> list[Message]:
    text = _fill(template, values, "task.input", "empty_input", faults)
    messages = [Message(role="user", content=text)]
    return [Message(role="system", content=instruction), *messages] if instruction.strip() else messages


def _completion(values: Mapping[str, Any], template: str | JsonCompletion | None, faults: _Faults) -> str:
    if not isinstance(template, JsonCompletion):
        return _fill(template or "", values, "task.completion", "empty_completion", faults)
    columns = (template.columns,) if isinstance(template.columns, str) else template.columns
    for column in columns:
        if column not in values:
            _missing(column, values, "task.completion", faults)
    if faults.findings:
        return ""
    if isinstance(template.columns, str):
        return json.dumps(values[template.columns], ensure_ascii=False)
    return json.dumps({column: values[column] for column in columns}, ensure_ascii=False)


def _fill(template: str, values: Mapping[str, Any], key: str, empty_check: str, faults: _Faults) -> str:
    """The template with the row's values in it; what goes wrong is added to `faults`."""
    num_faults = len(faults.findings)
    filled: list[str] = []

    def value_of(match: re.Match[str]) -> str:
        column = match[1]
        if column not in values:
            if not _NAME.fullmatch(column):
                return match[0]
            _missing(column, values, key, faults)
            return ""
        value = values[column]
        if value is None:
            advice = f"give {column!r} a value in every row"
            faults.add("null_value", f"{key} names {column!r}, which is null in this row", advice)
            return ""
        filled.append(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        return filled[-1]

    text = _BRACES.sub(value_of, template)
    is_empty = not text.strip() or (bool(filled) and not "".join(filled).strip())
    if is_empty and len(faults.findings) == num_faults:
        columns = ", ".join(repr(column) for column in _BRACES.findall(template) if column in values)
        faults.add(empty_check, f"{key} is empty for this row", f"fill {columns or key}, or remove the row")
    return text


def _missing(column: str, values: Mapping[str, Any], key: str, faults: _Faults) -> None:
    faults.findings.append(missing_column(column, Row(dict(values), faults.source), key))


def missing_column(column: str, row: Row, key: str) -> Finding:
    """The fault of a row that lacks a column which the recipe's `key` names."""
    values = row.values
    close = difflib.get_close_matches(column, values, n=1, cutoff=0.5)
    nearest = f"; did you mean {close[0]!r}?" if close else ""
    has = ", ".join(shown(name, 40) for name in values) or "no columns"
    message = f"{key} names {column!r}, which the row does not have (it has {has}){nearest}"
    return Finding("error", "missing_column", message, (row.source,), f"add {column!r} to every row, or correct {key}")


def _conversation(values: Mapping[str, Any], faults: _Faults) -> tuple[list[Message], str]:
    messages = _messages(values, faults)
    if faults.findings:
        return [], ""
    completion = values.get("completion")
    if messages[-1]["role"] == "assistant":
        if completion is not None:
            message = f"the last message is the assistant's, and there is a completion too: {shown(completion)}"
            faults.add("wrong_messages", message, "remove one of the two")
        return messages[:-1], messages[-1]["content"]
    if completion is None:
        faults.add("missing_completion", "the last message is the user's and no answer follows", _MESSAGES_SHAPE)
    elif not isinstance(completion, str):
        message = f"completion is not a text: {shown(completion)}"
        faults.add("wrong_messages", message, "write the completion as a text; JSON too goes in quotes")
    elif not completion.strip():
        faults.add("empty_completion", "completion is empty", "fill completion, or remove the row")
    return messages, completion if isinstance(completion, str) else ""


def _messages(values: Mapping[str, Any], faults: _Faults) -> list[Message]:
    given = values.get("messages")
    if not isinstance(given, list) or not given:
        columns = ", ".join(shown(name, 40) for name in values) or "no columns"
        found = f"messages is {shown(given)}" if "messages" in values else f"no messages; the row has {columns}"
        faults.add("wrong_messages", found, "give task.input and task.completion, or " + _MESSAGES_SHAPE)
        return []
    messages: list[Message] = []
    for place, message in enumerate(given):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            found = f"messages[{place}] is {shown(message)}"
            faults.add("wrong_messages", found, "a message has `role` and `content` and nothing else")
        elif not isinstance(message["content"], str):
            found = f"messages[{place}].content is not a text: {shown(message['content'])}"
            faults.add("wrong_messages", found, "write content as a text")
        else:
            if not message["content"].strip():
                _empty_message(message["role"], place, is_last=place == len(given) - 1, faults=faults)
            messages.append(Message(role=message["role"], content=message["content"]))
    if not faults.findings:
        _check_roles([message["role"] for message in messages], faults)
    return messages


def _empty_message(role: str, place: int, is_last: bool, faults: _Faults) -> None:
    check = "empty_completion" if role == "assistant" and is_last else "empty_input"
    faults.add(check, f"messages[{place}] ({role}) is empty", "fill the message, or remove the row")


def _check_roles(roles: list[str], faults: _Faults) -> None:
    turns = roles[1:] if roles[0] == "system" else roles
    expected = ["user", "assistant"] * len(turns)
    if not turns or turns != expected[: len(turns)]:
        faults.add("wrong_messages", f"the roles are {', '.join(map(str, roles))}", _MESSAGES_SHAPE)
