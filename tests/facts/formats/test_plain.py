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
