from __future__ import annotations

import pytest

from relaytune.facts.language.values import agree, comparable, in_unit, values


@pytest.mark.parametrize(
    ("text", "measure", "low", "high"),
    [
        ("It costs 85 EUR.", "EUR", 85, 85),
        ("It costs €1,200.50 a year", "EUR", 1200.5, 1200.5),
        ("It costs 1.200 euros", "EUR", 1200, 1200),
        ("It costs 1,200.5 euros", "EUR", 1200.5, 1200.5),
        ("It costs 1.234,5 million euros", "EUR", 1234.5e6, 1234.5e6),
        ("1\u00a0234,567,890 inhabitants", "count", 1234567890, 1234567890),
        ("It costs 1 200 euros", "EUR", 1200, 1200),
        ("It costs eighty-five euros", "EUR", 85, 85),
        ("It costs two hundred and ten dollars", "USD", 210, 210),
        ("It costs $5 million", "USD", 5e6, 5e6),
        ("It costs 70 to 90 EUR", "EUR", 70, 90),
        ("15% of them", "percent", 15, 15),
        ("fifteen percent of them", "percent", 15, 15),
        ("within two weeks", "days", 14, 14),
        ("half a year", "months", 6, 6),
        ("half an hour", "minutes", 30, 30),
        ("takes 1½ years", "months", 18, 18),
        ("2 1/2 hours", "minutes", 150, 150),
        ("an IELTS of 6 ½", "score of ielts", 6.5, 6.5),
        ("a year and a half", "months", 18, 18),
        ("two to three years and a half", "months", 24, 42),
        ("a two-and-a-half year programme", "months", 30, 30),
        ("1.000 to 1.200 new students", "count", 1000, 1200),
        ("a ratio of 1.075", "count", 1.075, 1.075),
        ("1.250 students per teacher", "count", 1.25, 1.25),
        ("48 h", "minutes", 2880, 2880),
        ("3 yrs", "months", 36, 36),
        ("It costs 1.5k EUR", "EUR", 1500, 1500),
        ("It costs EUR 1,170.00", "EUR", 1170, 1170),
        ("12k students", "count", 12000, 12000),
        ("10 % of them", "percent", 10, 10),
        ("between 5 and 7 working days", "working days", 5, 7),
        ("a four-semester programme", "semesters", 4, 4),
        ("an IELTS of 6.5", "score of ielts", 6.5, 6.5),
        ("a score of 90 in the TOEFL", "score of toefl", 90, 90),
        ("120 ECTS credits", "count", 120, 120),
        ("open from 9:00 to 12:30", "time", 540, 750),
        ("at 4 pm", "time", 960, 960),
        ("open 9-12 pm", "time", 540, 720),
        ("open 12-2 pm", "time", 720, 840),
        ("open 10-2 am", "time", 1320, 120),
    ],
)
def test_a_value_is_read_with_what_it_measures(text: str, measure: str, low: float, high: float) -> None:
    (value,) = values(text)
    assert (value.measure, value.low, value.high) == (measure, low, high)
    assert text[value.start : value.end] == value.text


def test_a_fraction_on_the_next_line_is_not_of_the_number_above() -> None:
    assert values("Credits: 24\n3/4 of them are lectures.")[0].low == 24


@pytest.mark.parametrize("text", ["You may apply.", "one of them", "No one knows.", "We march on.", "at first sight"])
def test_words_that_only_look_like_values_are_none(text: str) -> None:
    assert values(text) == ()


@pytest.mark.parametrize(
    ("claimed", "source", "same"),
    [
        ("by 15 May", "until May 15, 2026", True),
        ("by 15 May", "until 15 June", False),
        ("in mid-May", "on 15 May", True),
        ("in mid-May", "on 2 May", False),
        ("in May", "on 15 May", True),
        ("in 2025", "on 15 May 2026", False),
        ("on 1st of July", "on 2031-07-01", True),
        ("14 days", "two weeks", True),
        ("24 months", "two years", True),
        ("within two years and a half", "within 2½ years", True),
        ("within two years and a half", "within two years", False),
        ("1.000 students", "1,000 students", True),
        ("at least 6.5 in the IELTS", "IELTS 6.5", True),
        ("at least 6.0 in the IELTS", "at least 6.5 in the IELTS", False),
        ("at least 60 credits", "at most 60 credits", False),
        ("6 days", "5 to 7 days", True),
        ("9 days", "5 to 7 days", False),
        ("5 to 9 days", "7 days", None),
        ("Room 2.14", "room 2.14", True),
        ("Room 2.14", "room 3.14", False),
        ("German at B2", "at level B2", True),
        ("German at B2", "at level C1", False),
        ("Monday to Thursday", "Monday, Tuesday", False),
        ("85 EUR", "eighty-five euros", True),
        ("write to a@b.org", "write to c@b.org", False),
        ("20 EUR a month", "20 euros monthly", True),
        ("20 EUR a month", "240 EUR per year", True),
        ("20 EUR a month", "20 EUR per year", False),
        ("20 hours a week", "20 hours a day", False),
        ("20 hours a week", "4 hours a day", None),
        ("20 EUR", "20 EUR per year", True),
        ("20 EUR a month", "it was 20 EUR a year ago", True),
        ("free of charge", "40 EUR", False),
        ("free of charge", "no charge", True),
    ],
)
def test_two_values_of_one_kind_agree_or_not(claimed: str, source: str, same: bool | None) -> None:
    one, other = values(claimed)[0], values(source)[0]
    assert comparable(one, other)
    assert agree(one, other) is same


@pytest.mark.parametrize(
    "heading", ["Rent per month (EUR)", "Rent (EUR/month)", "Rent (EUR / month)", "Rent (€/month)"]
)
def test_a_column_s_heading_says_what_its_values_are_given_per(heading: str) -> None:
    assert agree(values("300 EUR a year")[0], in_unit(values("300")[0], heading)) is False


@pytest.mark.parametrize(
    ("first", "second"),
    [("85 EUR", "85 USD"), ("5 days", "5 working days"), ("15 May", "15 percent"), ("IELTS 6.5", "TOEFL 90")],
)
def test_values_of_different_units_are_not_compared(first: str, second: str) -> None:
    assert not comparable(values(first)[0], values(second)[0])


@pytest.mark.parametrize(
    ("text", "measures"),
    [
        ("A PEX score of 66 is needed, and up to 56 applicants are admitted.", ["score of pex", "count"]),
        ("Of those with a mark of 5.5 and a PEX score of 66 some are admitted.", ["score", "score of pex"]),
        ("The score in the PEX must be good: aim for 66.", ["score of pex"]),
    ],
)
def test_a_number_beside_a_tests_own_is_no_score_of_it(text: str, measures: list[str]) -> None:
    assert [value.measure for value in values(text)] == measures
