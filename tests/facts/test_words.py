from __future__ import annotations

import pytest

from relaytune.facts.words import words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,200", "1200"),
        ("1.200", "1200"),
        ("1\u00a0200", "1200"),
        ("1,200.00", "1200"),
        ("1.200,50", "1200.5"),
        ("6,5", "6.5"),
        ("70.00", "70"),
        ("€70", "eur 70"),
        ("70 Euro", "70 €"),
        ("Fees", "fee"),
        ("TOEFL", "toefl"),
        ("ﬁnance", "finance"),
    ],
)
def test_what_means_the_same_is_one_word(one: str, other: str) -> None:
    assert words(one) == words(other)


@pytest.mark.parametrize(("one", "other"), [("6.5", "65"), ("1200", "12"), ("15.03.2026", "1532026"), ("B2", "B 2")])
def test_what_means_another_thing_is_another_word(one: str, other: str) -> None:
    assert words(one) != words(other)


def test_words_stand_in_their_order_and_marks_are_none() -> None:
    assert words("The fee (2026/27): 1,200 EUR!") == ["the", "fee", "2026", "27", "1200", "eur"]
    assert words(" …?! ") == []
