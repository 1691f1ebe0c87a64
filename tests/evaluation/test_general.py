from __future__ import annotations

import pytest

from relaytune.core.errors import RunError
from relaytune.core.records import Generation
from relaytune.evaluation.general import Question, as_examples, is_right, load_general, score_general

RIGHT = {
    "fact-01": "The capital of France is Paris.",
    "fact-06": "Water is H2O.",
    "arithmetic-08": "96 divided by 8 is 12.",
    "arithmetic-09": "0.9",
    "language-07": "She doesn't like apples.",
    "instruction-02": "RIVER",
    "instruction-03": "red, green, blue",
    "instruction-05": "People wear coats to stay warm.",
    "instruction-06": "1 2 3 4 5",
    "instruction-09": '{"name": "Ana"}',
    "sense-10": "The trophy is too big.",
}
WRONG = {
    "fact-01": "The capital of France is Lyon, not far from the comparison.",
    "fact-09": "In Sudan.",
    "arithmetic-01": "7 plus 5 is 120.",
    "arithmetic-09": "0.12 is larger than 0.9",
    "instruction-01": "Yes, of course I can.",
    "instruction-02": "river",
    "instruction-03": "Red, green, blue and yellow, to name a few",
    "instruction-05": "It is cold. A coat keeps them warm.",
    "instruction-09": 'Here it is: {"name": "Ana"}',
    "sense-10": "The suitcase is too big for the trophy.",
}


def by_id() -> dict[str, Question]:
    return {each.id: each for each in load_general().questions}


@pytest.mark.parametrize("id", RIGHT)
def test_a_right_answer_is_right(id: str) -> None:
    assert is_right(by_id()[id], RIGHT[id]) == (1, "")


@pytest.mark.parametrize("id", WRONG)
def test_a_wrong_answer_is_wrong_and_says_what_was_sought(id: str) -> None:
    value, reason = is_right(by_id()[id], WRONG[id])
    assert value == 0
    assert reason.startswith("nothing that matches")


def test_no_question_is_answered_by_itself_or_by_nothing() -> None:
    general = load_general()
    assert (len(general.questions), len(general.texts)) == (60, 20)
    assert len({each.id for each in general.questions} | {each.id for each in general.texts}) == 80
    for each in general.questions:
        assert is_right(each, "")[0] == 0
    # a choice names its answers, so repeating such a question may hold the right one
    echoed = [each.id for each in general.questions if is_right(each, each.question)[0]]
    assert len(echoed) <= 8, echoed


def test_questions_become_rows_with_one_user_message() -> None:
    example = as_examples(load_general().questions)[0]
    assert (example.id, [message["role"] for message in example.messages]) == ("fact-01", ["user"])


def _rows(answer: str, nats: float) -> list[Generation]:
    text = Generation("text-01", (), "", "stop", 0, reference_log_prob=-10 * nats, reference_tokens=10)
    return [Generation("fact-01", (), answer, "stop", 3), text]


def test_every_item_gets_a_score_and_what_was_not_answered_is_unscored() -> None:
    scores = {(row.scorer, row.id): row.value for row in score_general(_rows("Paris", 2.5), "base")}
    assert scores["general_right", "fact-01"] == 1
    assert scores["general_nats", "text-01"] == 2.5
    assert len(scores) == 80
    assert scores["general_right", "fact-02"] is None
    assert scores["general_nats", "text-02"] is None
    wrong = {row.id: row.value for row in score_general(_rows("refund", 4.0), "tuned")}
    assert wrong["fact-01"] == 0


def test_answers_to_another_set_are_refused() -> None:
    with pytest.raises(RunError, match="answers of tuned: 1 of items that this version"):
        score_general([Generation("fact-99", (), "x", "stop", 1)], "tuned")
