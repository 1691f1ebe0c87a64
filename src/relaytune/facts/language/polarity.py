"""Whether a clause affirms or denies: "may", "must", "is refunded" against their opposites."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from relaytune.facts.language.words import content_stems

# a "no" or "not" that denies nothing
_NEUTRAL = re.compile(
    r"\bnot only\b|\b(?:no|not) (?:later|earlier|more|less|fewer|longer|higher|lower) than\b|\bno matter\b"
    r"|\bor not\b|\bif not\b"
    r"|\bnot exceed\w*|\bwithout exception\b|\bwhy not\b|\bnot just\b|\bnot (?:\w+ ){0,4}without\b|\bno\.\s?\d"
    r"|\bno doubt\b|^\W*(?:no"
    r"|yes)\s*[,.:;!–-]"
    r"|\bnot (?:necessarily )?limited to\b|\bwithout (?:delay|further)\b|\bnon[- ](?:eu|european|native|german"
    r"|resident|academic|member)\w*",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(?:not|no|never|neither|nor(?! \w+ nor)|cannot|none|nobody|nothing|nowhere|hardly|excludes?|excluded)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
_ALSO_DENIED = re.compile(
    r"\b(?:and|or|nor)\s+(?:(?:do|does|did|is|are|was|were|has|have|can|may|must|will)\s+)?(?:not|no|never|cannot)\b",
    re.IGNORECASE,
)
_NEITHER_NOR = re.compile(r"\bneither\b(.*?)\bnor\b", re.IGNORECASE)
_PRONOUN = re.compile(r"\W*(?:it|they|this|that|these|those|he|she)\b", re.IGNORECASE)
# a word that denies another → that other
_DENYING_WORDS = {
    "forbidden": "allowed", "prohibited": "allowed", "prohibits": "allowed", "forbids": "allowed", "banned": "allowed",
    "barred": "allowed", "disallowed": "allowed", "ineligible": "eligible", "impossible": "possible", "unable": "able",
    "unavailable": "available", "invalid": "valid", "optional": "required", "voluntary": "required",
    "unnecessary": "required", "exempt": "required", "exempted": "required",
    "unlimited": "limited", "unpaid": "paid",
    "inadmissible": "allowed", "unsuccessful": "successful", "unrestricted": "restricted", "unfurnished": "furnished",
    "irrevocable": "revocable", "nonrefundable": "refundable", "unlawful": "lawful", "illegal": "legal",
    "incomplete": "complete",
}  # fmt: skip
_DENYING = re.compile(rf"\b(?:{'|'.join(_DENYING_WORDS)})\b|\bnon-(?=[a-z])", re.IGNORECASE)
_MODAL = re.compile(
    r"\b(?:(?-i:may)|can|could|must|shall|need|needs|have to|has to|allowed|permitted|possible|required|mandatory"
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

_NO_SUCH = re.compile(
    r"\bthere (?:is|are|was|were) (?:currently |also )?(?:no|neither|not an?y?)\b|\bthere (?:isn|aren|wasn"
    r"|weren)['’]t\b|\bno such\b"
    r"|\b(?:do|does|did|is|are|was|were|has|have)(?: not|n['’]t) (?:\w+ ){0,2}?(?:exist|offer(?:ed)?|teach"
    r"|taught|run|award(?:ed)?"
    r"|provided?|known?|listed)\b"
    r"|\bcannot be studied\b|\b(?:offers?|has|have|runs?|awards?|knows?) no\b|\bno longer (?:exists?|offer\w*"
    r"|runs?|award\w*|open)\b"
    r"|\b(?:was|were|has been|have been) (?:closed|discontinued|abolished|withdrawn|merged)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=50_000)
def denies_existence(sentence: str) -> bool:
    """Whether a sentence says that something does not exist or is not offered: "There is no faculty of law"."""
    return _NO_SUCH.search(sentence) is not None


@lru_cache(maxsize=50_000)
def denies(clause: str) -> bool:
    """Whether a clause denies what its other words say: an odd number of denials."""
    bare = _NEITHER_NOR.sub(r"not \1", _NEUTRAL.sub(" ", clause))
    if first := _DENIAL.search(bare):  # "no lift and no garden" denies once, of both
        bare = bare[: first.end()] + _ALSO_DENIED.sub(" ", bare[first.end() :])
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


_DENIED = re.compile(
    r"\b(?:there (?:is|are|was|were) (?:currently )?no|(?:has|have|offers?|runs?|awards?|sets?|knows?) no|(?<=, )no"
    r"|(?:does|do)(?: not|n['’]t) (?:offer|run|award|have|teach|set) (?:an?|any|the)?)\s(?P<what>[^,;.:()]+)"
    r"|(?P<who>[^,;.:()]+?) (?:do|does)(?: not|n['’]t) exist\b",
    re.IGNORECASE,
)
# "there is no minimum" says nothing by itself: of what?
_OF_SOMETHING = content_stems("minimum maximum fee deadline limit requirement length reason need difference duration")
_FURTHER = re.compile(r"\s(?:at|for|on|here|where|that|which|who|of any|to|from|because|so|with|and|or|nor)\s.*")


_FOR_WHOM = re.compile(r"\sfor\s(?P<whom>.*)", re.IGNORECASE)
_HAS = re.compile(r"(?:has|have|does|do)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Denied:
    """A thing that is said not to exist, as stems, and for whom: none where for all."""

    thing: frozenset[str]
    whom: frozenset[str] = frozenset()


@lru_cache(maxsize=50_000)
def denied_things(sentence: str) -> tuple[Denied, ...]:
    """What a sentence says not to exist: "There is no faculty of law" → faculty, law.

    "Guests have no card" and "There is no card for guests" say so of guests alone.
    """
    if not denies_existence(sentence):
        return ()
    found = []
    for match in _DENIED.finditer(sentence):
        what = match["what"] or match["who"]
        for_whom = _FOR_WHOM.search(what)
        whom = content_stems(for_whom["whom"]) if for_whom else frozenset[str]()
        if _HAS.match(match[0]):
            subject = re.split(r"[,;:()]\s", sentence[: match.start()])[-1]
            if begins_with_pronoun(subject):
                continue  # "it has no lift": what is "it"?
            whom |= content_stems(subject)
        thing = content_stems(_FURTHER.sub("", what))
        if len(thing) > 1 and not thing & _OF_SOMETHING:
            found.append(Denied(thing, whom))
    return tuple(found)


def begins_with_pronoun(clause: str) -> bool:
    """Whether a clause speaks of what the sentence before named."""
    return _PRONOUN.match(clause) is not None


_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|do|does|did|can|could|may|must|will|would|shall|should)\b|n['’]t\b"
)


def is_fragment(text: str) -> bool:
    """Whether a text is an answer of a few words and no sentence: "Delhi", "two letters of recommendation"."""
    return len(text.split()) <= 6 and not _VERB.search(text)


def says_yes(text: str) -> bool:
    """Whether an answer begins by affirming."""
    return re.match(r"\W*(?:yes|certainly|of course|absolutely|indeed|sure)\b", text, re.IGNORECASE) is not None
