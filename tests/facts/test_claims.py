from __future__ import annotations

import pytest

from relaytune.core.claims import Claim, Statement
from relaytune.facts.claims import split_claims


def claims_of(question: str, answer: str) -> list[Claim]:
    return split_claims(Statement("1", question, answer))


def texts(question: str, answer: str) -> list[str]:
    return [claim.text for claim in claims_of(question, answer) if claim.part == "answer" and claim.kinds]


def said(question: str) -> list[str]:
    """What a question says beside asking, and beside naming things."""
    return [claim.text for claim in claims_of(question, "") if claim.kinds not in ((), ("name",))]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("It costs 6.50 EUR. Pay it at 9 a.m. in the hall.", ["It costs 6.50 EUR.", "Pay it at 9 a.m. in the hall."]),
        (
            "The M.Sc. in Dance is led by Dr. Berg, e.g. in May. It has 90 credits.",
            ["The M.Sc. in Dance is led by Dr. Berg, e.g. in May.", "It has 90 credits."],
        ),
        (
            "The fee is 85 EUR for applicants from the EU, and the deadline is 15 May.",
            ["The fee is 85 EUR for applicants from the EU", "the deadline is 15 May."],
        ),
        (
            "You need:\n- IELTS 6.5\n- two letters of recommendation",
            ["You need:", "IELTS 6.5", "two letters of recommendation"],
        ),
        ("It takes between 5 and 7 days.", ["It takes between 5 and 7 days."]),
    ],
)
def test_an_answer_is_cut_into_sentences_items_and_clauses_with_values(answer: str, expected: list[str]) -> None:
    assert texts("", answer) == expected


def test_every_claim_stands_in_its_text() -> None:
    question = "Since the Harbour Scholarship pays 900 EUR, when do I apply? I have a B.A. in Dance."
    answer = (
        "Hello! Apply by 30 April; it pays 850 EUR, and the office is in Room 2.14.\n1. Be quick.\n2. Sign form F-12."
    )
    found = claims_of(question, answer)
    assert len(found) > 5
    for claim in found:
        assert claim.text in (question if claim.part == "question" else answer)
    assert len({claim.id for claim in found}) == len(found)


@pytest.mark.parametrize(
    "answer",
    ["Hello there!", "Good luck!", "I hope this helps.", "I think you should consider it.", "Would you like more?"],
)
def test_what_claims_nothing_is_kept_with_no_kinds(answer: str) -> None:
    assert [(claim.text, claim.kinds) for claim in claims_of("", answer)] == [(answer, ())]


def test_a_claim_says_what_its_words_refer_to() -> None:
    claims = claims_of("What is the fee for the M.Sc. in Dance?", "There is one fee. It costs 85 EUR.")
    assert claims[1].context == "What is the fee for the M.Sc. in Dance? There is one fee."


def test_what_a_question_takes_for_granted_is_a_claim_and_what_it_asks_is_none() -> None:
    question = "Since the fee is 85 EUR, where do I pay?"
    assert said(question) == ["the fee is 85 EUR"]
    assert said("Where do I pay the 85 EUR application fee?") == ["the 85 EUR application fee"]
    assert said("How much is the fee?") == []


def test_what_people_say_of_themselves_is_no_premise() -> None:
    assert said("I have an IELTS score of 6.0. What can I do?") == []


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("The fee is 85 EUR.", ("amount",)),
        ("It closes on 15 May.", ("date",)),
        ("The minimum is an IELTS of 6.5.", ("score", "name")),
        ("Students may not hold two of them.", ("number", "negation")),
        ("Lectures are recorded.", ("statement",)),
    ],
)
def test_a_claim_knows_what_in_it_can_be_checked(text: str, kinds: tuple[str, ...]) -> None:
    assert claims_of("", text)[0].kinds == kinds
