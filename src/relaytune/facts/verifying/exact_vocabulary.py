"""What all passages of the sources together tell: how rare words are, what is named, and what is said not to exist."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from itertools import islice

from relaytune.facts.language.names import DEGREE_STEMS, Name, parts, sort_of
from relaytune.facts.language.polarity import clauses, denies_existence
from relaytune.facts.language.words import content_stems, plain_words, stem, stems_in_order
from relaytune.facts.verifying.exact_lines import Line

UNSEEN = 0.35  # rarity of a word that the sources do not have, as a share of that of one that they have once
LINES_ABOUT = 100  # more stand under a name that singles nothing out; under one of examples/advisor at most 81


class Vocabulary:
    """The words and names of sources."""

    def __init__(self, lines: Iterable[Line]) -> None:
        """Read all lines of the sources."""
        frequencies: Counter[str] = Counter()
        self._names_with: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
        self._in_order: defaultdict[str, set[str]] = defaultdict(set)
        self._lines_with: defaultdict[str, list[Line]] = defaultdict(list)
        self._lines_under: defaultdict[str, list[Line]] = defaultdict(list)
        self._subjects: set[frozenset[str]] = set()
        self._denials: list[Line] = []
        of_sort: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
        common_nouns = {"=programme"}
        num_lines = 0
        for line in lines:
            num_lines += 1
            frequencies.update(line.stems)
            for word in line.stems:
                self._lines_with[word].append(line)
            for word in line.all_stems:
                self._lines_under[word].append(line)
            common_nouns.update(stem(word) for word in plain_words(line.text) if word.islower())
            if denies_existence(line.text):
                self._denials.append(line)
                continue  # what is only said not to exist is not known
            in_order = _in_order(line.text)
            for word in line.stems:
                self._in_order[word].add(in_order)
            for name in (*line.names, *line.heading_names):
                self._subjects.add(_bare_words(name))
                for word in name.stems - DEGREE_STEMS:
                    self._names_with[word].add(name.stems)
                if len(name.stems) > 1:
                    of_sort[sort_of(name, line.text)].add(name.stems)
        # what the sources know several of and call by a common noun: scholarships, offices, programmes
        self._sorts = {sort for sort, named in of_sort.items() if len(named) > 1 and sort in common_nouns}
        self._rarity = {word: math.log(1 + num_lines / count) for word, count in frequencies.items()}
        self._rarity_unseen = UNSEEN * math.log(1 + num_lines)

    def __contains__(self, word: str) -> bool:
        return word in self._rarity

    def rarity(self, word: str) -> float:
        """What a word tells: log(1 + lines / lines with it)."""
        return self._rarity.get(word, self._rarity_unseen)

    def share(self, stems: Collection[str], among: frozenset[str]) -> float:
        """Share of some words that stand among others, each counted by its rarity."""
        total = math.fsum(map(self.rarity, stems))  # fsum: a set has another order in each process
        return math.fsum(self.rarity(word) for word in stems if word in among) / total if total else 0.0

    def knows(self, name: Name) -> bool:
        """Whether the sources have a name, or each of a list of names, as a name or in so many words."""
        if self.names(name) or self._says(name):
            return True
        pieces = parts(name)
        return len(pieces) > 1 and all(self.names(piece) or self._says(piece) for piece in pieces)

    def names(self, name: Name) -> bool:
        """Whether a name stands in the sources as one, or as part of a longer one; a degree's subject as a whole."""
        bare = name.stems - DEGREE_STEMS
        if bare != name.stems:
            return _bare_words(name) in self._subjects
        return bool(bare) and bool(set.intersection(*(self._names_with.get(word, set()) for word in bare)))

    def _says(self, name: Name) -> bool:
        wanted = _in_order(name.text)
        first = next(iter(wanted.split()), "")
        return any(wanted in line for line in self._in_order.get(first, ()))

    def knows_sort_of(self, name: Name, text: str) -> bool:
        """Whether the sources know several things of the sort that a name in a text is of."""
        return sort_of(name, text) in self._sorts

    def lines_with(self, word: str) -> list[Line]:
        """All lines that have a word."""
        return self._lines_with.get(word, [])

    def lines_about(self, stems: frozenset[str]) -> list[Line]:
        """All lines that have some words, or stand under them; none where there are more than LINES_ABOUT."""
        rarest = min((self._lines_under.get(word, []) for word in stems), key=len, default=[])
        about = list(islice((line for line in rarest if stems <= line.all_stems), LINES_ABOUT + 1))
        return about if len(about) <= LINES_ABOUT else []

    def denial_of(self, name: Name) -> Line | None:
        """The line that says that there is no such thing, if one does."""
        bare = name.stems - DEGREE_STEMS
        for line in self._denials:
            if any(bare <= other.stems for other in line.names):
                return line
            if len(bare) > 1 and any(bare <= content_stems(clause) for clause in clauses(line.text)):
                return line
        return None


def _in_order(text: str) -> str:
    return f" {' '.join(word for word in stems_in_order(text) if word not in DEGREE_STEMS)} "


def _bare_words(name: Name) -> frozenset[str]:
    """A name's words without those of a degree, not reduced to stems: psychology is not psychological."""
    return frozenset(word.lower() for word in plain_words(name.text) if stem(word) not in DEGREE_STEMS)
