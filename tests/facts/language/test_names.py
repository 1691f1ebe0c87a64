from __future__ import annotations

import pytest

from relaytune.facts.language.names import names
from relaytune.facts.language.polarity import denied_things, denies


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Students visit the Harbour Office.", ["Harbour Office"]),
        (
            "The M.Sc. in Tidal Physics is led by Dr. Amara Lindqvist.",
            ["M.Sc. in Tidal Physics", "Dr. Amara Lindqvist"],
        ),
        ("He went to the School of Law in Delhi.", ["School of Law", "Delhi"]),
        ("Applications close in May.", []),
        ("Tuition for Tidal Physics is low.", ["Tidal Physics"]),
    ],
)
def test_names_are_capitalised_phrases_and_no_beginnings_of_sentences(text: str, expected: list[str]) -> None:
    assert [name.text for name in names(text)] == expected


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("The fee is not refundable", True),
        ("The fee is refundable", False),
        ("It must arrive not later than Monday", False),
        ("Late files are not impossible", False),
        ("Attendance is optional", True),
        ("No, the fee is refundable", False),
        ("Work is not permitted without a licence", False),
        ("Neither cats nor dogs are allowed", True),
        ("There is no lift and no back garden", True),
        ("Guests cannot park here and do not get a card", True),
    ],
)
def test_a_clause_denies_or_not(clause: str, expected: bool) -> None:
    assert denies(clause) is expected


def test_a_thing_that_is_said_not_to_exist_is_read_off_the_sentence() -> None:
    assert denied_things("There is no faculty of law, and no school of medicine.")[0].thing == {"faculti", "law"}
    assert denied_things("There is no minimum length.") == ()
    assert denied_things("There is a faculty of law.") == ()


@pytest.mark.parametrize(
    "text", ["Guests on leave have no semester ticket.", "There is no semester ticket for guests."]
)
def test_a_denial_for_some_says_for_whom(text: str) -> None:
    (denied,) = denied_things(text)
    assert denied.thing == {"semest", "ticket"}
    assert "guest" in denied.whom


def test_a_denial_of_what_only_a_pronoun_names_is_of_nothing_known() -> None:
    assert denied_things("It has no swimming pool.") == ()
