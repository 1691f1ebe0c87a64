"""Sentences, list items and table rows of a text, as spans: nothing is changed, so everything can be quoted."""

from __future__ import annotations

import re
from dataclasses import dataclass

# a full stop after these ends no sentence
_ABBREVIATION = re.compile(
    r"(?:\b(?:Dr|Prof|Mr|Mrs|Ms|Mx|St|Jr|Sr|Inc|Ltd|Co|Corp|No|Nos|Nr|Vol|Fig|Sec|Art|Ch|pp?|vs|cf|ca|approx"
    r"|incl|excl|min"
    r"|max|est|tel|ext|dept|Univ|Bldg|Rm|Str|Ave|Hon|Rev|Gen|Col|Sgt|Capt|Lt|Gov|Sen|Rep|Pres|Jan|Feb|Mar|Apr"
    r"|Jun|Jul|Aug"
    r"|Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thurs?|Fri|Sat|Sun|M\.?Sc|B\.?Sc|M\.?Eng|B\.?Eng|M\.?Ed|Ph\.?D|LL\.?[MB])"
    r"|\b(?:[A-Za-z]\.)+[A-Za-z]|\b[A-Z]|\be\.g|\bi\.e|\betc)\.$"
)
_ALWAYS_WITHIN = re.compile(r"(?:\b(?:v|e\.g|i\.e|Dr|Prof|Mr|Mrs|Ms|Nos?|Nr|cf|vs|approx|ca)|\b[A-Z])\.$")
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[.!?]+(?=[A-Z][a-z])")
_MARK = re.compile(r"\s*(?:#{1,6}|[-*•–+]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+")
_RULE_ROW = re.compile(r"\s*\|?[\s:|+=-]*-[\s:|+=-]*\|?\s*")

_WHETHER = re.compile(
    r"(?:.*[,;:]\s)?(?:(?:and|but|so)\s)?(?:is|are|was|were|do|does|did|can|could|should|will|would|may|must"
    r"|has|have|am)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Span:
    """A stretch of a text."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Its words, verbatim."""
        return text[self.start : self.end]


def sentences(text: str) -> list[Span]:
    """The sentences of a text; none goes on beyond its line."""
    found = []
    for block in _blocks(text):
        start = block.start
        for mark in _END.finditer(text, block.start, block.end):
            if _ends(text, start, mark, block.end):
                found.append(Span(start, mark.end()))
                start = mark.end()
        found.append(Span(start, block.end))
    trimmed = [_trim(text, span) for span in found]
    return [span for span in trimmed if span.end > span.start]


def asks_whether(question: str) -> bool:
    """Whether a text asks something that can be answered with yes or no."""
    return any(_WHETHER.match(span.of(question)) for span in sentences(question) if question[span.end - 1] == "?")


def _ends(text: str, start: int, mark: re.Match[str], limit: int) -> bool:
    if "." not in mark[0] or "!" in mark[0] or "?" in mark[0]:
        return True
    before = text[start : mark.start() + 1]
    if _ALWAYS_WITHIN.search(before):
        return False
    if mark.end() == mark.start() + 1 and not text[mark.end() : mark.end() + 1].isspace() and mark.end() < limit:
        # no space behind: "1993.The", but not "M.Sc" and not "example.org"
        return bool(re.search(r"[a-z0-9)]{2}\.$", before)) and not re.search(r"\b[A-Za-z]\.$", before)
    following = text[mark.end() : limit].lstrip()
    if _ABBREVIATION.search(before):
        # "the M.Sc. Before that": only a word that often begins a sentence ends one here
        return bool(re.match(r"(?:The|This|It|You|They|In|For|To|If|There|Please|We|A)\b", following))
    return not following[:1].islower()


def _blocks(text: str) -> list[Span]:
    """Paragraphs, list items without their marks, headings, table rows: one a line."""
    blocks: list[Span] = []
    at = 0
    for line in text.splitlines(keepends=True):
        mark = _MARK.match(line)
        if line.strip() and not _RULE_ROW.fullmatch(line):
            blocks.append(Span(at + (mark.end() if mark else 0), at + len(line)))
        at += len(line)
    return blocks


def _trim(text: str, span: Span) -> Span:
    words = span.of(text)
    return Span(span.start + len(words) - len(words.lstrip()), span.end - len(words) + len(words.rstrip()))
