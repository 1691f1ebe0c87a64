"""What a value is paid, worked or counted per: "20 euros a month", "Rent per semester (euros)"."""

from __future__ import annotations

import re

_UNITS = r"(?P<unit>hour|day|week|month|quarter|semester|year)"
_BEHIND = re.compile(
    rf"\s?(?:(?:per|an?|each|every|/)\s?{_UNITS}\b(?!\s(?:ago|earlier|later)\b)"
    r"|(?P<adverb>hourly|daily|weekly|monthly|quarterly|yearly|annually))",
    re.IGNORECASE,
)
_IN_HEADING = re.compile(rf"(?:\bper|\beach|/)\s?{_UNITS}\b", re.IGNORECASE)
_ADVERBS = {"daily": "day", "annually": "year"}
_MONTHS = {"month": 1, "quarter": 3, "semester": 6, "year": 12}


def per_behind(text: str, end: int) -> str:
    """The unit that a value is given per, by the words right behind it; empty: none."""
    found = _BEHIND.match(text, end)
    if not found:
        return ""
    adverb = (found["adverb"] or "").lower()
    return _ADVERBS.get(adverb, adverb.removesuffix("ly")) or found["unit"].lower()


def per_in_heading(heading: str) -> str:
    """The unit that the values of a column are given per; empty: none."""
    found = _IN_HEADING.search(heading)
    return found["unit"].lower() if found else ""


def times_as_long(one: str, other: str) -> float | None:
    """How many of the other unit one unit is; None where it is no fixed number."""
    if one in _MONTHS and other in _MONTHS:
        return _MONTHS[one] / _MONTHS[other]
    return 1.0 if one == other else None
