"""HTML, read through lxml: without scripts and styles, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING

from relaytune.core.errors import DataError
from relaytune.facts.formats.blocks import (
    Block,
    begins_with_header,
    clean,
    introduction,
    table_rows,
    with_lone_headings,
    with_nested,
)

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_LISTS = ("ul", "ol", "menu")
_LEFT_OUT = ("head", "script", "style", "template", "noscript", "svg", "del", "s", "strike")
# what stands within a line; every other element ends the paragraph before it
_INLINE = (
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "br", "cite", "code", "data", "dfn", "em", "font", "i", "img",
    "ins", "kbd", "label", "mark", "q", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var",
    "wbr",
)  # fmt: skip


def read_html(text: str, headings: tuple[str, ...] = ()) -> list[Block]:
    """The blocks of a page, under `headings`; `first` and `last` are its lines.

    What is struck out or marked `hidden` is left out. A page without a heading of the first level has its title as one.

    Raises:
        DataError: the page cannot be read to its end.
    """
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_pis=True)
    root = etree.fromstring(text.encode(), parser)
    fatal = [error.message for error in parser.error_log if error.level_name == "FATAL"]
    if fatal:
        raise DataError(f"cannot be read to its end ({fatal[0].partition(',')[0]}); make it simpler")
    if root is None:
        return []
    title = root.find(".//head/title")
    if not headings and title is not None and root.find(".//h1") is None:
        headings = tuple(filter(None, [clean(title.text or "")]))
    reader = _Reader(headings)
    reader.read(root)
    reader.end_paragraph()
    return with_lone_headings(reader.blocks)


class _Reader:
    """Walks a page; text that stands in no paragraph of its own is one."""

    def __init__(self, headings: tuple[str, ...]) -> None:
        self.blocks: list[Block] = []
        self._above = headings
        self._headings: list[tuple[int, str]] = []  # level and text
        self._paragraph: list[str] = []
        self._lines = (0, 0)
        self._lead = ""

    def read(self, element: Element) -> None:
        for part in _parts(element):
            if isinstance(part, tuple):
                self._add_words(*part)
            elif part.tag in _INLINE and not _holds_blocks(part):
                self._add_words(_text(part), part.sourceline or 1, _last_line(part))
            else:
                self.end_paragraph()
                self._read_block(part)
                self.end_paragraph()

    def _read_block(self, element: Element) -> None:
        tag = str(element.tag)
        if tag in _HEADINGS:
            level = int(tag[1])
            self._headings = [one for one in self._headings if one[0] < level]
            if title := clean(_text(element)):
                self._add(title, element, is_heading=True)
                self._headings.append((level, title))
            self._lead = ""
        elif tag in _LISTS:
            for item in element:
                if isinstance(item.tag, str):
                    self._add(clean(_item_text(item)), item, self._lead)
        elif tag == "dl":
            self._definitions(element)
        elif tag == "table":
            self._table(element)
        elif tag == "pre":
            self._add(clean(_text(element).strip().replace("\n", "; ")), element)
        else:
            self.read(element)

    def _definitions(self, element: Element) -> None:
        term = ""
        for part in element.iter("dt", "dd"):
            text = clean(_text(part)).rstrip(":")
            if part.tag == "dt":
                term = text
            else:
                self._add(f"{term}: {text}" if term else text, part, self._lead)

    def _table(self, table: Element) -> None:
        if table.find(".//table") is not None:  # used for layout
            for cell in table.iter("td", "th", "caption"):
                if next(cell.iterancestors("table")) is table:
                    self.read(cell)
                    self.end_paragraph()
            return
        caption = table.find("caption")
        lead = clean(_text(caption)) if caption is not None else self._lead
        if caption is not None:
            self._add(lead, caption)
        rows = list(table.iter("tr"))
        grid = _grid(rows)
        num_header = _num_header_rows(rows, grid)
        header = [
            " › ".join(dict.fromkeys(filter(None, titles))) for titles in zip_longest(*grid[:num_header], fillvalue="")
        ]
        for row, text in zip(rows[num_header:], table_rows(header, grid[num_header:]), strict=True):
            self._add(text, row, lead)

    def end_paragraph(self) -> None:
        if text := clean("".join(self._paragraph)):
            self._append(text, *self._lines)
            self._lead = introduction(text)
        self._paragraph = []

    def _add_words(self, text: str, first: int, last: int) -> None:
        if not "".join(self._paragraph).strip():
            self._lines = (first, last)
        if text.strip():
            self._lines = (self._lines[0], last)
        self._paragraph.append(text)

    def _add(self, text: str, element: Element, lead: str = "", is_heading: bool = False) -> None:
        if text:
            self._append(text, element.sourceline or 1, _last_line(element), lead, is_heading)

    def _append(self, text: str, first: int, last: int, lead: str = "", is_heading: bool = False) -> None:
        headings = (*self._above, *(title for _, title in self._headings))
        self.blocks.append(Block(text, first, last, headings, lead, is_heading))


def _parts(element: Element) -> Iterator[Element | tuple[str, int, int]]:
    """Text with its lines, and elements, in their order; without what is left out."""
    line = element.sourceline or 1
    if element.text:
        yield _with_lines(element.text, line)
    for child in element:
        if _is_shown(child):
            yield child
        if child.tail:
            yield _with_lines(child.tail, _line_after(child))


def _with_lines(text: str, line: int) -> tuple[str, int, int]:
    begin = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return text, line + text[:begin].count("\n"), line + text[: max(begin, end)].count("\n")


def _is_shown(element: Element) -> bool:
    return isinstance(element.tag, str) and element.tag not in _LEFT_OUT and "hidden" not in element.attrib


def _holds_blocks(element: Element) -> bool:
    return any(isinstance(one.tag, str) and one.tag not in (*_INLINE, *_LEFT_OUT) for one in element.iterdescendants())


def _last_line(element: Element) -> int:
    """The line of an element's last text; of one without any, the line it begins on."""
    return max(_last_line_of_text(element), element.sourceline or 1)


