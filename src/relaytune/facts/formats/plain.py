"""Plain text: paragraphs between empty lines; a heading is underlined, or a line in capitals by itself."""

from __future__ import annotations

import re
from itertools import groupby

from relaytune.facts.formats.blocks import Block, clean, introduction, with_lone_headings

_UNDERLINE = re.compile(r"=+|-{3,}|~{3,}")
_ITEM = re.compile(r"[-*•–]\s+|\(?[0-9a-z]{1,2}[.)]\s+")
_MOST_HEADING_WORDS = 12


def read_plain(text: str) -> list[Block]:
    """The blocks of a text; `first` and `last` are its lines."""
    lines = text.split("\n")
    headings: tuple[str, ...] = ()
    blocks: list[Block] = []
    lead = ""
    for is_empty, group in groupby(enumerate(lines, start=1), key=lambda line: not line[1].strip()):
        if is_empty:
            continue
        paragraph = [(number, line.strip()) for number, line in group]
        if num_lines := _num_heading_lines(paragraph):
            title = clean(paragraph[0][1])
            above = () if num_lines == 2 and paragraph[1][1].startswith("=") else headings[:1]
            blocks.append(Block(title, paragraph[0][0], paragraph[num_lines - 1][0], above, is_heading=True))
            headings, lead = (*above, title), ""
            paragraph = paragraph[num_lines:]
        for piece in _items(paragraph):
            block = clean(" ".join(line for _, line in piece))
            is_item = bool(_ITEM.match(piece[0][1]))
            if block:
                blocks.append(Block(block, piece[0][0], piece[-1][0], headings, lead if is_item else ""))
                lead = lead if is_item else introduction(block)
    return with_lone_headings(blocks)


def _num_heading_lines(paragraph: list[tuple[int, str]]) -> int:
    if len(paragraph) > 1 and _UNDERLINE.fullmatch(paragraph[1][1]):
        return 2
    return int(len(paragraph) == 1 and _is_capitals(paragraph[0][1]))


def _is_capitals(line: str) -> bool:
    return line.isupper() and len(line.split()) <= _MOST_HEADING_WORDS and not line.endswith((".", ",", ";", ":"))


def _items(paragraph: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """A paragraph's lines, cut before each list item."""
    pieces: list[list[tuple[int, str]]] = []
    for number, line in paragraph:
        if not pieces or _ITEM.match(line):
            pieces.append([])
        pieces[-1].append((number, line))
    return pieces
