"""Numbers in digits and in words."""

from __future__ import annotations

import re

_UNIT_WORDS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
"""
_UNITS = tuple(_UNIT_WORDS.split())
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
_SMALL = {word: number for number, word in enumerate(_UNITS)} | _TENS | {"dozen": 12}

_UNIT = "(?:" + "|".join(sorted(_UNITS, key=len, reverse=True)) + ")"
_BELOW_100 = rf"(?:(?:{'|'.join(_TENS)})(?:[-\s](?:one|two|three|four|five|six|seven|eight|nine))?|{_UNIT})"
_BELOW_1000 = rf"(?:(?:{_UNIT}|a)\shundred(?:(?:\sand)?\s{_BELOW_100})?|{_BELOW_100}|a\sdozen)"
_WORDS = (
    rf"\b(?:{_BELOW_1000}\s(?:thousand|million)(?:(?:\sand)?\s{_BELOW_1000})?|a\sthousand"
    rf"|{_BELOW_1000})(?:[\s-]and[\s-]a[\s-]half)?\b"
)
_IN_GROUPS = r"\d{1,3}(?:[,\u00a0\u202f']\d{3})+(?:\.\d+)?"
_GROUPED = re.compile(_IN_GROUPS)
_PARTS = {"¼": 0.25, "½": 0.5, "¾": 0.75, "1/4": 0.25, "1/2": 0.5, "3/4": 0.75}
_WITH_PART = r"\d+(?:[ \u00a0\u202f]?[¼½¾]|[ \u00a0\u202f](?:1/4|1/2|3/4)(?![\d/]))"
_MIXED = re.compile(rf"(\d+)\s?({'|'.join(_PARTS)})")
_DIGITS = rf"{_IN_GROUPS}(?!\d)|{_WITH_PART}|\d+(?:[.,]\d+)?"

NUMBER = rf"(?:{_DIGITS}|{_WORDS})"
# "5-7", "5 to 7", "between 5 and 7": a pattern begins with BETWEEN, and RANGE_WORD knows whether it was there
BETWEEN = r"(?P<between>\bbetween\s)?"
RANGE_WORD = r"(?:\s?[-–—]\s?|\sto\s|(?(between)\sand\s|(?!)))"


def read_number(words: str) -> float:
    """The number that digits ("1,200", "6.5", "1½") or words ("eighty-five") stand for."""
    bare = words.lower()
    if mixed := _MIXED.fullmatch(bare):
        return float(mixed[1]) + _PARTS[mixed[2]]
    if bare[0].isdigit():
        if _GROUPED.fullmatch(bare):
            return float(re.sub(r"[^\d.]", "", bare))
        return float(bare.replace(",", "."))
    total, part = 0.0, 0.0
    for word in re.findall(r"[a-z]+", bare):
        if word in _SMALL:
            part = part * 12 if word == "dozen" and part else part + _SMALL[word]
        elif word == "a":
            continue
        elif word == "half":
            part += 0.5
        elif word == "hundred":
            part = (part or 1) * 100
        elif word in ("thousand", "million"):
            total += (part or 1) * (1_000 if word == "thousand" else 1_000_000)
            part = 0
    return total + part
