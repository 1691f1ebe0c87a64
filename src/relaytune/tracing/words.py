"""By words: what in an answer is wrong, and BM25 of the answer against training rows, the wrong part weighing more."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import Any

from relaytune.core.bm25 import import_bm25s

WRONG_WEIGHT = 5  # how often a word of the wrong part counts in the query, other words counting once

_WORD = re.compile(r"\d+(?:[.,:]\d+)*|\w+(?:['’]\w+)*")


@dataclass(frozen=True)
class Part:
    """A piece of a text: where it stands, and what is the same in pieces that say the same."""

    text: str
    begin: int
    end: int
    key: tuple[Hashable, ...]
    stems: frozenset[str] = frozenset()  # of a name: what tells it from other names


# a text → the values and names in it: what tells one answer from another
FindSpecifics = Callable[[str], Sequence[Part]]


def tokens_of(text: str) -> list[str]:
    """Words in small letters; numbers without separators of thousands."""
    return [_plain(found[0]) for found in _WORD.finditer(text)]


def _plain(word: str) -> str:
    if not word[0].isdigit():
        return word.casefold()
    return re.sub(r"\.0+$", "", re.sub(r",(?=\d{3}\b)", "", word))


def wrong_parts(
    answer: str, question: str, right: Iterable[str], claims: Sequence[str], specifics_of: FindSpecifics
) -> list[Part]:
    """What in an answer is taken to be wrong, at its places in the answer.

    The values and names (of the wrong claims, where they are known) that stand neither in the question nor in what is
    known to be right; without such, the runs of words that stand in neither.
    """
    known = [question, *right]
    spans = [
        found.span() for claim in claims if claim.strip() for found in re.finditer(re.escape(claim.strip()), answer)
    ]

    def claimed(part: Part) -> bool:
        return not spans or any(begin < part.end and part.begin < end for begin, end in spans)

    known_parts = [part for text in known for part in specifics_of(text)]
    known_keys, known_stems = {part.key for part in known_parts}, {stem for part in known_parts for stem in part.stems}

    def is_known(part: Part) -> bool:
        # "M.Sc. in Digital Heritage" is known where "Digital Heritage" is
        return 2 * len(part.stems & known_stems) > len(part.stems) if part.stems else part.key in known_keys

    specific = [part for part in specifics_of(answer) if not is_known(part) and claimed(part)]
    if specific:
        return specific
    known_words = {word for text in known for word in tokens_of(text)} | _stop_words()
    return [part for part in _runs(answer, known_words) if claimed(part)]


def _runs(text: str, leave_out: AbstractSet[str]) -> list[Part]:
    """Runs of words with nothing but spaces between them, of which none is left out."""
    runs: list[list[re.Match[str]]] = []
    previous_end: int | None = None
    for found in _WORD.finditer(text):
        if _plain(found[0]) in leave_out:
            previous_end = None
            continue
        if previous_end is None or text[previous_end : found.start()].strip():
            runs.append([])
        runs[-1].append(found)
        previous_end = found.end()
    return [
        Part(
            text[run[0].start() : run[-1].end()],
            run[0].start(),
            run[-1].end(),
            tuple(_plain(found[0]) for found in run),
        )
        for run in runs
    ]


def stated(parts: Sequence[Part], text: str, specifics_of: FindSpecifics) -> tuple[str, ...]:
    """Those of the parts that a text says too, as they are spelt in the answer."""
    keys, words = {part.key for part in specifics_of(text)}, tokens_of(text)
    found = [part.text for part in parts if part.key in keys or _contains(words, tokens_of(part.text))]
    return tuple(dict.fromkeys(found))


def other_subject(
    asked: str, answer: str, row_asked: str, row_answer: str, specifics_of: FindSpecifics
) -> tuple[str, ...]:
    """The names that a row's question speaks of instead of those that are asked about.

    None where the row speaks of every name that is asked about, or its question names nothing else.
    """

    def stems_of(*texts: str) -> set[str]:
        return {stem for text in texts for part in specifics_of(text) for stem in part.stems}

    here, there = stems_of(asked, answer), stems_of(row_asked, row_answer)
    missing = [part for part in specifics_of(asked) if part.stems and not part.stems & there]
    others = [part.text for part in specifics_of(row_asked) if part.stems and not part.stems & here]
    return tuple(dict.fromkeys(others)) if missing else ()


def _contains(words: list[str], run: list[str]) -> bool:
    return any(words[at : at + len(run)] == run for at in range(len(words) - len(run) + 1))


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(import_bm25s().stopwords.STOPWORDS_EN_PLUS) - {
        "no",
        "not",
        "only",
        "until",
        "before",
        "after",
    }  # these can be what is wrong


class WordIndex:
    """BM25 (Robertson and Zaragoza 2009; Lucene's variant, by bm25s) over the training rows, question and answer.

    Texts are in the order of the training rows.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._tokens = [tokens_of(text) for text in texts]
        self._index = import_bm25s().BM25(method="lucene")
        self._index.index(self._tokens, show_progress=False)
        counts: dict[str, int] = {}
        for tokens in self._tokens:
            for token in set(tokens):
                counts[token] = counts.get(token, 0) + 1
        self._rows_with = counts

    def scores(self, text: str, wrong: Sequence[Part]) -> Any:
        """BM25 of every row, in an array of shape [rows]."""
        import numpy as np

        query = tokens_of(text) + (WRONG_WEIGHT - 1) * [token for part in wrong for token in tokens_of(part.text)]
        return self._index.get_scores(query) if query else np.zeros(len(self._tokens))  # bm25s takes no empty query

    def shared(self, text: str, row: int, wrong: Sequence[Part], most: int = 3) -> tuple[str, ...]:
        """The rarest phrases that a text has in common with a row, in the text's own words, the rarest first.

        They hold no stop words, and nothing of the wrong parts.
        """
        there, left_out = self._tokens[row], _stop_words() | {word for part in wrong for word in tokens_of(part.text)}
        phrases: dict[str, tuple[float, str]] = {}
        for run in _runs(text, left_out):
            words = list(_WORD.finditer(run.text))
            plain = [_plain(found[0]) for found in words]
            at = 0
            while at < len(words):
                length = next((n for n in range(len(words) - at, 0, -1) if _contains(there, plain[at : at + n])), 0)
                if length:
                    phrase = run.text[words[at].start() : words[at + length - 1].end()]
                    rarity = sum(1 / self._rows_with[token] for token in plain[at : at + length])
                    phrases.setdefault(phrase.casefold(), (rarity, phrase))
                at += max(1, length)
        longest = [found for found in phrases.values() if not any(_within(found[1], other) for other in phrases)]
        return tuple(phrase for _, phrase in sorted(longest, key=lambda found: -found[0])[:most])


def _within(phrase: str, other: str) -> bool:
    return phrase.casefold() != other and _contains(tokens_of(other), tokens_of(phrase))
