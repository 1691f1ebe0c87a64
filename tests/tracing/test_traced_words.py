"""What in an answer is taken to be wrong, and which rows share it."""

from __future__ import annotations

import pytest

from relaytune.pipeline.tracing import specifics_of
from relaytune.tracing.words import WordIndex, other_subject, stated, wrong_parts

QUESTION = "What is the application fee for Digital Heritage?"
RIGHT = "The application fee for the M.A. in Digital Heritage is 70 EUR, paid online."


def wrong(answer: str, claims: tuple[str, ...] = (), question: str = QUESTION, right: str = RIGHT) -> list[str]:
    parts = wrong_parts(answer, question, [right], claims, specifics_of)
    assert all(answer[part.begin : part.end] == part.text for part in parts)
    return [part.text for part in parts]


def test_the_value_that_is_not_in_the_reference_is_what_is_wrong() -> None:
    assert wrong("You pay 85 EUR for Digital Heritage, online.") == ["85 EUR"]


def test_a_value_that_is_only_spelt_otherwise_is_not_wrong() -> None:
    assert wrong("It costs seventy euros and is due on 3 May.") == ["3 May"]


def test_a_name_is_known_though_the_reference_writes_its_degree_before_it() -> None:
    assert wrong("Digital Heritage is led by Dr. Ines Morgenthal.") == ["Dr. Ines Morgenthal"]


def test_where_no_value_differs_the_words_that_differ_are_what_is_wrong() -> None:
    assert wrong("The application fee is waived entirely.") == ["waived entirely"]


def test_of_an_answer_with_known_wrong_claims_only_these_are_wrong() -> None:
    answer = "You pay 85 EUR. The office has 12 desks."
    assert wrong(answer) == ["85 EUR", "12"]
    assert wrong(answer, claims=("You pay 85 EUR.",)) == ["85 EUR"]


@pytest.mark.parametrize("row", ["It costs 85 EUR.", "You pay eighty-five euros.", "€85 are due."])
def test_a_row_states_a_wrong_value_however_it_spells_it(row: str) -> None:
    parts = wrong_parts("You pay 85 EUR.", QUESTION, [RIGHT], (), specifics_of)
    assert stated(parts, row, specifics_of) == ("85 EUR",)
    assert stated(parts, row.replace("85", "185").replace("eighty", "thirty"), specifics_of) == ()


def test_a_row_with_the_wrong_value_comes_before_one_that_asks_the_same_and_is_right() -> None:
    others = [f"Where is the {place}?\nIn hall {n}." for n, place in enumerate(("canteen", "library", "gym"), start=2)]
    rows = [f"{QUESTION}\n{RIGHT}", "What has Digital Heritage as application fee?\nYou pay 85 EUR.", *others]
    index = WordIndex(rows)
    answer = "The application fee for Digital Heritage is 85 EUR."
    parts = wrong_parts(answer, QUESTION, [RIGHT], (), specifics_of)
    scores, unweighted = (index.scores(f"{QUESTION}\n{answer}", wrong) for wrong in (parts, []))
    assert scores[1] > scores[0] > scores[2]
    assert unweighted[0] > unweighted[1]


def test_shared_phrases_are_the_rare_ones_without_stop_words_and_without_what_is_wrong() -> None:
    rows = [f"What about {thing}?\nThe fee is 85 EUR." for thing in ("visas", "rooms", "books")]
    rows.append("Is there an application fee for Digital Heritage?\nThe fee is 85 EUR.")
    answer = "The application fee for Digital Heritage is 85 EUR."
    parts = wrong_parts(answer, QUESTION, [RIGHT], (), specifics_of)
    assert WordIndex(rows).shared(answer, 3, parts) == ("Digital Heritage", "application fee")
    assert WordIndex(rows).shared(answer, 0, parts) == ("fee",)


def test_a_row_about_another_programme_speaks_of_something_else() -> None:
    def others(row_question: str, row_answer: str = "It costs 85 EUR.") -> tuple[str, ...]:
        return other_subject(QUESTION, "It costs 85 EUR.", row_question, row_answer, specifics_of)

    assert others("What is the application fee for Marine Biology?") == ("Marine Biology",)
    assert others("And the M.A. in Digital Heritage, what does it cost?") == ()
    assert others("What is the fee?") == ()
    assert others("Is the Harbour Office open?", "Yes, also for Digital Heritage.") == ()
