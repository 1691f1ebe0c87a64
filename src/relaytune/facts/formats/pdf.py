"""PDF, read through pdfplumber: headings by the size of their letters, tables by their rules, places by page.

Pages set in several columns are read across, as one.
"""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from relaytune.core.errors import DataError
from relaytune.facts.formats.blocks import (
    Block,
    begins_with_header,
    clean,
    introduction,
    table_rows,
    with_lone_headings,
)

if TYPE_CHECKING:
    from pdfplumber.page import Page

_LARGER = 1.1  # letters of a heading, against those of most text
_MOST_HEADING_WORDS = 14
_ITEM = re.compile(r"[-*•–·▪]\s+|\(?[0-9a-z]{1,2}[.)]\s+")
_RUNNING_LINES = 2  # at the top and at the bottom of a page, that may repeat on others


@dataclass(frozen=True)
class Pdf:
    """What was read, and what a person should know about what was not."""

    blocks: list[Block]
    notes: list[str]


@dataclass(frozen=True)
class _Line:
    text: str
    page: int
    top: float  # points from the top of the page
    bottom: float
    size: float  # of its letters, in points
    is_bold: bool


@dataclass(frozen=True)
class _Table:
    rows: list[list[str]]
    page: int
    top: float


_Item = _Line | _Table


def read_pdf(content: bytes) -> Pdf:
    """The blocks of a document; `first` and `last` are its pages, counted from 1.

    Raises:
        DataError: it needs a password, is damaged, or has no text on any page.
    """
    pages = list(_pages(content))
    empty = [number for number, items in enumerate(pages, start=1) if not items]
    if len(empty) == len(pages):
        count = "its only page" if len(pages) == 1 else f"any of its {len(pages)} pages"
        raise DataError(f"has no text on {count}: a scan? Put it through text recognition (OCR), or take it out")
    notes = [f"no text on page {', '.join(map(str, empty))} (pictures?)"] if empty else []
    running = _running_lines(pages)
    if running:
        quoted = ", ".join(f"“{text}”" for text in sorted(running))
        notes.append(f"left out, as it stands on most pages (# is a number): {quoted}")
    items = [item for page in pages for item in _without_running(page, running)]
    return Pdf(with_lone_headings(_Reader(items).blocks), notes)


def _pages(content: bytes) -> Iterator[list[_Item]]:
    import pdfplumber
    from pdfminer.pdfdocument import PDFPasswordIncorrect

    logging.getLogger("pdfminer").setLevel(logging.ERROR)
    try:
        with pdfplumber.open(io.BytesIO(content)) as document:
            for page in document.pages:
                yield _items(page)
                page.close()
    # what a damaged file makes pdfminer raise is of any kind
    except Exception as error:
        if isinstance(error, PDFPasswordIncorrect) or any(isinstance(one, PDFPasswordIncorrect) for one in error.args):
            raise DataError("needs a password; save it without one") from error
        raise DataError(f"is damaged, or no PDF ({str(error) or type(error).__name__}); save it anew") from error


def _items(page: Page) -> list[_Item]:
    """Tables and the lines beside them, from top to bottom."""
    items: list[_Item] = []
    boxes = []
    for table in page.find_tables():
        rows = [[clean(cell or "") for cell in row] for row in table.extract()]
        if len(rows) > 1 and len(rows[0]) > 1:  # else it is a frame
            items.append(_Table(rows, page.page_number, table.bbox[1]))
            boxes.append(table.bbox)

    def is_beside_tables(one: dict[str, Any]) -> bool:
        x, y = (one["x0"] + one["x1"]) / 2, (one["top"] + one["bottom"]) / 2
        return not any(x0 <= x <= x1 and top <= y <= bottom for x0, top, x1, bottom in boxes)

    for line in page.filter(is_beside_tables).extract_text_lines(return_chars=True):
        letters = [letter for letter in line["chars"] if letter["text"].strip()]
        if letters:
            size = median(float(letter["size"]) for letter in letters)
            is_bold = all(re.search("bold|black|heavy", letter["fontname"], re.IGNORECASE) for letter in letters)
            text = clean(line["text"])
            items.append(_Line(text, page.page_number, line["top"], line["bottom"], round(2 * size) / 2, is_bold))
    return sorted(items, key=lambda item: item.top)


def _running_lines(pages: Sequence[Sequence[_Item]]) -> set[str]:
    """Lines at the top or bottom, digits as #, that stand on more than half of at least three pages."""
    counts = Counter(text for page in pages for text in {_without_digits(line) for line in _outermost(page)})
    return {text for text, count in counts.items() if len(pages) >= 3 and count > len(pages) / 2}


def _outermost(page: Sequence[_Item]) -> list[_Line]:
    return [item for item in (*page[:_RUNNING_LINES], *page[-_RUNNING_LINES:]) if isinstance(item, _Line)]


