"""From the blocks of a document to passages that can be cited: about a hundred words, never across a heading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from textwrap import wrap

from relaytune.core.claims import Passage
from relaytune.core.files import sha256_of_value
from relaytune.facts.formats.blocks import Block

# long enough to hold a rule with its conditions, short enough for an entailment model (512 tokens) with a claim
WORDS = 100
MOST_WORDS = 150  # a longer sentence stays whole
MOST_CHARACTERS = 4000  # but for this: what goes on without an end is no sentence, and takes too long to compare

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9“\"(])")


@dataclass(frozen=True)
class Document:
    """What was read of a file. `unit` is what its places are counted in."""

    name: str  # relative to the folder of sources, with /
    unit: str  # "line" or "page"
    blocks: tuple[Block, ...]


def make_passages(document: Document) -> Iterator[Passage]:
    """The passages of a document, in its order. One that begins within a list or table repeats what introduces it."""
    for headings, section in groupby(document.blocks, key=lambda block: block.headings):
        for blocks in _packed([piece for block in section for piece in _cut(block)]):
            lead = blocks[0].lead
            text = "\n".join([*([lead] if lead else []), *(block.text for block in blocks)])
            place = _place(document.unit, min(one.first for one in blocks), max(one.last for one in blocks))
            heading = " › ".join(headings)
            id = sha256_of_value([document.name, place, heading, text])[:16]
            yield Passage(id, document.name, place, heading, text)


def _place(unit: str, first: int, last: int) -> str:
    return f"{unit} {first}" if first == last else f"{unit}s {first}-{last}"


def _cut(block: Block) -> list[Block]:
    """A block of at most MOST_WORDS, or its sentences, each with the place of the whole."""
    if _num_words(block) <= MOST_WORDS and len(block.text) <= MOST_CHARACTERS:
        return [block]
    sentences = _SENTENCE_END.split(block.text)
    pieces = [piece for one in sentences for piece in wrap(one, MOST_CHARACTERS, break_on_hyphens=False)]
    return [replace(block, text=piece) for piece in pieces]


def _packed(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Blocks of one section, in portions of about equal length."""
    total = sum(map(_num_words, blocks))
    wanted = total / max(1, round(total / WORDS))
    portion: list[Block] = []
    size = before = num_portions = 0  # words of this portion, words of those before it
    for block in blocks:
        words = _num_words(block)
        is_full = before + size + words / 2 > (num_portions + 1) * wanted or size + words > MOST_WORDS
        if portion and is_full:
            if len(portion) > 1 and portion[-1].text == block.lead:
                portion.pop()  # what introduces the next portion begins it
            yield portion
            portion, before, size, num_portions = [], before + size, 0, num_portions + 1
        portion.append(block)
        size += words
    if portion:
        yield portion


def _num_words(block: Block) -> int:
    return len(block.text.split())
