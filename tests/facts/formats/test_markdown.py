from __future__ import annotations

from relaytune.facts.formats.blocks import Block
from relaytune.facts.formats.markdown import read_markdown

DOCUMENT = """\
---
valid: 2031/32
---
# Fees

What you pay, and
when.

## Application

The fees are:

| Programme | Fee   | Deadline |
|-----------|-------|----------|
| Law       | 70 €  | 1 March  |
| *Data*    |       | 1 May    |

Bring with you:

- a passport
- a transcript
  - certified
  - translated

- ~~a photo~~ a [form](https://example.org/form)

> Quoted **rule**.
"""


def by_text(blocks: list[Block]) -> dict[str, Block]:
    return {block.text: block for block in blocks}


def test_every_cell_of_a_table_carries_the_header_of_its_column() -> None:
    texts = [block.text for block in read_markdown(DOCUMENT)]
    assert "Programme: Law; Fee: 70 €; Deadline: 1 March" in texts
    assert "Programme: Data; Deadline: 1 May" in texts


def test_headings_lead_down_to_a_block_and_end_with_their_section() -> None:
    blocks = by_text(read_markdown(DOCUMENT + "\n# Library\n\nIt is open.\n"))
    assert blocks["What you pay, and when."].headings == ("Fees",)
    assert blocks["Quoted rule."].headings == ("Fees", "Application")
    assert blocks["It is open."].headings == ("Library",)


def test_places_are_the_true_lines_of_the_file() -> None:
    lines = DOCUMENT.split("\n")
    for block in read_markdown(DOCUMENT):
        first = lines[block.first - 1]
        assert set(block.text.replace(";", " ").replace(":", " ").split()) & set(first.replace("*", " ").split())
        assert lines[block.last - 1].strip()
    blocks = by_text(read_markdown(DOCUMENT))
    assert (blocks["What you pay, and when."].first, blocks["What you pay, and when."].last) == (6, 7)
    nested = blocks["a transcript: certified; translated"]
    assert (nested.first, nested.last) == (21, 23)


def test_items_and_rows_know_the_sentence_that_introduces_them() -> None:
    blocks = by_text(read_markdown(DOCUMENT))
    assert blocks["a passport"].lead == "Bring with you:"
    assert blocks["Programme: Law; Fee: 70 €; Deadline: 1 March"].lead == "The fees are:"
    assert blocks["What you pay, and when."].lead == ""


def test_what_is_struck_out_no_longer_holds_and_is_left_out() -> None:
    assert "a form" in by_text(read_markdown(DOCUMENT))
    assert "photo" not in " ".join(by_text(read_markdown(DOCUMENT)))


def test_front_matter_is_text_and_no_heading() -> None:
    first = read_markdown(DOCUMENT)[0]
    assert (first.text, first.first, first.headings) == ("valid: 2031/32", 2, ())


def test_html_within_markdown_is_read_with_its_lines_and_comments_are_not() -> None:
    text = "# A\n\n<!-- a note\nto us -->\n\n<table>\n<tr><th>Day<th>Hours\n<tr><td>Monday<td>8-16\n</table>\n"
    (row,) = read_markdown(text)
    assert (row.text, row.first, row.headings) == ("Day: Monday; Hours: 8-16", 8, ("A",))


def test_code_is_text_too() -> None:
    assert [block.text for block in read_markdown("```\nport 22\nhost x\n```\n")] == ["port 22; host x"]


def test_a_heading_with_nothing_below_it_is_text_of_its_own_under_those_above_it() -> None:
    text = """\
# Answers

## No parking on campus

Library closed
on Sundays
----------

## Fees

### The form is free

### Tuition

It is due in May.

## Gym closed in May

<!-- ask the gym -->
"""
    assert [(block.text, block.first, block.last, block.headings) for block in read_markdown(text)] == [
        ("No parking on campus", 3, 3, ("Answers",)),
        ("Library closed on Sundays", 5, 7, ("Answers",)),
        ("The form is free", 11, 11, ("Answers", "Fees")),
        ("It is due in May.", 15, 15, ("Answers", "Fees", "Tuition")),
        ("Gym closed in May", 17, 17, ("Answers",)),
    ]


def test_a_heading_that_asks_is_never_text_as_it_says_nothing() -> None:
    assert [block.text for block in read_markdown("# Parking\n\n## Is it free?\n\n## No cars\n")] == ["No cars"]


def test_a_heading_that_stands_twice_is_text_only_where_nothing_is_below_it() -> None:
    first, below = read_markdown("## Closed in May\n\n## Closed in May\n\nThe gym.\n")
    assert (first.text, first.first, first.headings) == ("Closed in May", 1, ())
    assert (below.text, below.headings) == ("The gym.", ("Closed in May",))


def test_a_heading_in_html_within_markdown_is_text_with_its_line() -> None:
    _, heading, _ = read_markdown("# A\n\nOne.\n\n<div>\n<h2>No parking</h2>\n</div>\n\nTwo.\n")
    assert (heading.text, heading.first, heading.last, heading.headings) == ("No parking", 6, 6, ("A",))
