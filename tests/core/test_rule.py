from __future__ import annotations

import pytest
from pydantic import ValidationError

from relaytune.core.rule import Clause, DecisionRule, parse_clause


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        (
            "tuned beats best_prompt on label_accuracy",
            ("tuned", "label_accuracy", "beats", "best_prompt", None),
        ),
        ("base beats tuned on parses", ("base", "parses", "beats", "tuned", None)),
        ("tuned label_accuracy at least 0.70", ("tuned", "label_accuracy", "at_least", None, 0.7)),
        ("few_shot contract_pass at most .5", ("few_shot", "contract_pass", "at_most", None, 0.5)),
        ("tuned contract_pass at least 1", ("tuned", "contract_pass", "at_least", None, 1.0)),
    ],
)
def test_a_sentence_is_read(text: str, clause: tuple[object, ...]) -> None:
    read = parse_clause(text)
    assert (read.contender, read.metric, read.kind, read.other, read.threshold) == clause
    assert read.text == text


def test_white_space_in_a_sentence_does_not_count() -> None:
    assert parse_clause("  tuned  contract_pass\n at least 0.9 ") == parse_clause("tuned contract_pass at least 0.9")


@pytest.mark.parametrize(
    "value",
    [
        "tuned is better",
        "tuned beats best_prompt",
        "exported beats base on label_accuracy",
        "tuned label_accuracy at least 70%",
        "tuned label_accuracy at least -0.1",
        "tuned label_accuracy at least nan",
        "tuned label_accuracy above 0.7",
        "tuned beats base on label_accuracy.",
        "Tuned beats base on label_accuracy",
        "",
        0.7,
        None,
        {"tuned": "beats base on label_accuracy"},
    ],
)
def test_a_sentence_that_is_not_understood_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match="not understood; write 'tuned beats best_prompt on label_accuracy'"):
        parse_clause(value)


def test_a_contender_is_not_compared_with_itself() -> None:
    with pytest.raises(ValueError, match="compares tuned with itself"):
        parse_clause("tuned beats tuned on label_accuracy")


def test_a_rate_above_1_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        parse_clause("tuned label_accuracy at least 1.5")


def test_a_rule_without_a_condition_for_keeping_is_refused() -> None:
    with pytest.raises(ValidationError):
        DecisionRule.model_validate({"keep_when": []})


def test_a_rule_read_from_its_own_json_is_the_same_rule() -> None:
    rule = DecisionRule.model_validate(
        {
            "keep_when": ["tuned  beats base on label_accuracy"],
            "discard_when": ["tuned contract_pass at most 0.5"],
        }
    )
    written = rule.model_dump(mode="json")
    assert written["keep_when"] == ["tuned beats base on label_accuracy"]
    assert DecisionRule.model_validate(written) == rule
    assert DecisionRule.model_validate(written).hash == rule.hash


def test_any_other_threshold_or_role_is_another_rule() -> None:
    keep, discard = "tuned beats base on label_accuracy", "tuned contract_pass at most 0.5"
    rules = [
        {"keep_when": [keep], "discard_when": [discard]},
        {"keep_when": [keep], "discard_when": ["tuned contract_pass at most 0.6"]},
        {"keep_when": [keep, discard]},
    ]
    assert len({DecisionRule.model_validate(rule).hash for rule in rules}) == 3


def test_a_clause_is_accepted_as_it_is() -> None:
    clause = Clause("tuned parses at least 1", "tuned", "parses", "at_least", threshold=1.0)
    assert parse_clause(clause) is clause
