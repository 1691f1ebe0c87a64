from __future__ import annotations

from fractions import Fraction

import pytest

from relaytune.core.numeric import read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18", "18"),
        ("She makes $18 every day.", "18"),
        ("1,234.50 in all", "1234.5"),
        ("1,234,567", "1234567"),
        ("It is -3", "-3"),
        ("It is −3 (below zero)", "-3"),
        ("-$3 or $-3", "-3"),
        ("+7", "7"),
        ("5-3", "3"),
        ("5 - 3", "3"),
        ("(2)-1", "1"),
        ("half of it, 1/2.", "1/2"),
        ("3 1/2 cups", "7/2"),
        ("on 3/4/2020", "2020"),
        ("50%", "50"),
        ("from 50%-60%", "60"),
        (".5", "1/2"),
        ("the answer is...5", "5"),
        ("1.5e3", "1500"),
        ("2E-2", "1/50"),
        ("**18**", "18"),
        ("_18_", "18"),
        ("18 €", "18"),
        ("US$18", "18"),
        ("5kg", "5"),
        ("16 - 3 - 4 = <<16-3-4=9>>9 eggs", "9"),
        ("10, 20 and 30 apples", "30"),
        ("12,3456", "3456"),
        ("1,5", "5"),
        ("10 for B12", "10"),
    ],
)
def test_the_last_number_of_a_text_is_read(text: str, number: str) -> None:
    assert read_number(text) == (Fraction(number), "")


@pytest.mark.parametrize("text", ["", "eighteen", "vitamin B12", "x2", "-", "v1.2.3"])
def test_a_text_without_a_number_gives_none_and_says_so(text: str) -> None:
    assert read_number(text) == (None, "no number in the answer")


@pytest.mark.parametrize(
    ("text", "number", "problem"),
    [
        ("3 * 6 = 18\n#### 18", 18, ""),
        ("#### 18 dollars, not 20", 18, ""),
        ("####-5", -5, ""),
        ("#### 1\nwait\n#### 2", 2, ""),
        ("it is 18, I think", 18, "no '####' before the number"),
        ("9 and\n#### nothing", None, "no number behind '####'"),
        ("nothing", None, "no number in the answer"),
    ],
)
def test_behind_a_mark_the_first_number_counts_and_a_missing_mark_is_a_fault(
    text: str, number: int | None, problem: str
) -> None:
    assert read_number(text, "####") == (number, problem)


@pytest.mark.parametrize("text", ["1e999999999", "9" * 100_000, "1/0", "0." + "1" * 5000, "1/" + "0" * 5000])
def test_no_number_is_too_much_for_the_reader(text: str) -> None:
    number, problem = read_number(f"so it is {text}")
    assert number is None
    assert "is not read" in problem or "divides by zero" in problem
    assert len(problem) < 100
