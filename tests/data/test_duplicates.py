from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relaytune.core.contract import Contract, read_answer
from relaytune.core.records import Example, Finding
from relaytune.data.duplicates import near_contradictions

LABELS = {"labels": ["low", "high"]}
TEXT = "the screen of my laptop stays black after the update of last night and nothing helps at all so far"
OTHER = "my parcel was left at the wrong door last week and the driver does not answer any of my calls since then"


def _rows(*texts_and_answers: tuple[str, str]) -> list[Example]:
    return [
        Example.of([{"role": "user", "content": text}], answer, f"train.jsonl:{number}")
        for number, (text, answer) in enumerate(texts_and_answers, start=1)
    ]


def _found(
    rows: Sequence[Example], contract: dict[str, Any] | None = None, ends: tuple[str, str] = ("", "")
) -> list[Finding]:
    read = Contract.model_validate(contract or LABELS)
    return near_contradictions(rows, {row.id: read_answer(read, row.completion) for row in rows}, read, ends)


def test_rows_nearly_alike_that_are_labelled_differently_are_named_side_by_side() -> None:
    rows = _rows((TEXT, "low"), (OTHER, "low"), (TEXT + " today", "high"))
    (finding,) = _found(rows)
    assert (finding.severity, finding.check) == ("warning", "near_contradictions")
    assert finding.where == ("train.jsonl:1", "train.jsonl:3")
    # 18 of 19 shingles in common
    assert "1 (Jaccard similarity in brackets): train.jsonl:1 ~ train.jsonl:3 (0.95)" in finding.message
    assert "side by side" in finding.advice


def test_rows_nearly_alike_with_the_same_label_are_no_contradiction() -> None:
    assert _found(_rows((TEXT, "low"), (TEXT + " today", "low"))) == []


def test_rows_that_share_less_than_the_threshold_are_no_contradiction() -> None:
    # a changed word in the middle breaks 3 of 18 shingles: 15 / 21 = 0.71
    assert _found(_rows((TEXT, "low"), (TEXT.replace("update", "upgrade"), "high"))) == []


def test_case_and_punctuation_do_not_hide_a_contradiction() -> None:
    (finding,) = _found(_rows((TEXT, "low"), (TEXT.upper() + "!", "high")))
    assert "(1.00)" in finding.message


def test_the_same_input_with_two_labels_is_named_too() -> None:
    (finding,) = _found(_rows((TEXT, "low"), (TEXT, "high")))
    assert finding.where == ("train.jsonl:1", "train.jsonl:2")


def test_a_contradiction_behind_a_row_that_agrees_is_found() -> None:
    rows = _rows((TEXT, "low"), (TEXT + " today", "low"), (TEXT + " again", "high"))
    (finding,) = _found(rows)
    assert set(finding.where) == {"train.jsonl:1", "train.jsonl:2", "train.jsonl:3"}


def test_several_contradictions_are_one_finding_with_the_rows_of_each_pair_together() -> None:
    rows = _rows((TEXT, "low"), (OTHER, "high"), (TEXT + " today", "high"), (OTHER + " too", "low"))
    (finding,) = _found(rows)
    assert finding.where == ("train.jsonl:1", "train.jsonl:3", "train.jsonl:2", "train.jsonl:4")


def test_of_free_text_two_answers_may_both_be_right() -> None:
    assert _found(_rows((TEXT, "Restart it."), (TEXT + " today", "Try another cable.")), {"free_text": "helpful"}) == []


def test_json_without_labels_contradicts_by_value_and_not_by_spelling() -> None:
    contract: dict[str, Any] = {"json_schema": {"type": "object"}}
    assert _found(_rows((TEXT, '{"a": 1, "b": 2}'), (TEXT + " today", '{"b": 2, "a": 1}')), contract) == []
    assert len(_found(_rows((TEXT, '{"a": 1}'), (TEXT + " today", '{"a": 2}')), contract)) == 1


def test_only_the_label_of_a_json_answer_judges() -> None:
    fields = {"priority": {"enum": ["low", "high"]}, "reason": {"type": "string"}}
    contract = {"json_schema": {"type": "object", "properties": fields}, "label": "priority"}
    agree = _rows((TEXT, '{"priority": "low", "reason": "a"}'), (TEXT + " today", '{"priority": "low", "reason": "b"}'))
    assert _found(agree, contract) == []


def test_answers_outside_the_contract_do_not_count() -> None:
    assert _found(_rows((TEXT, "low"), (TEXT + " today", "middling"))) == []


def test_the_words_of_the_template_do_not_make_rows_alike() -> None:
    before, after = f"{TEXT}: ", f" ({OTHER})"
    rows = _rows((f"{before}red{after}", "low"), (f"{before}blue{after}", "high"))
    assert len(_found(rows)) == 1
    assert _found(rows, ends=(before, after)) == []
