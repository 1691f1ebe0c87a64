from __future__ import annotations

import pytest
from pydantic import ValidationError

from relaytune.core.rule import Clause, DecisionRule, parse_clause


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        (
            "tuned beats best_prompt on label_accuracy",
            ("tuned", ("label_accuracy",), "beats", "best_prompt", None),
        ),
        ("base beats tuned on parses", ("base", ("parses",), "beats", "tuned", None)),
        (
            "tuned beats base on clarity or preference or rouge_l",
            ("tuned", ("clarity", "preference", "rouge_l"), "beats", "base", None),
        ),
        ("gpt4 beats tuned on preference", ("gpt4", ("preference",), "beats", "tuned", None)),
        ("tuned label_accuracy at least 0.70", ("tuned", ("label_accuracy",), "at_least", None, 0.7)),
        ("few_shot contract_pass at most .5", ("few_shot", ("contract_pass",), "at_most", None, 0.5)),
        ("tuned contract_pass at least 1", ("tuned", ("contract_pass",), "at_least", None, 1.0)),
        ("tuned clarity at least 3.5", ("tuned", ("clarity",), "at_least", None, 3.5)),
        ("tuned warmth at most -1", ("tuned", ("warmth",), "at_most", None, -1.0)),
        ("tuned no worse than base on parses within 0.05", ("tuned", ("parses",), "no_worse", "base", 0.05)),
        ("tuned is no worse than base on rouge_l within .1", ("tuned", ("rouge_l",), "no_worse", "base", 0.1)),
        ("contract_pass falls", ("tuned", ("contract_pass",), "falls", "best_prompt", None)),
        ("tuned contract_pass falls", ("tuned", ("contract_pass",), "falls", "best_prompt", None)),
        ("factual errors rise", ("tuned", ("factual_errors",), "rises", "best_prompt", None)),
        ("factual_errors rises by more than 0.1", ("tuned", ("factual_errors",), "rises", "best_prompt", 0.1)),
        ("general_right falls by more than .02", ("tuned", ("general_right",), "falls", "best_prompt", 0.02)),
    ],
)
def test_a_sentence_is_read(text: str, clause: tuple[object, ...]) -> None:
    read = parse_clause(text)
    assert (read.contender, read.metrics, read.kind, read.other, read.threshold) == clause
    assert read.text == text


def test_best_prompt_may_be_written_as_two_words_and_is_the_same_sentence() -> None:
    sentence = "tuned beats best prompt on label_accuracy"
    assert parse_clause(sentence) == parse_clause("tuned beats best_prompt on label_accuracy")
    assert parse_clause("best prompt no worse than tuned on parses within 0.1").contender == "best_prompt"


def test_white_space_in_a_sentence_does_not_count() -> None:
    assert parse_clause("  tuned  contract_pass\n at least 0.9 ") == parse_clause("tuned contract_pass at least 0.9")


@pytest.mark.parametrize(
    "value",
    [
        "tuned is better",
        "tuned beats best_prompt",
        "tuned beats base on label_accuracy and parses",
        "tuned beats base on label_accuracy or",
        "tuned beats base and few_shot on parses",
        "tuned label_accuracy at least 70%",
        "tuned label_accuracy at least nan",
        "tuned label_accuracy at least 1e-1",
        "tuned label_accuracy above 0.7",
        "tuned beats base on label_accuracy.",
        "tuned beat base on label_accuracy",
        "tuned no worse than base on parses",
        "tuned not worse than base on parses within 0.05",
        "tuned no worse than base on parses within 5%",
        "tuned no worse than base on parses or rouge_l within 0.05",
        "contract_pass fell",
        "contract_pass falls by 0.1",
        "contract_pass falls by more than 10%",
        "falls",
        "",
        0.7,
        None,
        {"tuned": "beats base on label_accuracy"},
    ],
)
def test_a_sentence_that_is_not_understood_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match="not understood; write 'tuned beats best_prompt on label_accuracy'"):
        parse_clause(value)


@pytest.mark.parametrize(
    "sentence", ["tuned beats tuned on label_accuracy", "tuned no worse than tuned on parses within 0.1"]
)
def test_a_contender_is_not_compared_with_itself(sentence: str) -> None:
    with pytest.raises(ValueError, match="compares tuned with itself"):
        parse_clause(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "tuned no worse than base on parses within 0",
        "tuned no worse than base on parses within -0.1",
        "parses falls by more than 0",
        "parses rises by more than -0.1",
    ],
)
def test_a_margin_of_nothing_is_refused(sentence: str) -> None:
    with pytest.raises(ValueError, match="the margin should be more than 0"):
        parse_clause(sentence)


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
    clause = Clause("tuned parses at least 1", "tuned", ("parses",), "at_least", threshold=1.0)
    assert parse_clause(clause) is clause


