"""What a claim is about, whether a line speaks of it, and how a line becomes evidence."""

from __future__ import annotations

from relaytune.core.claims import Claim, ClaimKind, ClaimVerdict, Evidence, Support
from relaytune.facts.language.names import Name, is_person, is_test, names
from relaytune.facts.language.words import content_stems
from relaytune.facts.verifying.exact_lines import Line, told_stems
from relaytune.facts.verifying.exact_vocabulary import Vocabulary

NAME = "exact"
# shares of words, each counted by its rarity; set on half of the topics of examples/advisor
SAME_ATTRIBUTE = 0.3  # of the words beside a claim's value or name
HALF_THE_WORDS = 0.5
SAME_WORDS = 0.8


def verdict(support: Support, reason: str, line: Line, kind: ClaimKind) -> ClaimVerdict:
    """A verdict that rests on a line."""
    passage = line.passage
    return ClaimVerdict(
        support, NAME, reason, (Evidence(passage.id, passage.document, passage.place, line.text),), kind
    )


def not_found(reason: str, kind: ClaimKind) -> ClaimVerdict:
    """A verdict that rests on nothing."""
    return ClaimVerdict("not_found", NAME, reason, kind=kind)


def subjects(claim: Claim, vocabulary: Vocabulary) -> list[Name]:
    """What a claim names, else what its question does, as far as the sources know it."""
    for text in (claim.text, claim.context):
        if known := [name for name in names(text) if not is_test(name) and vocabulary.knows(name)]:
            return known
    return []


def names_unknown(claim: Claim, vocabulary: Vocabulary) -> bool:
    """Whether a claim, or else its question, is about something that the sources do not know."""
    named = names(claim.text) or names(claim.context)
    return any(not is_person(name) and not is_test(name) and not vocabulary.knows(name) for name in named)


def stems_of(several: list[Name]) -> frozenset[str]:
    """The stems of several names."""
    return frozenset[str]().union(*(name.stems for name in several))


def may_speak_of(line: Line, claim: Claim, vocabulary: Vocabulary) -> bool:
    """Whether a line speaks of what the claim names; one that names nothing else is taken to be a rule for all."""
    named = [name for name in (names(claim.text) or names(claim.context)) if vocabulary.knows(name)]
    if all(name.stems <= line.all_stems for name in named):
        return True
    told = content_stems(claim.text) | content_stems(claim.context)
    return all(name.stems <= told for name in line.names) and any(name.stems <= line.all_stems for name in named)


def all_told(claim: Claim) -> frozenset[str]:
    """The stems of a claim and its context, without those of values."""
    return told_stems(claim.text) | told_stems(claim.context)
