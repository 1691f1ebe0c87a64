from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from relaytune.core.contract import Contract, NumberContract, label_span, read_answer

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "priority": {"enum": ["low", "normal", "urgent"]},
        "reason": {"type": "string", "minLength": 1},
    },
    "required": ["priority", "reason"],
    "additionalProperties": False,
}
TICKET = Contract(json_schema=SCHEMA, label="priority")


def test_an_answer_that_keeps_the_contract_passes_and_gives_its_label() -> None:
    answer = read_answer(TICKET, '\n {"priority": "urgent", "reason": "The shop is down."} \n')
    assert (answer.parses, answer.passes, answer.label, answer.problem) == (True, True, "urgent", "")
    assert answer.value == {"priority": "urgent", "reason": "The shop is down."}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("urgent", "not JSON"),
        ('Here it is: {"priority": "low", "reason": "r"}', "not JSON"),
        ('{"priority": "low", "reason": "r"} I hope this helps!', "Extra data"),
        ('```json\n{"priority": "low", "reason": "r"}\n```', "not JSON"),
        ('{"priority": "low", "reason": "r"', "not JSON"),
        ("{'priority': 'low', 'reason': 'r'}", "not JSON"),
        ('{"priority": "low", "priority": "urgent", "reason": "r"}', "key 'priority' stands twice"),
        ('{"priority": "low", "reason": NaN}', "NaN is not JSON"),
        ('{"priority": "low", "reason": -Infinity}', "-Infinity is not JSON"),
    ],
)
def test_an_answer_that_is_not_one_json_value_does_not_parse(text: str, problem: str) -> None:
    answer = read_answer(TICKET, text)
    assert (answer.parses, answer.passes, answer.value, answer.label) == (False, False, None, None)
    assert problem in answer.problem


@pytest.mark.parametrize(
    ("text", "label", "problem"),
    [
        ('{"priority": "high", "reason": "r"}', None, "$.priority: 'high' is not one of"),
        ('{"priority": "Urgent", "reason": "r"}', None, "$.priority: 'Urgent' is not one of"),
        ('{"priority": ["low"], "reason": "r"}', None, "$.priority: ['low'] is not one of"),
        ('{"priority": "low"}', "low", "'reason' is a required property"),
        ('{"priority": "low", "reason": ""}', "low", "$.reason"),
        ('{"priority": "low", "reason": "r", "team": "a"}', "low", "'team' was unexpected"),
        ('[{"priority": "low", "reason": "r"}]', None, "$: [{"),
        ("null", None, "None is not of type 'object'"),
    ],
)
def test_json_that_breaks_the_schema_parses_but_does_not_pass(text: str, label: str | None, problem: str) -> None:
    answer = read_answer(TICKET, text)
    assert (answer.parses, answer.passes, answer.label) == (True, False, label)
    assert problem in answer.problem


def test_every_fault_of_an_answer_is_named() -> None:
    answer = read_answer(TICKET, '{"priority": "high", "reason": 3}')
    assert "$.priority" in answer.problem
    assert "$.reason" in answer.problem


@pytest.mark.parametrize("depth", [50, 300, 900, 100_000])
def test_no_depth_of_nesting_breaks_the_reader(depth: int) -> None:
    nested = Contract(json_schema={"type": "array", "items": {"$ref": "#"}})
    answer = read_answer(nested, "[" * depth + "]" * depth)
    assert answer.passes or "nested too deeply" in answer.problem
    assert answer.passes or depth > 50


@pytest.mark.parametrize("number", ["1e999", "1" * 400, "1" * 5000])
def test_no_size_of_a_number_breaks_the_reader(number: str) -> None:
    answer = read_answer(Contract(json_schema={"multipleOf": 0.5}), number)
    assert not answer.passes
    assert answer.problem


@pytest.mark.parametrize(
    ("text", "passes"), [(" yes\n", True), ("no", True), ("Yes", False), ("yes.", False), ("", False)]
)
def test_a_label_is_given_exactly_or_not_at_all(text: str, passes: bool) -> None:
    answer = read_answer(Contract(labels=("yes", "no")), text)
    assert answer.passes is passes
    assert answer.label == (text.strip() if passes else None)
    assert passes or "is not one of the 2 allowed labels" in answer.problem


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("AB-12", True),
        ("AB-12\n", True),
        ("It is AB-12", False),
        ("AB-12, I think", False),
        ("AB-1", False),
        ("", False),
    ],
)
def test_a_regex_matches_the_whole_answer(text: str, passes: bool) -> None:
    answer = read_answer(Contract(regex=r"[A-Z]{2}-\d{2}"), text)
    assert answer.passes is passes
    assert passes or "does not match" in answer.problem


def test_free_text_passes_unless_it_is_empty() -> None:
    contract = Contract(free_text="polite and short")
    assert read_answer(contract, "Dear customer").passes
    blank = read_answer(contract, " \n ")
    assert not blank.passes
    assert blank.problem == "the answer is empty"


GSM = Contract.model_validate({"number": {"after": "####"}})


def test_a_number_behind_its_mark_passes_whatever_is_written_before_it() -> None:
    answer = read_answer(GSM, " 3 * 6 = 18, so she makes $18.\n#### 18\n")
    assert (answer.parses, answer.passes, answer.value, answer.problem) == (True, True, "18", "")


def test_a_number_without_its_mark_is_read_but_does_not_pass() -> None:
    answer = read_answer(GSM, "She makes $1,018.50.")
    assert (answer.parses, answer.passes, answer.value, answer.label) == (True, False, "2037/2", None)
    assert answer.problem == "no '####' before the number"


