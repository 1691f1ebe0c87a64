"""The verifier that needs no model: values, names and denials, held against what the sources say of the same thing.

For each value of a claim the passages' values of the same kind and unit are ranked by how well their words (of the
line, its headings, its row and column) cover the claim's words, each weighing what it tells (inverse document
frequency). The claim's value among the best is support; another value there, and the claim's nowhere near, is
contradiction; the rest is not found. Where the subject is in doubt nothing is called a contradiction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from relaytune.core.claims import Claim, ClaimVerdict, Passage
from relaytune.facts.verifying.exact_lines import Line, claim_facts, lines_of
from relaytune.facts.verifying.exact_names import verdicts_of_names, verdicts_of_things
from relaytune.facts.verifying.exact_subjects import NAME, stems_of, subjects
from relaytune.facts.verifying.exact_values import verdict_of_value
from relaytune.facts.verifying.exact_vocabulary import Vocabulary
from relaytune.facts.verifying.exact_words import quotes_all_values, verdict_of_words


class ExactVerifier:
    """Compares values, names and denials. Deterministic; the same passages give the same verdicts."""

    name = NAME

    def __init__(self, passages: Iterable[Passage]) -> None:
        """Read all passages of the sources: how rare words are, and what has a name, is a matter of all of them."""
        self._lines: dict[str, tuple[Line, ...]] = {}
        self._vocabulary = Vocabulary([line for passage in passages for line in self._lines_of(passage)])

    def verify(self, claims: Sequence[Claim], passages: Sequence[Sequence[Passage]]) -> list[ClaimVerdict | None]:
        """One verdict per claim from its own passages; None where there is nothing to compare."""
        return [self._verify(claim, near) for claim, near in zip(claims, passages, strict=True)]

    def _verify(self, claim: Claim, passages: Sequence[Passage]) -> ClaimVerdict | None:
        found_lines = [line for passage in passages for line in self._lines_of(passage)]
        about = self._vocabulary.lines_about(stems_of(subjects(claim, self._vocabulary)))
        lines = list({id(line): line for line in [*found_lines, *about]}.values())
        found: list[ClaimVerdict] = []
        if claim.part == "answer" or set(claim.kinds) != {"name"}:  # a question that only names something says nothing
            found += self._of_values_and_words(claim, lines)
        found += verdicts_of_names(claim, lines, self._vocabulary)
        found += verdicts_of_things(claim, lines)
        return _joined(found)

    def _of_values_and_words(self, claim: Claim, lines: Sequence[Line]) -> list[ClaimVerdict]:
        of_words = verdict_of_words(claim, lines, self._vocabulary)
        if of_words and of_words.support == "supported" and quotes_all_values(of_words, claim):
            return [of_words]
        of_values = [verdict_of_value(claim, fact, lines, self._vocabulary) for fact in claim_facts(claim.text)]
        found = [verdict for verdict in of_values if verdict]
        if of_words and (of_words.support == "contradicted" or not found):
            found.append(of_words)
        return found

    def _lines_of(self, passage: Passage) -> tuple[Line, ...]:
        if passage.id not in self._lines:
            self._lines[passage.id] = tuple(lines_of(passage))
        return self._lines[passage.id]


def _joined(found: Sequence[ClaimVerdict]) -> ClaimVerdict | None:
    """The worst of what was found of a claim's parts: a contradiction, else what is not found, else support."""
    for support in ("contradicted", "not_found", "supported"):
        for verdict in found:
            if verdict.support == support:
                return verdict
    return None