def _without_digits(line: _Line) -> str:
    return re.sub(r"\d+", "#", line.text)


def _without_running(page: Sequence[_Item], running: set[str]) -> list[_Item]:
    left_out = [line for line in _outermost(page) if _without_digits(line) in running]
    return [item for item in page if item not in left_out]


class _Reader:
    """Lines into paragraphs, items and headings; tables into rows."""

    def __init__(self, items: Sequence[_Item]) -> None:
        self.blocks: list[Block] = []
        lines = [item for item in items if isinstance(item, _Line)]
        sizes = Counter[float]()
        for line in lines:
            sizes[line.size] += len(line.text)
        self._body_size = max(sizes, key=sizes.__getitem__) if sizes else 0.0
        self._heading_sizes = sorted((size for size in sizes if size >= _LARGER * self._body_size), reverse=True)
        gaps = [b.top - a.bottom for a, b in pairwise(lines) if a.page == b.page and a.size == b.size]
        self._gap = median([gap for gap in gaps if gap < self._body_size] or [0.0])
        self._words = set(re.findall(r"\w+(?:-\w+)*", " ".join(line.text for line in lines).lower()))
        self._headings: list[tuple[int, str]] = []
        self._paragraph: list[_Line] = []
        self._lead = ""
        self._header: list[str] = []
        self._read(items)

    def _read(self, items: Sequence[_Item]) -> None:
        before: _Item | None = None
        for item in items:
            if isinstance(item, _Table):
                self._end_paragraph()
                self._table(item, continues=isinstance(before, _Table) and before.page == item.page - 1)
            elif (level := self._level(item)) is not None:
                goes_on = (
                    isinstance(before, _Line)
                    and before.page == item.page
                    and self._level(before) == level
                    and self._follows(before, item)
                )
                self._end_paragraph()
                self._heading(level, item, goes_on)
            else:
                if self._paragraph and not self._follows(self._paragraph[-1], item):
                    self._end_paragraph()
                self._paragraph.append(item)
            before = item
        self._end_paragraph()

    def _level(self, line: _Line) -> int | None:
        """0 for the largest headings; None for what is no heading."""
        if len(line.text.split()) > _MOST_HEADING_WORDS or not re.search(r"[^\W\d]", line.text):
            return None
        if line.size in self._heading_sizes:
            return self._heading_sizes.index(line.size)
        is_title = line.is_bold and line.size >= self._body_size and not line.text.endswith((".", ",", ";", ":"))
        return len(self._heading_sizes) if is_title and not _ITEM.match(line.text) else None

    def _follows(self, before: _Line, line: _Line) -> bool:
        """Whether a line goes on with the paragraph of the one before."""
        if _ITEM.match(line.text) or before.size != line.size or before.is_bold != line.is_bold:
            return False
        if before.page != line.page:
            return not before.text.endswith((".", "!", "?", ":", ";"))
        return line.top - before.bottom <= self._gap + 0.3 * self._body_size

    def _heading(self, level: int, line: _Line, goes_on: bool) -> None:
        text = f"{self.blocks.pop().text} {line.text}" if goes_on else line.text
        self._headings = [one for one in self._headings if one[0] < level]
        self._add(text, line.page, line.page, is_heading=True)
        self._headings.append((level, text))
        self._lead = ""

    def _end_paragraph(self) -> None:
        if not self._paragraph:
            return
        text = ""
        for line in self._paragraph:
            text = self._joined(text, line.text)
        is_item = bool(_ITEM.match(text))
        self._add(text, self._paragraph[0].page, self._paragraph[-1].page, self._lead if is_item else "")
        self._lead = self._lead if is_item else introduction(text)
        self._paragraph = []

    def _joined(self, text: str, line: str) -> str:
        """A word cut at the end of a line is joined, unless the document knows it with its hyphen."""
        begin, end = re.search(r"([^\W\d]+)-$", text), re.match(r"[^\W\d_]+", line)
        if not (begin and end and end[0].islower()):
            return f"{text} {line}".strip()
        keeps_hyphen = f"{begin[1]}-{end[0]}".lower() in self._words
        return f"{text}{line}" if keeps_hyphen else f"{text[:-1]}{line}"

    def _table(self, table: _Table, continues: bool) -> None:
        rows = table.rows
        same_columns = continues and len(self._header) == len(rows[0])
        if same_columns and rows[0] == self._header:
            rows = rows[1:]
        elif begins_with_header(rows):
            self._header, rows = rows[0], rows[1:]
        elif not same_columns:
            self._header = [""] * len(rows[0])
        for text in table_rows(self._header, rows):
            self._add(text, table.page, table.page, self._lead)

    def _add(self, text: str, first: int, last: int, lead: str = "", is_heading: bool = False) -> None:
        if text:
            headings = tuple(title for _, title in self._headings)
            self.blocks.append(Block(text, first, last, headings, lead, is_heading))
