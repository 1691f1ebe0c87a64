"""Whether a clause affirms or denies: "may", "must", "is refunded" against their opposites."""

from __future__ import annotations

import re
from functools import lru_cache

from relaytune.facts.language.words import content_stems

# a "no" or "not" that denies nothing
_NEUTRAL = re.compile(
    r"\bnot only\b|\b(?:no|not) (?:later|earlier|more|less|fewer|longer|higher|lower) than\b|\bno matter\b"
    r"|\bor not\b|\bif not\b"
    r"|\bnot exceed\w*|\bwithout exception\b|\bwhy not\b|\bnot just\b|\bno\.\s?\d|\bno doubt\b|^\W*(?:no"
    r"|yes)\s*[,.:;!–-]"
    r"|\bnot (?:necessarily )?limited to\b|\bwithout (?:delay|further)\b|\bnon[- ](?:eu|european|native|german"
    r"|resident|academic|member)\w*",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(?:not|no|never|neither|nor|cannot|without|none|nobody|nothing|nowhere|hardly|refuses?|refused|denies|denied"
    r"|rejects?|rejected|lacks?|lost|loses?|forfeit(?:s|ed)?|fails? to|excludes?|excluded|excluding)\b|n['’]t\b",
    re.IGNORECASE,
)
# a word that denies another → that other
_DENYING_WORDS = {
    "forbidden": "allowed", "prohibited": "allowed", "prohibits": "allowed", "forbids": "allowed", "banned": "allowed",
    "barred": "allowed", "disallowed": "allowed", "ineligible": "eligible", "impossible": "possible", "unable": "able",
    "unavailable": "available", "invalid": "valid", "optional": "required", "voluntary": "required",
    "unnecessary": "required", "exempt": "required", "exempted": "required", "waived": "required", "unlimited": "limited", "unpaid": "paid",
    "inadmissible": "allowed", "unsuccessful": "successful", "unrestricted": "restricted", "unfurnished": "furnished",
    "irrevocable": "revocable", "nonrefundable": "refundable", "unlawful": "lawful", "illegal": "legal",
    "incomplete": "complete",
}  # fmt: skip
_DENYING = re.compile(rf"\b(?:{'|'.join(_DENYING_WORDS)})\b|\bnon-(?=[a-z])", re.IGNORECASE)
_MODAL = re.compile(
    r"\b(?:may|can|could|must|shall|need|needs|have to|has to|allowed|permitted|possible|required|mandatory"
    r"|compulsory|obligatory"
    r"|eligible|entitled|optional|forbidden|prohibited|exempt|waived|refund(?:ed|able)?|non-\w+|transferable"
    r"|available|accept(?:s|ed))\b",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(
    r"[,;:()]|\s(?:but|while|whereas|although|though|however|because|since|which|who|if|when)\s", re.IGNORECASE
)
EXCEPTION = re.compile(
    r"\b(?:except|unless|only|otherwise|however|apart from|other than|but|in exceptional)\b", re.IGNORECASE
)


@lru_cache(maxsize=50_000)
def denies(clause: str) -> bool:
    """Whether a clause denies what its other words say: an odd number of denials."""
    bare = _NEUTRAL.sub(" ", clause)
    return (len(_DENIAL.findall(bare)) + len(_DENYING.findall(bare))) % 2 == 1


@lru_cache(maxsize=50_000)
def affirmed_stems(clause: str) -> frozenset[str]:
    """The stems of what a clause affirms or denies: "ineligible" counts as "eligible"."""
    bare = _DENYING.sub(lambda found: _DENYING_WORDS.get(found[0].lower(), ""), _NEUTRAL.sub(" ", clause))
    return content_stems(bare)


def has_polarity(clause: str) -> bool:
    """Whether a clause denies, permits or requires something, so that its opposite could be said."""
    return denies(clause) or _MODAL.search(clause) is not None


@lru_cache(maxsize=50_000)
def clauses(sentence: str) -> tuple[str, ...]:
    """The clauses of a sentence, verbatim."""
    pieces, start = [], 0
    for mark in _CLAUSE_END.finditer(sentence):
        pieces.append(sentence[start : mark.start()])
        start = mark.end()
    pieces.append(sentence[start:])
    return tuple(piece.strip() for piece in pieces if len(piece.split()) > 1)
