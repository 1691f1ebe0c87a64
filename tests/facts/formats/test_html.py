from __future__ import annotations

import pytest

from relaytune.core.errors import DataError
from relaytune.facts.formats.html import read_html

PAGE = """\
<!doctype html>
<html><head><title>Scores</title><style>p { color: red }</style></head>
<body>
<h1>Language <em>scores</em></h1>
<p>You need one
of these:</p>
<ul>
 <li>IELTS 6.5
 <li>TOEFL 90
   <ol><li>home edition<li>at a centre</ol>
</ul>
<h2>By degree</h2>
<table>
<caption>Least scores</caption>
<tr><th rowspan=2>Test<th colspan=2>Score</tr>
<tr><th>Bachelor<th>Master</tr>
<tr><td rowspan=2>IELTS<td>6.0<td>6.5</tr>
<tr><td>6.0 (old)
<td></tr>
</table>
After the table.
<script>alert("no")</script>
<p hidden>Draft.</p><p><del>Old fee: 40.</del>
Fee: 50.</p>
<dl><dt>Office<dd>Room 12<dd>Monday</dl>
</body></html>
"""


def texts(page: str) -> list[str]:
    return [block.text for block in read_html(page)]


def test_cells_carry_their_headers_also_where_cells_span_rows_and_columns() -> None:
    assert "Test: IELTS; Score › Bachelor: 6.0; Score › Master: 6.5" in texts(PAGE)
    assert "Test: IELTS; Score › Bachelor: 6.0 (old)" in texts(PAGE)


def test_scripts_styles_and_what_is_hidden_or_deleted_are_no_text() -> None:
    everything = " ".join(texts(PAGE))
    assert not any(word in everything for word in ("alert", "color", "Draft", "40"))
    assert "Fee: 50." in texts(PAGE)


def test_unclosed_items_are_items_of_their_own_with_their_introduction() -> None:
    items = {block.text: block.lead for block in read_html(PAGE)}
    assert items["IELTS 6.5"] == items["TOEFL 90: home edition; at a centre"] == "You need one of these:"
    assert items["Test: IELTS; Score › Bachelor: 6.0 (old)"] == "Least scores"


def test_places_are_the_true_lines_of_the_file() -> None:
    places = {block.text: (block.first, block.last) for block in read_html(PAGE)}
    assert places["You need one of these:"] == (5, 6)
    assert places["IELTS 6.5"] == (8, 8)
    assert places["TOEFL 90: home edition; at a centre"] == (9, 10)
    assert places["Test: IELTS; Score › Bachelor: 6.0 (old)"] == (18, 18)
    assert places["After the table."] == (21, 21)
    assert places["Office: Monday"] == (25, 25)


def test_headings_lead_down_to_a_block_and_the_title_stands_in_for_a_missing_one() -> None:
    headings = {block.text: block.headings for block in read_html(PAGE)}
    assert headings["IELTS 6.5"] == ("Language scores",)
    assert headings["After the table."] == ("Language scores", "By degree")
    (untitled,) = read_html("<title>Fees</title><p>70 EUR</p>")
    assert untitled.headings == ("Fees",)


def test_a_table_without_marked_headers_takes_its_first_row_where_that_holds_no_values() -> None:
    rows = "<tr><td>{}<td>{}</tr><tr><td>Law<td>70 EUR</tr>"
    assert texts(f"<table>{rows.format('Programme', 'Fee')}</table>") == ["Programme: Law; Fee: 70 EUR"]
    assert texts(f"<table>{rows.format('Data', '85 EUR')}</table>") == ["Data: 85 EUR", "Law: 70 EUR"]


def test_a_table_used_for_layout_is_read_as_what_it_holds() -> None:
    page = "<table><tr><td><p>One.</p><table><tr><th>A<th>B<tr><td>1<td>2</table><td>Two.</table>"
    assert texts(page) == ["One.", "A: 1; B: 2", "Two."]


def test_lines_within_a_paragraph_do_not_run_words_together() -> None:
    assert texts("<p>one<br>two <b>th</b>ree</p><div>four<p>five</p>six</div>") == [
        "one two three",
        "four",
        "five",
        "six",
    ]


@pytest.mark.parametrize("page", ["", "<html></html>", "<!-- nothing -->", "<script>x</script>"])
def test_a_page_without_text_has_no_blocks(page: str) -> None:
    assert read_html(page) == []


def test_a_page_nested_deeply_is_read_and_one_that_no_parser_reads_to_its_end_is_refused() -> None:
    assert texts("<div>" * 250 + "deep" + "</div>" * 250 + "<p>after") == ["deep", "after"]
    with pytest.raises(DataError, match=r"cannot be read to its end \(Excessive depth"):
        read_html("<div>" * 3000 + "deep" + "</div>" * 3000 + "<p>after")


def test_a_heading_with_nothing_below_it_is_text_of_its_own_under_those_above_it() -> None:
    page = """\
<title>Answers</title>
<h2>Library closed
on <em>Sundays</em></h2>
<h2>May I park?</h2>
<div><h2>Fees</h2>
<h3>The form is free</h3></div>
<h3 hidden>Draft</h3>
<h3>Tuition</h3>
<p>It is due in May.</p>
<h2>No parking</h2>
<p> <!-- ask --> </p>
"""
    assert [(block.text, block.first, block.last, block.headings) for block in read_html(page)] == [
        ("Library closed on Sundays", 2, 3, ("Answers",)),
        ("The form is free", 6, 6, ("Answers", "Fees")),
        ("It is due in May.", 9, 9, ("Answers", "Fees", "Tuition")),
        ("No parking", 10, 10, ("Answers",)),
    ]
