"""How an answer deals with what its question takes for granted."""

from __future__ import annotations

import re

OPENING_CHARACTERS = 400

_REJECTION = re.compile(
    r"\bthere (?:is|are|was|were) (?:no|not|currently no)\b|\bthere (?:isn['’]t|aren['’]t|wasn['’]t)\b"
    r"|\b(?:does|do|did|is|are|was|were|has|have) ?(?:not|n['’]t) (?:\w+ ){0,2}?(?:exist|offer(?:ed)?"
    r"|list(?:ed)?|mention(?:ed)?|know[n]?|run|provide[d]?|award(?:ed)?"
    r"|have|include[d]?|part of|among|one of|correct|true|right|the case|accept(?:ed)?|require[d]?|charge[d]?|a |an )"
    r"|\b(?:not|isn['’]t|aren['’]t) (?:\w+ )?(?:true|correct|right|accurate|the case)\b"
    r"|\bno (?:such|longer)\b|\b(?:incorrect|mistaken|misunderstanding|outdated|wrong|inaccurate)\b|\bnot aware of\b"
    r"|\b(?:could|can|was|were) ?(?:not|n['’]t) (?:able to )?(?:find|confirm|verify)\b|\bcannot (?:find|confirm"
    r"|verify)\b|\bno (?:programme|program|scholarship|office|course|record|mention|information)\b"
    r"|^\W*actually\b|\bcontrary to\b|\bhas no\b|\bhave no\b|\boffers no\b|\boffer no\b|\bonly (?:offers?|known"
    r"|listed)\b",
    re.IGNORECASE,
)


def rejects_premise(answer: str) -> bool:
    """Whether an answer says, near its beginning, that what was taken for granted is not so ("there is no such …")."""
    return _REJECTION.search(answer[:OPENING_CHARACTERS]) is not None
