from __future__ import annotations

import numpy as np

from relaytune.core.claims import Statement
from relaytune.tracing.neighbours import nearest_rows, same_row


def _row(id: str, answer: str, question: str = "What is the application fee for a master's programme?") -> Statement:
    return Statement(id, question, answer)


def test_the_nearest_rows_come_first_and_one_that_stands_twice_counts_once() -> None:
    rows = [
        _row("far", "Bring your student card."),
        _row("near", "The application fee is 70 EUR, and it is not refunded."),
        _row("near again", "The application fee is 70 EUR, and it is not refunded!"),
        _row("wrong", "The application fee is 85 EUR, and it is not refunded."),
        _row("middle", "Pay by card or by bank transfer."),
    ]
    angles = np.array([1.5, 0.1, 0.1, 0.2, 0.5])
    rows_RC = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    prompts_PC = np.array([[1.0, 0.0]], dtype=np.float32)
    assert nearest_rows(prompts_PC, rows_RC, rows, 3) == [["near", "wrong", "middle"]]
    assert nearest_rows(prompts_PC, rows_RC, rows, 9) == [["near", "wrong", "middle", "far"]]


def test_another_number_makes_another_row() -> None:
    answer = "The fee for the application is {} EUR for all of the programmes, due with the form, never refunded."
    assert not same_row(_row("a", answer.format(70)), _row("b", answer.format(85)))
    assert not same_row(_row("a", answer.format("1.5")), _row("b", answer.format("15")))


def test_a_negation_makes_another_row() -> None:
    answer = "With a visa of type D you may{} work beside your studies, as the handbook says in its chapter on work."
    for negation in (" not", "n't", "n’t"):
        assert not same_row(_row("a", answer.format("")), _row("b", answer.format(negation)))


def test_rows_that_differ_in_a_word_or_in_punctuation_are_one() -> None:
    answer = "The fee for the application is 70 EUR for all of the programmes, due with the form, never refunded."
    assert same_row(_row("a", answer), _row("b", answer.replace("all of the", "all the").upper()))


def test_the_same_claim_in_other_words_is_another_row() -> None:
    first = _row("a", "The application fee is 85 EUR.")
    other = _row("b", "You pay 85 EUR when you apply.", "How much do I have to pay to apply?")
    assert not same_row(first, other)
