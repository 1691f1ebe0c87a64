"""An answer cut into claims that can be checked, and a question into what it takes for granted."""

from __future__ import annotations

import re

from relaytune.core.claims import Claim, ClaimKind, Statement
from relaytune.core.files import sha256_of_value
from relaytune.facts.language.names import names
from relaytune.facts.language.polarity import has_polarity
from relaytune.facts.language.sentences import Span, asks_whether, sentences
from relaytune.facts.language.values import values
from relaytune.facts.language.words import WORD, content_stems

# where a sentence may be cut if values stand on both sides
_CLAUSE = re.compile(r";\s|,\s(?:and|but|while|whereas|so|plus)\s|\s(?:and the|and its|while|whereas)\s|,\s(?=the\s)")
_REFERS = re.compile(
    r"\b(?:it|its|this|that|these|those|they|them|their|he|she|his|her|him|there|both|such|same|former|latter)\b",
    re.IGNORECASE,
)

_GREETING = re.compile(
    r"^\W*(?:hello|hi|hey|dear|good (?:morning|afternoon|evening)|thank(?:s| you)|you(?:'|’)re welcome"
    r"|best (?:regards|wishes)|kind regards"
    r"|sincerely|good luck|congratulations|great question|good question|sure|certainly|of course|absolutely"
    r"|i hope|hope this|i(?:'|’)m (?:happy|glad|sorry)"
    r"|i am (?:happy|glad|sorry)|happy to|glad to|feel free|let me know|please (?:let|feel|note that$)|don(?:'"
    r"|’)t hesitate|welcome|all the best)\b",
    re.IGNORECASE,
)
_OPINION = re.compile(
    r"\b(?:i (?:think|believe|feel|guess|suppose|would (?:say|recommend|suggest|advise)|recommend|suggest"
    r"|advise)|in my (?:opinion|view)"
    r"|probably|perhaps|maybe|it might be|it may be (?:worth|helpful|useful|wise)|it(?:'|’)s (?:best|wise|worth"
    r"|a good idea|always)|it is (?:best|wise|worth|advisable|a good idea|recommended)"
    r"|you (?:might|may) (?:want|wish)|you should (?:consider|check|contact|ask|be fine)|consider|make sure"
    r"|be sure|remember to|keep in mind|plan ahead|double-check"
    r"|check (?:the|with|your)|contact|ask|look (?:at|for|up)|visit|reach out|get in touch|see the)\b",
    re.IGNORECASE,
)
# what a question says by the way
_PREMISE = re.compile(
    r"\b(?:since|as|because|given that|given|now that|considering that|seeing that|although|even though"
    r"|knowing that|i (?:know|read|heard|saw|understand|noticed|was told)(?: that)?"
    r"|i(?:'|’)ve (?:read|heard|seen)(?: that)?|the (?:website|handbook"
    r"|brochure) says(?: that)?)\s(?P<said>[^?]+?)(?=,\s(?:how|what|when|where|who|which|why|can|could|do|does"
    r"|is|are|should|will|would|may|must|am)\b|[?.!]|$)",
    re.IGNORECASE,
)
# "where do I pay the 85 EUR fee": what stands behind "the" is taken for granted
_THE_VALUE = re.compile(r"\bthe (?:\w+ )?(?=(?:[€$£]\s?)?\d)", re.IGNORECASE)
_OF_ONESELF = re.compile(r"^\W*(?:(?:hello|hi|hey)\W+)?(?:i|i'm|i've|my|we|our|me)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"^\W*(?:(?:hello|hi|hey|please|and|but|so|also)\W+)*(?:how|what|when|where|who|whom|whose|which|why|is|are"
    r"|was|were|do|does|did|can|could|should|shall|will|would|may|must|am|has|have)\b",
    re.IGNORECASE,
)


def split_claims(statement: Statement) -> list[Claim]:
    """The claims of an answer, then those of its question, each verbatim.

    A claim is a sentence, or a part of one that has values of its own. What claims nothing (a greeting, an opinion,
    advice without a fact) is returned too, with empty `kinds`. Of a question only what it takes for granted is a
    claim: that what it names exists, and what it says beside the question.
    """
    claims = []
    said_before = ""
    for sentence in sentences(statement.answer):
        text = sentence.of(statement.answer)
        for piece in _pieces(text):
            claims.append(
                _claim(statement, "answer", piece, _context(statement, text, piece, said_before), claim_kinds(piece))
            )
        said_before = text
    for piece, kinds in _premises(statement.question):
        context = statement.question if piece != statement.question.strip() else ""
        claims.append(_claim(statement, "question", piece, context, kinds))
    return _once(claims)


def claim_kinds(text: str) -> tuple[ClaimKind, ...]:
    """What in a text can be checked; nothing of a greeting, an opinion or advice."""
    kinds: list[ClaimKind] = list(dict.fromkeys(value.kind for value in values(text)))
    if names(text):
        kinds.append("name")
    if has_polarity(text) and not _OPINION.search(text):
        kinds.append("negation")
    if kinds or _GREETING.search(text) or _OPINION.search(text) or text.endswith("?"):
        return tuple(kinds)
    if content_stems(text) or re.match(r"\W*(?:yes|no)\b", text, re.IGNORECASE):
        return ("statement",)
    return ()


def _pieces(sentence: str) -> list[str]:
    """The sentence, or its clauses where each has a value of its own."""
    cuts = [Span(mark.start(), mark.end()) for mark in _CLAUSE.finditer(sentence)]
    at = [(value.start, value.end) for value in values(sentence)]
    starts, ends = [0], []
    for number, cut in enumerate(cuts):
        limit = cuts[number + 1].start if number + 1 < len(cuts) else len(sentence)
        inside = any(start < cut.end and cut.start < end for start, end in at)
        before = any(starts[-1] <= start and end <= cut.start for start, end in at)
        behind = any(cut.end <= start for start, _ in at)
        enough = (
            len(WORD.findall(sentence[cut.end : limit])) >= 3
            and len(WORD.findall(sentence[starts[-1] : cut.start])) >= 3
        )
        apart = (before and behind) or sentence[cut.start] == ";"
        if apart and enough and not inside and _balanced(sentence[starts[-1] : cut.start]):
            ends.append(cut.start)
            starts.append(cut.end)
    ends.append(len(sentence))
    return [piece for start, end in zip(starts, ends, strict=True) if (piece := sentence[start:end].strip())]


def _balanced(text: str) -> bool:
    return text.count("(") == text.count(")")


def _context(statement: Statement, sentence: str, piece: str, said_before: str) -> str:
    """The question; the sentence before, where the claim refers to it; what stands before it in its own sentence."""
    parts = [statement.question.strip()]
    if said_before and (_REFERS.search(sentence) or len(content_stems(sentence)) < 4 or not names(sentence)):
        parts.append(said_before)
    if piece != sentence:
        parts.append(sentence[: sentence.index(piece)].strip(" ,;"))
    return " ".join(part for part in parts if part)


def _premises(question: str) -> list[tuple[str, tuple[ClaimKind, ...]]]:
    """What a question says beside asking: sentences and clauses that ask nothing, and the things that it names.

    What people say of themselves ("I have an IELTS score of 6.0") is nothing that sources could know.
    """
    found: list[tuple[str, tuple[ClaimKind, ...]]] = []
    for span in sentences(question):
        sentence = span.of(question)
        said = [match["said"].strip(" ,") for match in _PREMISE.finditer(sentence)]
        said += [sentence[match.start() :].rstrip(" ?") for match in [_THE_VALUE.search(sentence)] if match]
        asks = sentence.endswith("?") or _ASKS.match(sentence) is not None
        if not said and not asks and not _OF_ONESELF.match(sentence):
            said.append(sentence)
        found += [(piece, tuple(kind for kind in claim_kinds(piece) if kind != "statement")) for piece in said]
        if asks and (names(sentence) or not asks_whether(sentence)):
            found.append((sentence, ("name",)))
    return [(piece, kinds) for piece, kinds in found if piece]


def _claim(statement: Statement, part: str, text: str, context: str, kinds: tuple[ClaimKind, ...]) -> Claim:
    id = sha256_of_value([statement.id, part, text])[:16]
    return Claim(id, statement.id, "answer" if part == "answer" else "question", text, context, kinds)


def _once(claims: list[Claim]) -> list[Claim]:
    return list({claim.id: claim for claim in claims}.values())
