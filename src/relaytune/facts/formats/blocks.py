"""What every format is read into: paragraphs, list items and table rows, each with its place and its headings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

# soft hyphens, zero-width spaces and joiners, byte order marks: nobody sees them, and they split words
_UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
# a no-break space between digits groups thousands and stays
_SPACE = re.compile(
    "(?<!\\d)[\u00a0\u2007\u2009\u202f](?!\\d)|(?<=\\d)[\u00a0\u2007\u2009\u202f](?!\\d)|[\\t\\n\\v\\f\\r ]+"
)
_LIST_INTRODUCTION = re.compile(r"(?:^|(?<=[.!?])\s+)([^.!?]*(?:[.!?](?!\s)[^.!?]*)*:)$")
_YEARS = re.compile(r"(?:19|20)\d\d(?:\s?[/–-]\s?(?:\d\d){1,2})?")
_BEGINS_AS_VALUE = re.compile(r"[€$£+−-]?\s?\d")


@dataclass(frozen=True)
class Block:
    """A paragraph, a list item, a table row or a heading. `first` and `last`: lines of the file, or pages, from 1."""

    text: str  # one line
    first: int
    last: int
    headings: tuple[str, ...]  # from the document's title down
    lead: str = ""  # the sentence or caption that introduces the list or table that it is of
    is_heading: bool = False  # of what stands below it


def with_lone_headings(blocks: Sequence[Block]) -> list[Block]:
    """Of the headings only those with nothing below them, as the others are shown with each block of their section.

    One that asks is left out all the same: it says nothing, and would pass for evidence of what it asks.
    """
    kept = []
    for block, after in zip_longest(blocks, blocks[1:]):
        path = (*block.headings, block.text)
        is_shown = after is not None and after.headings[: len(path)] == path
        if not (block.is_heading and (is_shown or block.text.endswith("?"))):
            kept.append(block)
    return kept


def clean(text: str) -> str:
    """One line without what cannot be seen."""
    text = _UNSEEN.sub("", unicodedata.normalize("NFC", text))
    return " ".join(_SPACE.sub(" ", text).split(" ")).strip()


def introduction(paragraph: str) -> str:
    """The last sentence of a paragraph where it ends with a colon, and so introduces what follows; else nothing."""
    found = _LIST_INTRODUCTION.search(paragraph)
    return found[1].strip() if found else ""


def with_nested(item: str, nested: Sequence[str]) -> str:
    """A list item and the items within it in one line: "transcript: certified copy; translation"."""
    items = "; ".join(filter(None, nested))
    return f"{item.strip().removesuffix(':')}: {items} " if item.strip() and items else item + items


def table_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Each row as a line in which every cell carries the header of its column: "Programme: Law; Fee: 70 EUR".

    Empty cells are left out; a row without any is an empty line.
    """
    for row in rows:
        if not any(header) and len(row) == 2 and all(row):
            yield f"{row[0]}: {row[1]}"
            continue
        cells = []
        for place, cell in enumerate(row):
            title = header[place].rstrip(":") if place < len(header) else ""
            if cell:
                cells.append(f"{title}: {cell}" if title and title != cell else cell)
        yield "; ".join(cells)


def begins_with_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row of a table that does not mark its header looks like one: no cell of it is a value."""
    first = rows[0] if len(rows) > 1 else ()
    return (
        sum(map(bool, first)) >= max(2, len(first) - 1)
        and len(set(first)) == len(first)
        and not any(_BEGINS_AS_VALUE.match(cell) and not _YEARS.fullmatch(cell) for cell in first)
    )
