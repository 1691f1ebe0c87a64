"""The verifier that needs no model: values, names and denials, held against what the sources say of the same thing.

For each value of a claim the passages' values of the same kind and unit are ranked by how well their words (of the
line, its headings, its row and column) cover the claim's words, each weighing what it tells (inverse document
frequency). The claim's value among the best is support; another value there, and the claim's nowhere near, is
contradiction; the rest is not found. Where the subject is in doubt nothing is called a contradiction.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relaytune.core.claims import Claim, ClaimKind, ClaimVerdict, Evidence, Passage, Support
from relaytune.facts.language.names import Name, is_person, names, parts
from relaytune.facts.language.polarity import EXCEPTION, affirmed_stems, clauses, denies, has_polarity
from relaytune.facts.language.values import agree, comparable, values
from relaytune.facts.language.words import content_stems
from relaytune.facts.verifying.exact_lines import Fact, Line, claim_facts, lines_of, told_stems

NAME = "exact"

# how much a claim's word counts where it stands
BESIDE, IN_LINE, ABOVE, IN_PASSAGE = 1.0, 0.9, 0.85, 0.3
OF_CONTEXT = 0.5  # a word of the question, against one of the claim
# shares of a claim's words that a line must cover; set on half of the topics of examples/advisor
SUPPORTS = 0.45
CONTRADICTS = 0.62
NEAR_BEST = 0.15  # lines so little worse than the best one are as good
SPEAKS_OF_IT = 0.25  # a line so much worse that has the claim's value keeps another from contradicting
SAME_WORDS = 0.8  # of a clause's words, for its denial or its repetition to be seen


@dataclass(frozen=True)
class _Candidate:
    """A value of the sources that a claim's value may be held against."""

    line: Line
    fact: Fact
    score: float
    agrees: bool | None


