from __future__ import annotations

from relaytune.facts.formats.plain import read_plain

TEXT = """\
Library
=======

Open from 8
to 22.

Rules
-----
These hold:
- no food
- no calls
  at all

LOST CARDS

A new card costs 12 EUR.
"""


def test_paragraphs_and_items_are_blocks_with_their_lines() -> None:
    places = {block.text: (block.first, block.last) for block in read_plain(TEXT)}
    assert places == {
        "Open from 8 to 22.": (4, 5),
        "These hold:": (9, 9),
        "- no food": (10, 10),
        "- no calls at all": (11, 12),
        "A new card costs 12 EUR.": (16, 16),
    }


def test_underlined_lines_and_lines_in_capitals_are_headings() -> None:
    headings = {block.text: block.headings for block in read_plain(TEXT)}
    assert headings["Open from 8 to 22."] == ("Library",)
    assert headings["- no food"] == ("Library", "Rules")
    assert headings["A new card costs 12 EUR."] == ("Library", "LOST CARDS")


def test_items_know_what_introduces_them() -> None:
    leads = {block.text: block.lead for block in read_plain(TEXT)}
    assert leads["- no calls at all"] == "These hold:"
    assert leads["A new card costs 12 EUR."] == ""


def test_a_heading_with_nothing_below_it_is_text_of_its_own_under_those_above_it() -> None:
    text = """\
Answers
=======

NO PARKING ON CAMPUS

MAY I SMOKE?

Closed on Sundays
-----------------

Fees
----
They are due in May.

NO DOGS
"""
    assert [(block.text, block.first, block.last, block.headings) for block in read_plain(text)] == [
        ("NO PARKING ON CAMPUS", 4, 4, ("Answers",)),
        ("Closed on Sundays", 8, 9, ("Answers",)),
        ("They are due in May.", 13, 13, ("Answers", "Fees")),
        ("NO DOGS", 15, 15, ("Answers",)),
    ]
