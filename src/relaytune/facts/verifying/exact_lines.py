"""The lines of passages: sentences, list items and table rows, with their values and what these belong to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

from relaytune.core.claims import Passage
from relaytune.facts.language.names import Name, names
from relaytune.facts.language.sentences import sentences
from relaytune.facts.language.values import Value, in_unit, values
from relaytune.facts.language.words import content_stems

_SEGMENT_END = re.compile(r"[;()|]|,\s|:\s|\s[–—]\s|\s(?:and|or|but|while|whereas|though|plus|then)\s", re.IGNORECASE)
# what the words before a date make of it, and a word that says the same
_UNTIL = re.compile(
    r"(?:\b(?:by|until|till|before|(?:no|not) later than|latest|deadline\w*|clos\w+(?: on)?|up to|to)|[-–]):?"
    r"\s*(?:the\s(?:end of\s)?)?$",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"\b(?:from|starting|as of|open\w* on|beg[ia]n\w*(?: on)?|start\w*(?: on)?|since"
    r"|after)\s*(?:the\s)?$",
    re.IGNORECASE,
)
_LAST_DAY = r"(?:(?:last|final|latest|closing) (?:possible )?(?:day|date)|deadline)"
_IS_LAST_DAY = re.compile(rf"\s*(?:is|was|will be) (?:the |our |your )?{_LAST_DAY}\b", re.IGNORECASE)
_LAST_DAY_IS = re.compile(rf"\b{_LAST_DAY}\b[^,;:()]*\s(?:is|was|will be)\s(?:on\s)?(?:the\s)?$", re.IGNORECASE)
_AFTER = re.compile(r"\bafter\s*(?:the\s)?$", re.IGNORECASE)  # mostly a condition, not a beginning
Role = Literal["", "from", "until", "after"]


@dataclass(frozen=True)
class Fact:
    """A value with the words that say what it is: `close` stand beside it."""

    value: Value
    close: frozenset[str]
    role: Role = ""  # of a date


def same_turn(one: Fact, other: Fact) -> bool:
    """Whether two dates can be of the same turn of a thing: not one from which, and one until which."""
    return one.role == other.role or ("" in (one.role, other.role) and "after" not in (one.role, other.role))


@dataclass(frozen=True)
class Line:
    """A sentence, list item or table row of a passage."""

    passage: Passage
    text: str  # verbatim
    stems: frozenset[str]
    above: frozenset[str]  # of headings, document, the line that introduces a list
    around: frozenset[str]  # of these, and of the sentence before
    elsewhere: frozenset[str]  # of the whole passage
    facts: tuple[Fact, ...]
    names: tuple[Name, ...]
    heading_names: tuple[Name, ...] = field(default=())

    @property
    def all_stems(self) -> frozenset[str]:
        """Of the line and what it stands under."""
        return self.stems | self.around


@lru_cache(maxsize=50_000)
def told_stems(text: str) -> frozenset[str]:
    """`content_stems` of a text without its values."""
    pieces, start = [], 0
    for value in values(text):
        pieces.append(text[start : value.start])
        start = value.end
    return content_stems(" , ".join([*pieces, text[start:]]))


def facts(text: str, cells: Sequence[tuple[int, int]] = ()) -> tuple[Fact, ...]:
    """The values of a sentence, each with the words of its own segment; of a row, of its own and the first cell."""
    found = []
    for value in values(text):
        start, end = _cell(cells, value) if cells else _segment(text, value)
        close = set(told_stems(text[start:end]))
        if cells:
            close |= content_stems(text[cells[0][0] : cells[0][1]])
            value = in_unit(value, text[start : value.start])
        role = _role(text[: value.start], text[value.end :]) if value.kind == "date" else ""
        close |= {"until": {"=deadline"}, "from": {"=begin"}}.get(role, set())
        found.append(Fact(value, frozenset(close), role))
    return tuple(found)


def _role(before: str, behind: str) -> Role:
    if _UNTIL.search(before) or _LAST_DAY_IS.search(before) or _IS_LAST_DAY.match(behind):
        return "until"
    if _AFTER.search(before):
        return "after"
    return "from" if _FROM.search(before) else ""


def _cell(cells: Sequence[tuple[int, int]], value: Value) -> tuple[int, int]:
    return next(((start, end) for start, end in cells if start <= value.start < end), cells[0])


def _segment(text: str, value: Value) -> tuple[int, int]:
    """The stretch around a value up to the next mark or conjunction; wider where nothing else stands in it."""
    marks = [mark for mark in _SEGMENT_END.finditer(text) if mark.end() <= value.start or mark.start() >= value.end]
    start = max((mark.end() for mark in marks if mark.end() <= value.start), default=0)
    end = min((mark.start() for mark in marks if mark.start() >= value.end), default=len(text))
    if not told_stems(text[start:end]):
        start = max((mark.end() for mark in marks if mark.end() < start), default=0)
    return start, end


def lines_of(passage: Passage) -> Iterator[Line]:
    """The lines of a passage, in order."""
    title = content_stems(PurePosixPath(passage.document).stem.replace("_", " ").replace("-", " "))
    above = content_stems(passage.heading) | title
    everything = told_stems(passage.text)
    heading_names = names(passage.heading)
    lead, before = frozenset[str](), frozenset[str]()
    for block in passage.text.split("\n"):
        cells = _row_cells(block)
        if cells:
            yield Line(
                passage,
                block,
                told_stems(block),
                above | lead,
                above | lead,
                everything,
                facts(block, cells),
                names(block),
                heading_names,
            )
            continue
        for span in sentences(block):
            text = span.of(block)
            stems = told_stems(text)
            # a sentence that has no name of its own speaks of what the one before named
            near = before if not names(text) else frozenset()
            yield Line(
                passage,
                text,
                stems,
                above | lead,
                above | lead | near,
                everything,
                facts(text),
                names(text),
                heading_names,
            )
            before = stems
        lead = content_stems(block) if block.rstrip().endswith(":") else lead


def _row_cells(block: str) -> list[tuple[int, int]]:
    """The cells of a table row ("Programme: Law; Fee: 70 EUR"); none where the line is no row."""
    pieces = [(found.start(), found.end()) for found in re.finditer(r"[^;]+(?:;(?!\s)[^;]*)*", block)]
    titled = [re.match(r"\s*[^:.]{1,60}: \S", block[start:end]) for start, end in pieces]
    return pieces if len(pieces) >= 2 and all(titled) else []


@lru_cache(maxsize=50_000)
def claim_facts(text: str) -> tuple[Fact, ...]:
    """`facts` of a claim."""
    return facts(text)