class ExactVerifier:
    """Compares values, names and denials. Deterministic; the same passages give the same verdicts."""

    name = NAME

    def __init__(self, passages: Iterable[Passage]) -> None:
        """Read all passages of the sources: how rare words are, and what has a name, is a matter of all of them."""
        self._lines: dict[str, tuple[Line, ...]] = {}
        frequencies: Counter[str] = Counter()
        self._where: defaultdict[str, set[int]] = defaultdict(set)
        self._num_lines = 0
        for passage in passages:
            lines = self._lines_of(passage)
            for line in lines:
                frequencies.update(line.stems)
                for stem in line.all_stems:
                    self._where[stem].add(self._num_lines)
                self._num_lines += 1
        self._rarity = {stem: math.log(1 + self._num_lines / count) for stem, count in frequencies.items()}
        self._rarity_unseen = 0.6 * math.log(1 + self._num_lines)

    def verify(self, claims: Sequence[Claim], passages: Sequence[Sequence[Passage]]) -> list[ClaimVerdict | None]:
        """One verdict per claim from its own passages; None where there is nothing to compare."""
        return [self._verify(claim, near) for claim, near in zip(claims, passages, strict=True)]

    def _verify(self, claim: Claim, passages: Sequence[Passage]) -> ClaimVerdict | None:
        lines = [line for passage in passages for line in self._lines_of(passage)]
        found: list[ClaimVerdict] = []
        if claim.part == "answer" or set(claim.kinds) != {"name"}:
            found += [verdict for fact in claim_facts(claim.text) if (verdict := self._of_value(claim, fact, lines))]
            if spoken := self._of_words(claim, lines, found):
                found.append(spoken)
        found += self._of_names(claim, lines)
        return _joined(found)

    # --- values

    def _of_value(self, claim: Claim, fact: Fact, lines: Sequence[Line]) -> ClaimVerdict | None:
        if _hypothetical(claim, fact):
            return None
        weights = self._weights(claim, fact)
        candidates = sorted(
            (
                _Candidate(line, other, self._score(weights, line, other), agree(fact.value, other.value))
                for line in lines
                for other in line.facts
                if comparable(fact.value, other.value)
            ),
            key=lambda one: -one.score,
        )
        kind, value = fact.value.kind, fact.value.text
        if not candidates:
            return ClaimVerdict("not_found", NAME, f"no source found says {value!r} or another such value", kind=kind)
        best = candidates[0].score
        for one in candidates:
            if one.agrees and one.score >= max(SUPPORTS, best - NEAR_BEST):
                return _verdict("supported", f"the source says {one.fact.value.text} too", one.line, kind)
        if any(one.agrees is not False and one.score >= best - SPEAKS_OF_IT for one in candidates):
            return ClaimVerdict("not_found", NAME, f"the sources say {value!r}, but not clearly of this", kind=kind)
        first = candidates[0]
        if best >= CONTRADICTS and self._same_subject(claim, first.line):
            reason = f"the source says {first.fact.value.text}, the {claim.part} {value}"
            return _verdict("contradicted", reason, first.line, kind)
        return ClaimVerdict("not_found", NAME, f"no source found says {value!r} of this", kind=kind)

    def _weights(self, claim: Claim, fact: Fact | None = None) -> dict[str, float]:
        """What each of a claim's words tells; those beside the value more, those of its context less."""
        own = told_stems(claim.text) | (fact.close if fact else frozenset())
        weights = {}
        for stem in own:
            near = fact is None or stem in fact.close
            weights[stem] = self._rarity.get(stem, self._rarity_unseen) * (1.0 if near else 0.7)
        for stem in told_stems(claim.context) - own:
            if stem in self._rarity:
                weights[stem] = OF_CONTEXT * self._rarity[stem]
        return weights

    def _score(self, weights: dict[str, float], line: Line, fact: Fact) -> float:
        """Share of a claim's words that a value's line covers, less for what the line says beyond them."""
        total = sum(weights.values())
        if not total:
            return 0.0
        covered = 0.0
        for stem, weight in weights.items():
            if stem in fact.close:
                covered += BESIDE * weight
            elif stem in line.stems:
                covered += IN_LINE * weight
            elif stem in line.around:
                covered += ABOVE * weight
            elif stem in line.elsewhere:
                covered += IN_PASSAGE * weight
        beside = sum(self._rarity.get(stem, 0.0) for stem in fact.close)
        beyond = sum(self._rarity.get(stem, 0.0) for stem in fact.close if stem not in weights)
        return covered / total - (0.15 * beyond / beside if beside else 0.0)

    def _same_subject(self, claim: Claim, line: Line) -> bool:
        """Whether a line speaks of what the claim names; one that names nothing else is taken to be a rule for all."""
        subjects = [name for name in (names(claim.text) or names(claim.context)) if self._known(name)]
        if all(name.stems <= line.all_stems for name in subjects):
            return True
        told = content_stems(claim.text) | content_stems(claim.context)
        return all(name.stems <= told for name in line.names) and any(name.stems <= line.all_stems for name in subjects)

    # --- names

    def _known(self, name: Name) -> bool:
        """Whether some line of the sources, with its headings, has all words of a name, or of each name of a list."""
        return self._together(name.stems) or all(self._together(part.stems) for part in parts(name) or (name,))

    def _together(self, stems: frozenset[str]) -> bool:
        found: set[int] | None = None
        for stem in stems:
            here = self._where.get(stem, set())
            found = set(here) if found is None else found & here
            if not found:
                return False
        return True

    def _of_names(self, claim: Claim, lines: Sequence[Line]) -> list[ClaimVerdict]:
        found = []
        for name in names(claim.text):
            if claim.part == "answer" and (line := self._line_naming_another(claim, name, lines)):
                other = next(other for other in line.names if _same_sort(name, other))
                reason = f"the source names {other.text}, the answer {name.text}"
                found.append(_verdict("contradicted", reason, line, "name"))
            elif not self._known(name):
                found.append(ClaimVerdict("not_found", NAME, f"no source knows {name.text!r}", kind="name"))
        return found

    def _line_naming_another(self, claim: Claim, name: Name, lines: Sequence[Line]) -> Line | None:
        """The line that says of another of the same sort what the claim says of this name."""
        said = told_stems(claim.text) - name.stems
        told = told_stems(claim.text) | told_stems(claim.context)
        if len(said) < 2:
            return None
        found = None
        for line in lines:
            share = self._share(said, line.all_stems)
            if share >= SAME_WORDS - SPEAKS_OF_IT and name.stems <= line.all_stems | line.elsewhere:
                return None
            others = [other for other in line.names if _same_sort(name, other)]
            if found is None and share >= SAME_WORDS and said & line.stems and others:
                found = line if not any(other.stems <= told for other in others) else None
        return found

    # --- words: the same clause, affirmed or denied

    def _of_words(self, claim: Claim, lines: Sequence[Line], of_values: Sequence[ClaimVerdict]) -> ClaimVerdict | None:
        """What a line says in the claim's own words, or with a denial more or less."""
        for clause in clauses(claim.text):
            stems = affirmed_stems(clause)
            if len(stems) < 2 or (values(clause) and not has_polarity(clause)):
                continue
            for line in lines:
                for other in clauses(line.text):
                    verdict = self._of_clauses(claim, clause, stems, line, other)
                    if verdict and (verdict.support == "contradicted" or not of_values):
                        return verdict
        return None

    def _of_clauses(
        self, claim: Claim, clause: str, stems: frozenset[str], line: Line, other: str
    ) -> ClaimVerdict | None:
        said = affirmed_stems(other)
        if (
            not stems & said
            or len(stems & (said | line.around)) < 2
            or self._share(stems, said | line.around) < SAME_WORDS
        ):
            return None
        if denies(clause) == denies(other):
            return _verdict("supported", "the source says so in the same words", line, "statement")
        told = stems | content_stems(claim.context) | content_stems(claim.text)
        if self._share(said, told) < SAME_WORDS or EXCEPTION.search(line.text) or EXCEPTION.search(clause):
            return None
        if not self._same_subject(claim, line):
            return None
        denying = (
            f"the source denies what the {claim.part} says"
            if denies(other)
            else f"the {claim.part} denies what the source says"
        )
        return _verdict("contradicted", denying, line, "negation")

    def _share(self, stems: frozenset[str], among: frozenset[str]) -> float:
        total = sum(self._rarity.get(stem, self._rarity_unseen) for stem in stems)
        return sum(self._rarity.get(stem, self._rarity_unseen) for stem in stems & among) / total if total else 0.0

    def _lines_of(self, passage: Passage) -> tuple[Line, ...]:
        if passage.id not in self._lines:
            self._lines[passage.id] = tuple(lines_of(passage))
        return self._lines[passage.id]


