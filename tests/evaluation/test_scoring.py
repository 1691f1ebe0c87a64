from __future__ import annotations

import json
import math
from typing import Any

import pytest

from relaytune.core.contract import Contract
from relaytune.core.errors import RunError
from relaytune.core.records import Example, Generation, Score
from relaytune.evaluation.scoring import score

TICKET = Contract.model_validate(
    {
        "json_schema": {
            "type": "object",
            "properties": {"priority": {"enum": ["low", "high"]}, "reason": {"type": "string"}},
            "required": ["priority", "reason"],
            "additionalProperties": False,
        },
        "label": "priority",
    }
)
LABELS = Contract(labels=("refund", "shipping", "other"))
AMOUNT = Contract(json_schema={"type": "object", "required": ["amount"]})
DATE = Contract(regex=r"\d{4}-\d{2}-\d{2}")


def _example(completion: str, text: str = "a question") -> Example:
    return Example.of([{"role": "user", "content": text}], completion, "rows.jsonl:1")


def _answer(example: Example, completion: str, label_log_probs: dict[str, float] | None = None) -> Generation:
    return Generation(example.id, example.messages, completion, "stop", 3, label_log_probs)


def _score_one(
    contract: Contract, expected: str, given: str, label_log_probs: dict[str, float] | None = None
) -> dict[str, Score]:
    example = _example(expected)
    rows = score(contract, [example], [_answer(example, given, label_log_probs)], "tuned")
    return {row.scorer: row for row in rows}


def _ticket(**values: Any) -> str:
    return json.dumps(values)


def test_a_good_answer_is_right_in_everything() -> None:
    scores = _score_one(
        TICKET,
        _ticket(priority="low", reason="a"),
        _ticket(reason="b", priority="low"),
        {"low": -0.1, "high": -2.0},
    )
    assert {name: row.value for name, row in scores.items()} == {
        "parses": 1,
        "contract_pass": 1,
        "label_accuracy": 1,
        "likeliest_label_accuracy": 1,
    }


def test_a_label_in_an_answer_that_breaks_the_contract_still_counts_as_a_judgement() -> None:
    scores = _score_one(TICKET, _ticket(priority="low", reason="a"), _ticket(priority="low"))
    assert scores["contract_pass"].value == 0
    assert "reason" in scores["contract_pass"].reason
    assert scores["label_accuracy"].value == 1


def test_an_answer_without_a_readable_label_is_wrong_and_says_so() -> None:
    scores = _score_one(LABELS, "refund", "I think this is a refund")
    assert (scores["label_accuracy"].value, scores["label_accuracy"].reason) == (0, "no label")


def test_a_number_is_right_however_it_is_written() -> None:
    contract = Contract.model_validate({"number": {"after": "####"}})
    scores = _score_one(contract, "40 * 30 = 1200\n#### 1200", "30 times 40 gives $1,200.00")
    assert {name: row.value for name, row in scores.items()} == {"contract_pass": 0, "numeric_match": 1}
    wrong = _score_one(contract, "#### 1200", "so\n#### 1,250")
    assert {name: row.value for name, row in wrong.items()} == {"contract_pass": 1, "numeric_match": 0}
    assert wrong["numeric_match"].reason == "1250 instead of 1200"


def test_an_answer_without_a_number_is_wrong_and_a_row_without_one_is_unscored() -> None:
    contract = Contract.model_validate({"number": {"tolerance": 1}})
    given = _score_one(contract, "12", "twelve")["numeric_match"]
    assert (given.value, given.reason) == (0, "no number in the answer")
    assert _score_one(contract, "12", "13 eggs")["numeric_match"].value == 1
    faulty = _score_one(contract, "a dozen", "12")["numeric_match"]
    assert faulty.value is None
    assert "the row's own completion: no number" in faulty.reason


def test_without_saved_probabilities_the_likeliest_label_is_unscored_never_wrong() -> None:
    row = _score_one(LABELS, "refund", "refund")["likeliest_label_accuracy"]
    assert row.value is None
    assert row.reason == "no label probabilities saved"


def test_a_tie_of_the_two_likeliest_labels_is_unscored() -> None:
    log_probs = {"refund": -1.0, "shipping": -1.0, "other": -3.0}
    row = _score_one(LABELS, "refund", "refund", log_probs)["likeliest_label_accuracy"]
    assert row.value is None
    assert row.reason == "refund and shipping are equally likely"


def test_a_tie_below_the_likeliest_label_does_not_matter() -> None:
    log_probs = {"refund": -1.0, "shipping": -3.0, "other": -3.0}
    assert _score_one(LABELS, "refund", "x", log_probs)["likeliest_label_accuracy"].value == 1


@pytest.mark.parametrize(
    "log_probs",
    [{"refund": -1.0, "other": -2.0}, {"refund": -1.0, "other": -2.0, "shipping": math.nan}],
)
def test_probabilities_that_are_not_one_number_per_label_are_unscored(log_probs: dict[str, float]) -> None:
    assert _score_one(LABELS, "refund", "refund", log_probs)["likeliest_label_accuracy"].value is None


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ('{"note": [1, 2], "amount": 1.0}', 1),
        ('{"amount": 1, "note": [2, 1]}', 0),
        ('{"amount": true, "note": [1, 2]}', 0),
        ('{"amount": 1}', 0),
        ("one", 0),
    ],
)
def test_json_matches_by_value_whatever_the_order_of_its_keys(given: str, value: float) -> None:
    assert _score_one(AMOUNT, '{"amount": 1, "note": [1, 2]}', given)["exact_match"].value == value


def test_text_matches_but_for_white_space_around_it() -> None:
    assert _score_one(DATE, "2024-05-01", " 2024-05-01\n")["exact_match"].value == 1
    assert _score_one(DATE, "2024-05-01", "2024-05-02")["exact_match"].value == 0


def test_a_row_whose_own_completion_cannot_be_read_is_unscored() -> None:
    assert _score_one(AMOUNT, "not json", '{"amount": 1}')["exact_match"].value is None
    row = _score_one(LABELS, "Refund!", "refund")["label_accuracy"]
    assert row.value is None
    assert "rows.jsonl:1" in row.reason


def test_a_missing_answer_is_unscored_in_every_metric() -> None:
    answered, unanswered = _example("refund", "a"), _example("other", "b")
    rows = score(LABELS, [answered, unanswered], [_answer(answered, "refund")], "tuned")
    assert [(row.scorer, row.value, row.reason) for row in rows if row.id == unanswered.id] == [
        ("contract_pass", None, "no answer"),
        ("label_accuracy", None, "no answer"),
        ("likeliest_label_accuracy", None, "no answer"),
    ]


def test_foreign_and_repeated_answers_are_refused_together_by_id() -> None:
    example, foreign = _example("refund"), _example("other", "another question")
    answers = [_answer(example, "refund"), _answer(example, "other"), _answer(foreign, "other")]
    with pytest.raises(RunError) as error:
        score(LABELS, [example], answers, "tuned")
    assert f"1 answered more than once: {example.id}" in str(error.value)
    assert f"1 of no row of these examples: {foreign.id}" in str(error.value)