def _last_line_of_text(element: Element) -> int:
    last = 0
    for part in _parts(element):
        if not isinstance(part, tuple):
            last = max(last, _last_line_of_text(part))
        elif part[0].strip():
            last = part[2]
    return last


def _line_after(element: Element) -> int:
    """The line on which an element's end tag stands."""
    line = (element.sourceline or 1) + (element.text or "").count("\n")
    for child in element:
        line = max(line, _line_after(child)) + (child.tail or "").count("\n")
    return line


def _text(element: Element) -> str:
    """All text within an element that is shown; a break or a block within it is a space."""
    if element.tag == "br":
        return " "
    if element.tag == "img":
        return element.get("alt") or ""
    parts = []
    for part in _parts(element):
        if isinstance(part, tuple):
            parts.append(part[0])
        else:
            parts.append(_text(part) if part.tag in _INLINE else f" {_text(part)} ")
    return "".join(parts)


def _item_text(item: Element) -> str:
    """An item and those nested in it, in one line."""
    parts: list[str] = []
    for part in _parts(item):
        if isinstance(part, tuple):
            parts.append(part[0])
        elif part.tag in _LISTS:
            nested = [clean(_item_text(child)) for child in part if isinstance(child.tag, str)]
            parts = [with_nested("".join(parts), nested)]
        else:
            parts.append(_text(part) if part.tag in _INLINE else f" {_text(part)} ")
    return "".join(parts)


def _grid(rows: list[Element]) -> list[list[str]]:
    """The cells' text, those that span columns or rows repeated in each."""
    grid: list[list[str]] = []
    spanning: dict[tuple[int, int], str] = {}  # row and column → text from a row above
    for at, row in enumerate(rows):
        texts: list[str] = []
        for cell in row.iterchildren("td", "th"):
            while (at, len(texts)) in spanning:
                texts.append(spanning[at, len(texts)])
            text = clean(_text(cell))
            for _ in range(_span(cell, "colspan")):
                for below in range(1, _span(cell, "rowspan")):
                    spanning[at + below, len(texts)] = text
                texts.append(text)
        while (at, len(texts)) in spanning:
            texts.append(spanning[at, len(texts)])
        grid.append(texts)
    return grid


def _span(cell: Element, name: str) -> int:
    value = cell.get(name, "1").strip()
    return min(max(int(value), 1), 100) if value.isdecimal() else 1


def _num_header_rows(rows: list[Element], grid: list[list[str]]) -> int:
    """Rows of `thead`, or the first ones of nothing but `th`; where none is marked, the first if it looks like one."""
    marked = 0
    for row in rows:
        parent = row.getparent()
        cells = list(row.iterchildren("td", "th"))
        in_head = parent is not None and parent.tag == "thead"
        if not in_head and (not cells or any(cell.tag == "td" for cell in cells)):
            break
        marked += 1
    return marked or int(begins_with_header(grid))
