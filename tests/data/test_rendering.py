from __future__ import annotations

import json
from typing import Any

import pytest
from data_files import recipe_of

from relaytune.core.records import Example, Finding
from relaytune.data.loading import Row
from relaytune.data.rendering import literal_ends, render


def rendered(values: dict[str, Any], **task: Any) -> Example:
    example, findings = render(Row(values, "rows.jsonl:1"), recipe_of(task=task))
    assert example is not None, findings
    return example


def faults(values: dict[str, Any], **task: Any) -> list[Finding]:
    example, findings = render(Row(values, "rows.jsonl:1"), recipe_of(task=task))
    assert example is None
    assert all(f.severity == "error" and f.where == ("rows.jsonl:1",) for f in findings)
    return findings


def test_columns_stand_in_input_and_completion_and_the_instruction_is_the_system_message() -> None:
    example = rendered(
        {"title": "No sound", "body": "since Monday", "label": "high"},
        instruction="Sort.",
        input="{title}: {body}",
        completion="{label}",
    )
    assert example.messages == (
        {"role": "system", "content": "Sort."},
        {"role": "user", "content": "No sound: since Monday"},
    )
    assert (example.completion, example.source) == ("high", "rows.jsonl:1")


def test_without_an_instruction_there_is_no_system_message() -> None:
    assert [m["role"] for m in rendered({"a": "x"}, input="{a}", completion="{a}").messages] == ["user"]


def test_braces_that_are_no_column_are_left_alone() -> None:
    example = rendered({"a": "x", "b": "{a} {c}"}, input='{} { } {3} {"k": "{a}"} {b}', completion='{"label": "{a}"}')
    assert example.messages[0]["content"] == '{} { } {3} {"k": "x"} {a} {c}'
    assert example.completion == '{"label": "x"}'


def test_a_column_with_an_unusual_name_is_found() -> None:
    values = {"Text (en)?": "x", "3": "y", "Ticket Text": "z"}
    example = rendered(values, input="{Text (en)?} {3} {Ticket Text}", completion="{3}")
    assert example.messages[0]["content"] == "x y z"


def test_values_that_are_no_text_are_written_as_json() -> None:
    values = {"n": 3, "x": 0.5, "yes": True, "many": ["é", 1], "a": "y"}
    example = rendered(values, input="{n} {x} {yes} {many}", completion="{a}")
    assert example.messages[0]["content"] == '3 0.5 true ["é", 1]'


def test_a_json_completion_keeps_the_order_of_its_columns() -> None:
    values = {"a": "x", "reason": "très “urgent”", "priority": "high", "score": 2, "none": None}
    example = rendered(values, input="{a}", completion={"json": ["priority", "reason", "score", "none"]})
    assert example.completion == '{"priority": "high", "reason": "très “urgent”", "score": 2, "none": null}'


def test_a_json_completion_of_one_column_is_that_value() -> None:
    answer = {"b": [1, None], "a": "é"}
    example = rendered({"a": "x", "answer": answer}, input="{a}", completion={"json": "answer"})
    assert json.loads(example.completion) == answer
    assert "é" in example.completion


def test_every_missing_column_is_named_with_the_columns_that_there_are() -> None:
    findings = faults({"tikcet": "x", "id": 1}, input="{ticket} {client}", completion={"json": ["label"]})
    assert [finding.check for finding in findings] == ["missing_column"] * 3
    assert "'ticket'" in findings[0].message
    assert "it has 'tikcet', 'id'" in findings[0].message
    assert "did you mean 'tikcet'?" in findings[0].message
    assert "'client'" in findings[1].message
    assert "task.completion names 'label'" in findings[2].message


def test_a_null_is_an_error_in_a_template() -> None:
    findings = faults({"a": None, "b": None}, input="{a}", completion="{b}")
    assert [finding.check for finding in findings] == ["null_value", "null_value"]


def test_empty_input_and_empty_completion_are_both_reported() -> None:
    findings = faults({"a": " ", "b": ""}, input="Ticket: {a}", completion="{b}")
    assert [finding.check for finding in findings] == ["empty_input", "empty_completion"]


def test_one_empty_column_beside_a_full_one_is_no_fault() -> None:
    example = rendered({"title": "", "body": "x"}, input="{title}\n{body}", completion="{body}")
    assert example.messages[0]["content"] == "\nx"


def test_white_space_around_the_completion_is_stripped_and_noted() -> None:
    example, findings = render(
        Row({"a": " x ", "b": " low\n"}, "rows.jsonl:4"),
        recipe_of(task={"input": "{a}", "completion": "{b}"}),
    )
    assert example is not None
    assert (example.messages[0]["content"], example.completion) == (" x ", "low")
    assert [(f.severity, f.check, f.where) for f in findings] == [("note", "completion_white_space", ("rows.jsonl:4",))]


def turn(role: Any, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def test_messages_may_end_with_the_answer_or_have_it_beside_them() -> None:
    prompt = [turn("system", "s"), turn("user", "a"), turn("assistant", "b"), turn("user", "c")]
    ended = rendered({"messages": [*prompt, turn("assistant", "d")]})
    beside = rendered({"messages": prompt, "completion": "d"})
    assert ended == beside
    assert list(ended.messages) == prompt
    assert ended.completion == "d"


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "a", "completion": "b"},
        {"messages": []},
        {"messages": "a"},
        {"messages": [turn("user", "a"), turn("user", "b")], "completion": "c"},
        {"messages": [turn("assistant", "a"), turn("user", "b")], "completion": "c"},
        {"messages": [turn("assistant", "a")]},
        {"messages": [turn("system", "a")], "completion": "c"},
        {"messages": [turn("user", "a"), turn("system", "b")], "completion": "c"},
        {"messages": [turn("human", "a"), turn("gpt", "b")]},
        {"messages": [turn(None, "a")], "completion": "c"},
        {"messages": [turn(["user"], "a")], "completion": "c"},
        {"messages": [turn("user", [{"type": "text"}])], "completion": "c"},
        {"messages": [turn("user", "a", tool_calls=[])], "completion": "c"},
        {"messages": [{"role": "user"}], "completion": "c"},
        {"messages": ["a"], "completion": "c"},
        {"messages": [turn("user", "a")], "completion": {"label": "c"}},
        {"messages": [turn("user", "a"), turn("assistant", "b")], "completion": "c"},
    ],
)
def test_messages_of_another_shape_are_refused(values: dict[str, Any]) -> None:
    assert [finding.check for finding in faults(values)] == ["wrong_messages"]


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ({"messages": [turn("user", "a")]}, "missing_completion"),
        ({"messages": [turn("user", "a")], "completion": "  "}, "empty_completion"),
        ({"messages": [turn("user", "a"), turn("assistant", "")]}, "empty_completion"),
        ({"messages": [turn("user", ""), turn("assistant", "b")]}, "empty_input"),
    ],
)
def test_messages_without_text_are_refused(values: dict[str, Any], check: str) -> None:
    assert [finding.check for finding in faults(values)] == [check]


def test_the_literal_ends_of_a_template_are_what_stands_around_its_columns() -> None:
    assert literal_ends("Sort this: {a} and {b}.") == ("Sort this: ", ".")
    assert literal_ends("no column") == ("", "")
