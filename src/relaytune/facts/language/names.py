"""Names: capitalised phrases that stand for one person, place, organisation, programme or the like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from relaytune.facts.language.values import values
from relaytune.facts.language.words import STOPWORDS, WORD, content_stems, stem

_CONNECTORS = frozenset(
    ["of", "for", "and", "the", "&", "de", "la", "le", "del", "der", "den", "von", "van", "di", "da", "du", "al", "bin"]
)
_TITLES = frozenset(["dr", "prof", "professor", "mr", "mrs", "ms", "mx", "sir", "dame"])
# words that are often capitalised and name nothing by themselves
_OFTEN_CAPITAL = """
    yes no hello hi dear thanks thank please note however also finally first second third next additionally
    furthermore moreover overall therefore thus congratulations sorry sure certainly absolutely great good
    unfortunately fortunately generally usually typically currently student students applicant applicants monday
    tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december master bachelor masters bachelors phd msc bsc ma ba english i ok faq pdf
    id cv
"""
_NO_NAMES = frozenset(_OFTEN_CAPITAL.split())
_DEGREE = re.compile(
    r"(?:Master|Bachelor|Doctor)(?:'s)? of (?:Science|Arts|Engineering|Education|Laws|Business Administration"
    r"|Philosophy)\b"
)
_DEGREE_WORD = re.compile(
    r"(?:Master|Bachelor|Doctor|Minor|Major|Degree|Diploma|Certificate|Ph\.?D|[MB]\.?(?:Sc|Eng|Ed|A)\b|LL\.?[MB])"
)
DEGREE_STEMS = frozenset({"=master", "=bachelor", "=doctorate", "ma", "ba", "meng", "beng", "degre", "=programme"})


@dataclass(frozen=True)
class Name:
    """A name as it stands in a text."""

    text: str  # verbatim
    start: int
    end: int
    stems: frozenset[str]  # what tells it from other names; without titles
    head: str  # stem of the word that says what it is: of "Harbour Scholarship" scholarship, of "School of Law" school


@lru_cache(maxsize=50_000)
def names(text: str) -> tuple[Name, ...]:
    """The names in a text, in order. A word that is capitalised only because a sentence begins with it is none."""
    covered = [(value.start, value.end) for value in values(text)]
    found: list[Name] = []
    phrase: list[re.Match[str]] = []
    for token in [*re.finditer(r"&|" + WORD.pattern, text), None]:
        if token is not None and _continues(text, phrase, token, covered):
            phrase.append(token)
            continue
        if name := _name(text, phrase):
            found.append(name)
        phrase = [token] if token is not None and _capital(token, covered) else []
    return tuple(found)


def is_person(name: Name) -> bool:
    """Whether a name begins with a title."""
    return re.match(r"[A-Za-z]+", name.text[:12]) is not None and name.text.split()[0].rstrip(".").lower() in _TITLES


def is_test(name: Name) -> bool:
    """Whether a name is an acronym, which may be that of a test, and no subject by itself."""
    return name.text.isupper() and name.text.isalpha()


def sort_of(name: Name, text: str) -> str:
    """What sort of thing a name is of: its own word ("Harbour Scholarship") or the one behind it in the text."""
    if name.stems & DEGREE_STEMS:
        return "=programme"
    behind = re.match(r"\s([a-z]+)", text[name.end :])
    noun = stem(behind[1]) if behind and behind[1] not in STOPWORDS else ""
    return noun if noun in DEGREE_STEMS else name.head


def parts(name: Name) -> tuple[Name, ...]:
    """The names that a list is made of ("Physics and Chemistry"); the name itself where it is no list."""
    pieces = re.split(r"\s(?:and|&)\s(?:the\s)?|\s(?:in|at|on|for|to)\s(?:the\s)?", name.text)
    return tuple(made for piece in pieces if (made := _made(piece, name.start)))


def _continues(text: str, phrase: list[re.Match[str]], token: re.Match[str], covered: list[tuple[int, int]]) -> bool:
    if not phrase:
        return False
    between = text[phrase[-1].end() : token.start()]
    joined = between in (" ", "-", "\n", "’s ", "'s ") or (between == ". " and phrase[-1][0].lower() in _TITLES)
    if not joined:
        return False
    if token[0] == "in":  # "M.Sc. in Physics", but not "the Dean in Berlin"
        return any(_DEGREE_WORD.match(word[0]) for word in phrase)
    return _capital(token, covered) or token[0] in _CONNECTORS


def _capital(token: re.Match[str], covered: list[tuple[int, int]]) -> bool:
    return token[0][0].isupper() and not any(start < token.end() and token.start() < end for start, end in covered)


def _name(text: str, phrase: list[re.Match[str]]) -> Name | None:
    """The phrase without connectors at its ends, and without a first word that only begins the sentence."""
    while phrase and (phrase[-1][0] in _CONNECTORS or phrase[-1][0] == "in" or phrase[-1][0].lower() in STOPWORDS):
        phrase = phrase[:-1]
    if phrase and _begins_sentence(text, phrase[0].start()):
        word = phrase[0][0].lower()
        degree = _DEGREE_WORD.match(phrase[0][0]) and len(phrase) > 2 and phrase[1][0] in ("of", "in")
        if word in STOPWORDS or (word in _NO_NAMES and not degree) or (len(phrase) == 1 and not _acronym(phrase[0][0])):
            phrase = phrase[1:]
        if len(phrase) > 2 and phrase[1][0] == "for":
            phrase = phrase[2:]  # "Tuition for …"
        while phrase and phrase[0][0] in _CONNECTORS:
            phrase = phrase[1:]
    while phrase and phrase[0][0].lower() in STOPWORDS:
        phrase = phrase[1:]
    if not phrase:
        return None
    return _made(text[phrase[0].start() : phrase[-1].end()], phrase[0].start())


def _made(words: str, start: int) -> Name | None:
    bare = _DEGREE.sub(lambda found: found[0].split()[0], words)
    stems = frozenset(one for one in content_stems(bare) if one not in _TITLES)
    distinguishing = stems - DEGREE_STEMS
    plain = [word for word in re.findall(r"[^\W\d_]+", bare) if word[0].isupper()]
    if not distinguishing or all(word.lower() in _NO_NAMES for word in plain) or not plain:
        return None
    of = re.search(r"([A-Z]\w+) of ", bare)
    return Name(words, start, start + len(words), stems, stem(of[1] if of else plain[-1]))


def _acronym(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _begins_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"'“‘(*_")
    return not before or before[-1] in ".!?:;\n|-•–#"