@pytest.mark.parametrize("role", ["keep_when", "discard_when"])
@pytest.mark.parametrize("sentence", ["parses falls", "factual errors rise"])
def test_what_falls_or_rises_stands_under_never_when_only(role: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match="belongs under never_when"):
        DecisionRule.model_validate({"keep_when": ["tuned parses at least 1"], role: [sentence]})


@pytest.mark.parametrize(
    ("rule", "old_hash"),
    [
        (
            {"keep_when": ["tuned beats best_prompt on label_accuracy"]},
            "8f2a095c17eebddeab3d83f9f2bd7850b68636b1c01579b810d7517cdd2d317c",
        ),
        (
            {
                "keep_when": ["tuned  beats best_prompt on label_accuracy", "tuned contract_pass at least 0.9"],
                "discard_when": ["tuned contract_pass at most 0.5"],
            },
            "872da0087b460713e33a53d47474a897682b333a17bbafc0f387449696485f9b",
        ),
    ],
)
def test_a_rule_stored_before_there_was_never_when_has_not_changed(rule: dict[str, list[str]], old_hash: str) -> None:
    assert DecisionRule.model_validate(rule).hash == old_hash


def test_a_rule_with_never_when_is_another_rule() -> None:
    rule = {"keep_when": ["tuned beats base on parses"]}
    with_never = {**rule, "never_when": ["parses falls"]}
    hashes = {DecisionRule.model_validate(values).hash for values in (rule, with_never, {**rule, "never_when": []})}
    assert len(hashes) == 2


def test_a_rule_may_be_one_text() -> None:
    text = (
        "keep when tuned beats best prompt on label_accuracy and tuned parses at least 0.9; "
        "never when contract_pass falls or factual errors rise; discard when tuned parses at most 0.5"
    )
    rule = DecisionRule.model_validate(text)
    lists = {
        "keep_when": ["tuned beats best_prompt on label_accuracy", "tuned parses at least 0.9"],
        "never_when": ["contract_pass falls", "factual errors rise"],
        "discard_when": ["tuned parses at most 0.5"],
    }
    assert rule == DecisionRule.model_validate(lists)
    assert rule.hash == DecisionRule.model_validate(lists).hash


def test_the_text_of_a_rule_is_read_back_as_the_same_rule() -> None:
    rule = DecisionRule.model_validate(
        {
            "keep_when": ["tuned beats base on clarity or preference", "tuned parses at least 0.9"],
            "never_when": ["base beats tuned on clarity or preference", "factual errors rise", "parses falls"],
            "discard_when": ["base beats tuned on clarity or parses or rouge_l", "tuned parses at most 0.5"],
        }
    )
    assert DecisionRule.model_validate(rule.sentence) == rule


@pytest.mark.parametrize(
    "text",
    [
        "tuned beats base on parses",
        "keep tuned beats base on parses",
        "keep when tuned beats base on parses, never when parses falls",
        "keep when tuned beats base on parses; keep when tuned parses at least 1",
        "keep when tuned beats base on parses; unless parses falls",
        "never when parses falls",
        "keep when",
        "",
    ],
)
def test_a_text_that_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        DecisionRule.model_validate(text)


def test_a_part_of_a_text_that_is_not_understood_is_quoted() -> None:
    with pytest.raises(ValidationError, match="'unless parses falls': each part begins with 'keep when'"):
        DecisionRule.model_validate("keep when tuned beats base on parses; unless parses falls")
    with pytest.raises(ValidationError, match="'tuned is better' is not understood"):
        DecisionRule.model_validate("keep when tuned beats base on parses and tuned is better")


@pytest.mark.parametrize(
    "rule",
    [
        "keep when tuned beats base on rouge_l; never when factual errors rise",
        "keep when tuned beats base on rouge_l and tuned no worse than base on factual_errors within 0.05",
        "keep when tuned beats base on rouge_l; discard when tuned factual_errors at least 0.2",
    ],
)
def test_a_rule_that_speaks_of_factual_errors_is_left_as_it_is(rule: str) -> None:
    written = DecisionRule.model_validate(rule)
    assert written.guarding_facts() == written


def test_a_rule_that_says_nothing_of_facts_discards_what_errs_more_and_says_so() -> None:
    written = DecisionRule.model_validate("keep when tuned beats base on rouge_l")
    guarded = written.guarding_facts()
    assert guarded.sentence == "keep when tuned beats base on rouge_l; discard when base beats tuned on factual_errors"
    assert guarded.hash != written.hash
    assert guarded.guarding_facts() == guarded
    other = written.guarding_facts("ours", "theirs")
    assert [clause.text for clause in other.discard_when] == ["theirs beats ours on factual_errors"]
