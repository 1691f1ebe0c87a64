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
    ],
)
def test_a_clause_denies_or_not(clause: str, expected: bool) -> None:
    assert denies(clause) is expected


def test_a_thing_that_is_said_not_to_exist_is_read_off_the_sentence() -> None:
    assert denied_things("There is no faculty of law, and no school of medicine.")[0] == {"faculti", "law"}
    assert denied_things("There is no minimum length.") == ()
    assert denied_things("There is a faculty of law.") == ()