def test_an_answer_without_a_number_does_not_parse() -> None:
    for contract in (GSM, Contract(number=NumberContract())):
        answer = read_answer(contract, "a dozen")
        assert (answer.parses, answer.passes, answer.value, answer.number) == (False, False, None, None)
        assert "no number" in answer.problem


@pytest.mark.parametrize(
    ("tolerances", "number", "expected", "agrees"),
    [
        ({}, "1/2", "0.5", True),
        ({}, "1/3", "0.3333", False),
        ({"tolerance": 0.1}, "0.8", "0.7", True),  # which binary fractions would refuse
        ({"tolerance": 0.1}, "0.81", "0.7", False),
        ({"relative_tolerance": 0.01}, "-101", "-100", True),
        ({"relative_tolerance": 0.01}, "-102", "-100", False),
        ({"tolerance": 5, "relative_tolerance": 0.01}, "104", "100", True),
    ],
)
def test_a_number_agrees_within_the_larger_tolerance(
    tolerances: dict[str, float], number: str, expected: str, agrees: bool
) -> None:
    contract = NumberContract.model_validate(tolerances)
    assert contract.agrees(Fraction(number), Fraction(expected)) is agrees


def test_a_long_answer_is_shortened_in_the_problem() -> None:
    answer = read_answer(Contract(labels=("yes", "no")), "well " * 1000)
    assert len(answer.problem) < 250


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "exactly one of json_schema, labels, regex, number, free_text; found none"),
        ({"regex": "a", "labels": ["a", "b"]}, "found labels, regex"),
        ({"number": {}, "free_text": "a"}, "found number, free_text"),
        ({"number": {"tolerance": -1}}, "greater than or equal to 0"),
        ({"number": {"relative_tolerance": 1}}, "less than 1"),
        ({"number": {"after": ""}}, "at least 1 character"),
        ({"json_schema": {"type": "objekt"}}, "not a valid JSON Schema: 'objekt'"),
        ({"json_schema": {"properties": {"a": {"pattern": "("}}}}, "not a valid JSON Schema"),
        ({"json_schema": {"properties": {"a": {"$ref": "#/$defs/no"}}}}, "'#/$defs/no' leads nowhere"),
        ({"json_schema": {"items": [{}]}}, "not a valid JSON Schema"),
        ({"json_schema": {"items": {"$ref": "https://example.org/a.json"}}}, "nothing is fetched"),
        ({"regex": "(a"}, "regex does not compile"),
        ({"labels": ["yes"]}, "at least two different labels"),
        ({"labels": ["yes", "no", "yes"]}, "each once"),
        ({"labels": ["yes", "no"], "label": "yes"}, "needs a field of that name"),
        ({"json_schema": SCHEMA, "label": "reason"}, "'reason' needs a field of that name with an enum"),
        ({"json_schema": SCHEMA, "label": "team"}, "'team' needs a field of that name with an enum"),
        (
            {"json_schema": {"properties": {"stars": {"enum": [1, 2]}}}, "label": "stars"},
            "an enum of texts",
        ),
    ],
)
def test_a_contract_that_could_not_be_applied_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Contract.model_validate(values)
    assert message in str(caught.value)


def test_a_schema_may_refer_to_its_own_parts() -> None:
    contract = Contract(
        json_schema={
            "$defs": {"word": {"type": "string", "$anchor": "word"}},
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/word"}, "b": {"$ref": "#word"}, "$ref": {"const": "c"}},
        }
    )
    assert read_answer(contract, '{"a": "x", "b": "y", "$ref": "c"}').passes
    assert "$.b" in read_answer(contract, '{"b": 1}').problem


def test_a_reference_is_looked_up_in_the_part_that_has_its_own_id() -> None:
    part = {"$id": "https://example.org/part", "$defs": {"word": {"type": "string"}}, "$ref": "#/$defs/word"}
    contract = Contract(json_schema={"properties": {"a": part}})
    assert read_answer(contract, '{"a": "x"}').passes
    assert not read_answer(contract, '{"a": 1}').passes


def test_a_contract_knows_its_kind_and_its_labels() -> None:
    assert (TICKET.kind, TICKET.allowed_labels) == ("json_schema", ("low", "normal", "urgent"))
    assert Contract(json_schema=SCHEMA).allowed_labels == ()
    labels = Contract(labels=("yes", "no"))
    assert (labels.kind, labels.allowed_labels) == ("labels", ("yes", "no"))
    assert (Contract(regex="a").kind, Contract(free_text="a").kind) == ("regex", "free_text")
    assert (GSM.kind, GSM.allowed_labels) == ("number", ())


@pytest.mark.parametrize(
    ("completion", "marked"),
    [
        ('{"priority": "low", "reason": "it says \\"priority\\": \\"high\\""}', "low"),
        ('{"reason": "\\"priority\\": \\"low\\"", "priority":"high"}', "high"),
        ('{"priority" :\n "très haute"}', "très haute"),
        (r'{"priority": "tr\u00e8s haute"}', r"tr\u00e8s haute"),
        ('{"priority": "nobody knows"}', ""),
        ("no JSON", ""),
    ],
)
def test_the_label_is_found_where_it_stands_however_it_is_written(completion: str, marked: str) -> None:
    schema = {"properties": {"priority": {"enum": ["low", "high", "très haute"]}}}
    begin, end = label_span(Contract(json_schema=schema, label="priority"), completion)
    assert completion[begin:end] == marked


def test_a_bare_label_is_the_whole_answer_and_other_contracts_have_none() -> None:
    assert label_span(Contract(labels=("yes", "no")), "yes") == (0, 3)
    assert label_span(Contract(regex=".*"), "yes") == (0, 0)
