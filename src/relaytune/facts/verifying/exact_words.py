"""What the sources say in a claim's own words, or with one denial more or less."""

from __future__ import annotations

import re
from collections.abc import Sequence

from relaytune.core.claims import Claim, ClaimVerdict
from relaytune.facts.language.polarity import (
    EXCEPTION,
    affirmed_stems,
    begins_with_pronoun,
    clauses,
    denies,
    is_fragment,
    says_yes,
)
from relaytune.facts.language.sentences import asks_whether, sentences
from relaytune.facts.language.values import agree, comparable, values
from relaytune.facts.language.words import content_stems
from relaytune.facts.verifying.exact_lines import Line, claim_facts
from relaytune.facts.verifying.exact_subjects import HALF_THE_WORDS, SAME_WORDS, may_speak_of, verdict
from relaytune.facts.verifying.exact_values import word_weights
from relaytune.facts.verifying.exact_vocabulary import Vocabulary

_ASKS_LEAVE = re.compile(r"\W*(?:can|may|could)\b", re.IGNORECASE)


def verdict_of_words(claim: Claim, lines: Sequence[Line], vocabulary: Vocabulary) -> ClaimVerdict | None:
    """Support where lines say every clause of the claim, contradiction where one says the opposite of a clause."""
    if fragment := _of_fragment(claim, lines, vocabulary):
        return fragment
    supported: list[ClaimVerdict | None] = []
    for clause in (*_answered(claim), *clauses(claim.text)):
        if len(affirmed_stems(clause)) < 2:
            continue
        said = [_of_clauses(claim, clause, line, other, vocabulary) for line in lines for other in clauses(line.text)]
        for one in said:
            if one and one.support == "contradicted":
                return one
        if clause in claim.text:
            supported.append(next((one for one in said if one), None))
    return supported[0] if supported and all(supported) else None


def _answered(claim: Claim) -> list[str]:
    """What "yes" or "no" says: the question, affirmed or denied."""
    if claim.part == "question" or not asks_whether(claim.context):
        return []
    question = next(span.of(claim.context) for span in sentences(claim.context) if asks_whether(span.of(claim.context)))
    if says_yes(claim.text):
        return [f"allowed: {question}" if _ASKS_LEAVE.match(question) else question]
    return []


def quotes_all_values(given: ClaimVerdict, claim: Claim) -> bool:
    """Whether the line that a verdict quotes has every value of the claim, in the same role."""
    there = [fact for evidence in given.evidence for fact in claim_facts(evidence.quotation)]
    return all(
        any(
            comparable(one.value, other.value) and agree(one.value, other.value) and one.role == other.role
            for other in there
        )
        for one in claim_facts(claim.text)
    )


def _of_fragment(claim: Claim, lines: Sequence[Line], vocabulary: Vocabulary) -> ClaimVerdict | None:
    """Whether a line that speaks of the question holds an answer of a few words."""
    stems = content_stems(claim.text)
    if not stems or values(claim.text) or claim.part == "question" or not is_fragment(claim.text):
        return None
    about = frozenset(word_weights(claim, vocabulary)) - stems
    for line in lines:
        if stems <= line.stems and vocabulary.share(about, line.all_stems | line.elsewhere) >= HALF_THE_WORDS:
            return verdict("supported", "the source has these words where it speaks of the question", line, "name")
    return None


def _of_clauses(claim: Claim, clause: str, line: Line, other: str, vocabulary: Vocabulary) -> ClaimVerdict | None:
    stems, said = affirmed_stems(clause), affirmed_stems(other)
    spoken = said | line.around if begins_with_pronoun(other) else said
    if not stems & said or len(stems & spoken) < 2:
        return None
    if denies(clause) == denies(other):
        if not stems <= said | line.around:
            return None
        return verdict("supported", "the source says so in the same words", line, "statement")
    share = vocabulary.share
    if share(stems, spoken) < HALF_THE_WORDS or share(stems, spoken | line.above) < SAME_WORDS:
        return None
    if share(said, stems | content_stems(claim.context)) < SAME_WORDS or share(said, stems) < HALF_THE_WORDS:
        return None
    if EXCEPTION.search(line.text) or EXCEPTION.search(clause) or not may_speak_of(line, claim, vocabulary):
        return None
    if denies(other):
        return verdict("contradicted", f"the source denies what the {claim.part} says", line, "negation")
    return verdict("contradicted", f"the {claim.part} denies what the source says", line, "negation")
