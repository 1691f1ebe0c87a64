"""The words of a text that carry its meaning, in forms that can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

# a degree and the like ("M.Sc.", "U.S.") is one word
WORD = re.compile(
    r"(?:Ph\.?D|[MB]\.?(?:Sc|Eng|Ed)|LL\.?[MB])(?![^\W\d_])\.?|(?:[A-Za-z]\.){2,}|[^\W\d_]+(?:['’][^\W\d_]+)?"
    r"|\d+(?:[.,:]\d+)*"
)

# grammar, not meaning
_GRAMMAR = """
    a about above across after again all along already also although always am among an and another any anyone
    anything are aren't around as at away be became because become becomes been before being below between both
    but by can can't cannot could couldn't did didn't do does doesn't doing don't done down during each either
    else even ever every everyone everything except few for from further get gets give given gives go goes got
    had has hasn't have haven't having he he's her here hers herself him himself his how however i i'd i'll i'm
    i've if in indeed instead into is isn't it it's its itself just keep kept let like likely many may me might
    mine more most much must my myself need needs neither never nevertheless no nor not nothing now of off often
    on once one only onto or other others otherwise our ours out over own per perhaps please put rather really s
    same shall she should shouldn't since so some someone something soon still such sure t than that that's the
    their theirs them themselves then there there's therefore these they they're thing things this those though
    through throughout thus till to together too toward towards under unless until up upon us use used uses
    using usually very via want was wasn't we we're well were weren't what what's whatever when where whether
    which while who whom whose why will with within without won't would wouldn't yes yet you you'd you'll you're
    you've your yours yourself
"""
STOPWORDS = frozenset(_GRAMMAR.split())

# words that mean one thing wherever a value is stated; the first stands for all. General English
_SAME_MEANING = (
    "fee fees cost costs price prices charge charges charged pay pays paid payable payment payments",
    "deadline deadlines due close closes closed closing latest",
    "begin begins began beginning start starts started starting open opens opened opening commence commences",
    "end ends ended ending finish finishes expire expires expired",
    "duration last lasts lasted long length takes take took",
    "minimum min least lowest",
    "maximum max most highest",
    "require requires required requirement requirements mandatory compulsory obligatory",
    "allow allows allowed permit permits permitted permissible",
    "apply applies applied application applications applicant applicants",
    "born birth birthday birthdate",
    "found founded founding establish established establishment",
    "locate located location place situated",
    "film films movie movies",
    "big large largest biggest",
    "buy buys bought purchase purchased",
    "phone telephone tel",
    "mail email e-mail",
    "programme programmes program programs",
    "grant grants scholarship scholarships bursary bursaries stipend stipends",
    "submit submits submitted submission submissions hand",
    "enrol enroll enrolled enrolment enrollment enrolling",
    "dormitory dormitories residence residences hall halls",
    "master masters master's msc",
    "bachelor bachelors bachelor's bsc",
    "doctorate doctoral phd",
    "dollar dollars usd",
    "refund refunds refunded refundable reimburse reimbursed",
)


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """A word's stem (Snowball, English), or the one that stands for all words of its meaning."""
    lowered = word.lower().replace("’", "'").replace(".", "").removesuffix("'s").removesuffix("'")
    return _meanings().get(lowered) or str(_stemmer().stemWord(lowered))


@lru_cache(maxsize=50_000)
def content_stems(text: str) -> frozenset[str]:
    """The stems of a text's words, without those of grammar and without numbers."""
    return frozenset(stems_in_order(text))


def stems_in_order(text: str) -> list[str]:
    """The stems of a text's words as they stand, without those of grammar and without numbers."""
    return [stem(word) for word in plain_words(text)]


def plain_words(text: str) -> Iterable[str]:
    """The words that carry meaning, as they stand."""
    for found in WORD.finditer(text):
        word = found[0]
        if not word[0].isdigit() and word.lower().replace("’", "'") not in STOPWORDS and len(word) > 1:
            yield word


@cache
def _meanings() -> dict[str, str]:
    return {word: f"={line.split()[0]}" for line in _SAME_MEANING for word in line.split()}


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
