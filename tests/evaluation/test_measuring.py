from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from relaytune.core.contract import Contract
from relaytune.core.criteria import Criteria
from relaytune.core.errors import RunError
from relaytune.core.records import Example, FinishReason, Generation, Score
from relaytune.core.sections import Evaluation
from relaytune.evaluation.measuring import CUT_OFF, measure

LABELS = {"labels": ["refund", "other"]}


def _criteria(contract: dict[str, Any] | None, **evaluation: Any) -> Criteria:
    return Criteria(
        Contract.model_validate(contract) if contract else None,
        Evaluation.model_validate(evaluation),
        None,
        None,
        None,
    )


def _rows(references: Sequence[str]) -> list[Example]:
    return [
        Example.of([{"role": "user", "content": f"ticket {number}"}], reference, f"rows.jsonl:{number}")
        for number, reference in enumerate(references, start=1)
    ]


def _answers(rows: Sequence[Example], texts: Sequence[str], finish_reason: FinishReason = "stop") -> list[Generation]:
    return [Generation(row.id, row.messages, text, finish_reason, 3) for row, text in zip(rows, texts, strict=True)]


def _values(scores: Sequence[Score], scorer: str) -> list[tuple[float | None, str]]:
    return [(row.value, row.reason) for row in scores if row.scorer == scorer]


def test_without_a_contract_only_what_an_answer_shows_by_itself_is_measured() -> None:
    rows = _rows(["refund"])
    scores, notes = measure(_criteria(None), rows, _answers(rows, ["no"]), "theirs")
    assert {row.scorer for row in scores} == {"stopped", "loops", "repetition", "refused", "abstained"}
    assert {row.contender for row in scores} == {"theirs"}
    assert notes == {}


def test_answers_that_were_cut_off_are_judged_unless_they_are_excluded() -> None:
    rows = _rows(["refund", "refund"])
    whole, cut = _answers(rows, ["refund", "refund"])
    answers = [whole, replace(cut, finish_reason="length")]
    judged, _ = measure(_criteria(LABELS), rows, answers, "tuned")
    assert _values(judged, "label_accuracy") == [(1.0, ""), (1.0, "")]
    excluded, _ = measure(_criteria(LABELS, exclude_truncated=True, scorers=["rouge_l"]), rows, answers, "tuned")
    for scorer in ("label_accuracy", "contract_pass", "loops", "rouge_l"):
        assert _values(excluded, scorer) == [(_values(excluded, scorer)[0][0], ""), (None, CUT_OFF)]
        assert _values(excluded, scorer)[0][0] is not None
    # whether it was cut off is what `stopped` says, so that it stays
    assert _values(excluded, "stopped") == [(1.0, ""), (0.0, "cut off after 3 tokens")]


def test_an_answer_that_ended_for_a_reason_unknown_is_unscored_for_whether_it_stopped() -> None:
    rows = _rows(["refund"])
    answers = _answers(rows, ["refund"], finish_reason="unknown")
    scores, _ = measure(_criteria(LABELS, exclude_truncated=True), rows, answers, "tuned")
    assert _values(scores, "stopped") == [(None, "not recorded")]
    assert _values(scores, "label_accuracy") == [(1.0, "")]


def test_a_row_without_an_answer_is_unscored_for_every_metric() -> None:
    rows = _rows(["a reply", "a reply"])
    criteria = _criteria({"free_text": "polite"}, scorers=["rouge_l", "sentence_bleu", "reference_nats"])
    scores, _ = measure(criteria, rows, _answers(rows[:1], ["a reply"]), "tuned")
    missing = [row for row in scores if row.id == rows[1].id]
    measured = set(criteria.metrics) - {"general_right", "general_nats"}
    assert {row.scorer for row in missing} == measured
    assert {(row.value, row.reason) for row in missing} == {(None, "no answer")}
    assert len(scores) == 2 * len(measured)


def test_overlap_with_the_reference_is_measured_of_free_text_and_says_how() -> None:
    rows = _rows(["the parcel is on its way", "we are sorry"])
    scores, notes = measure(_criteria({"free_text": "polite"}), rows, _answers(rows, [rows[0].completion, "no"]), "x")
    assert _values(scores, "rouge_l") == [(1.0, ""), (0.0, "")]
    assert _values(scores, "sentence_bleu")[0][0] == pytest.approx(100)
    assert "version" in notes["sentence_bleu"]


def test_a_row_without_a_reference_is_unscored_for_overlap() -> None:
    rows = _rows([""])
    scores, _ = measure(_criteria(None, scorers=["rouge_l"]), rows, _answers(rows, ["a reply"]), "tuned")
    assert _values(scores, "rouge_l") == [(None, "the row has no reference")]


def test_the_references_probability_is_given_in_nats_per_token_and_unscored_where_it_was_not_saved() -> None:
    rows = _rows(["a reply", "a reply, too"])
    saved, missing = _answers(rows, ["x", "x"])
    saved = replace(saved, reference_log_prob=-6.0, reference_tokens=4)
    criteria = _criteria({"free_text": "polite"}, scorers=["reference_nats"])
    scores, _ = measure(criteria, rows, [saved, missing], "tuned")
    assert _values(scores, "reference_nats") == [(1.5, ""), (None, "no probability of the reference saved")]


def test_answers_to_other_rows_are_refused() -> None:
    rows = _rows(["refund"])
    with pytest.raises(RunError, match="1 of no row of these examples"):
        measure(_criteria(None), [], _answers(rows, ["refund"]), "tuned")
