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
