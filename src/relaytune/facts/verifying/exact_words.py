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
    has_polarity,
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

_SAME_BUT_FOR_DENIAL = 0.6  # of a claim's words, where a line denies it; set on half of the topics of examples/advisor
_ASKS_LEAVE = re.compile(r"\W*(?:can|may|could)\b", re.IGNORECASE)


def verdict_of_words(claim: Claim, lines: Sequence[Line], vocabulary: Vocabulary) -> ClaimVerdict | None:
    """Support where lines say every clause of the claim, contradiction where one says the opposite of a clause."""
    if fragment := _of_fragment(claim, lines, vocabulary):
        return fragment
    supported: list[ClaimVerdict | None] = []
    for clause in (*_answered(claim), *clauses(claim.text)):
        stems = _completed(claim, clause)
        if len(stems) < 2:
            continue
        said = [_of_clauses(claim, clause, stems, line, other, vocabulary)
                for line in lines for other in clauses(line.text)]  # fmt: skip
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


def _completed(claim: Claim, clause: str) -> frozenset[str]:
    """A clause's stems; those of the question too where it says only yes or no to it: "they are allowed"."""
    stems = affirmed_stems(clause)
    if len(stems) > 1 or claim.part == "question" or not (stems and has_polarity(clause)):
        return stems
    asked = [span.of(claim.context) for span in sentences(claim.context) if span.of(claim.context).endswith("?")]
    return stems | affirmed_stems(asked[0]) if asked else stems


def _of_clauses(
    claim: Claim, clause: str, stems: frozenset[str], line: Line, other: str, vocabulary: Vocabulary
) -> ClaimVerdict | None:
    said = affirmed_stems(other)
    spoken = said | line.around if begins_with_pronoun(other) else said
    if not stems & said or len(stems & spoken) < 2:
        return None
    if denies(clause) == denies(other):
        if not stems <= said | line.around:
            return None
        return verdict("supported", "the source says so in the same words", line, "statement")
    if not _speak_of_the_same(claim, stems, said, spoken, line, vocabulary):
        return None
    if EXCEPTION.search(line.text) or EXCEPTION.search(clause) or not may_speak_of(line, claim, vocabulary):
        return None
    if denies(other):
        return verdict("contradicted", f"the source denies what the {claim.part} says", line, "negation")
    return verdict("contradicted", f"the {claim.part} denies what the source says", line, "negation")


def _speak_of_the_same(
    claim: Claim,
    stems: frozenset[str],
    said: frozenset[str],
    spoken: frozenset[str],
    line: Line,
    vocabulary: Vocabulary,
) -> bool:
    """Whether a claim's clause and a line's say the same but for a denial."""
    share = vocabulary.share
    if share(stems, spoken) < HALF_THE_WORDS or share(stems, spoken | line.above) < _SAME_BUT_FOR_DENIAL:
        return False
    return share(said, stems) >= HALF_THE_WORDS and share(said, stems | content_stems(claim.context)) >= SAME_WORDS