def _hypothetical(claim: Claim, fact: Fact) -> bool:
    """Whether a value is what the asker said of themselves ("with your score of 6.0")."""
    before = claim.text[max(0, fact.value.start - 40) : fact.value.start].lower()
    own = any(word in before for word in ("your ", "you have", "you've", "with a", "if ", "with an"))
    return own and any(agree(fact.value, value) for value in values(claim.context) if comparable(fact.value, value))


def _same_sort(name: Name, other: Name) -> bool:
    """Whether two names are of different persons, or of different things of one sort."""
    if name.stems <= other.stems or other.stems <= name.stems:
        return False
    if is_person(name) or is_person(other):
        return is_person(name) and is_person(other)
    return name.head == other.head and len(name.stems) > 1 and len(other.stems) > 1


def _verdict(support: Support, reason: str, line: Line, kind: ClaimKind) -> ClaimVerdict:
    passage = line.passage
    return ClaimVerdict(
        support, NAME, reason, (Evidence(passage.id, passage.document, passage.place, line.text),), kind
    )


def _joined(found: Sequence[ClaimVerdict]) -> ClaimVerdict | None:
    """The worst of what was found of a claim's parts: a contradiction, else what is not found, else support."""
    for support in ("contradicted", "not_found", "supported"):
        for verdict in found:
            if verdict.support == support:
                return verdict
    return None
