"""Which test a number is a score in: "an IELTS of 6.5", "90 points in the TOEFL"."""

from __future__ import annotations

import re

from relaytune.facts.language.numbers import NUMBER

NAMED_TEST = re.compile(
    r"\b(IELTS|TOEFL|TOEIC|GRE|GMAT|SAT|ACT|LSAT|MCAT|PTE|DET|Duolingo|TestDaF|DSH|CAE|CPE|GPA|[A-Z]{3,6})\b"
)
_NOT_A_TEST = re.compile(
    r"(?:ECTS|CEFR|USA|PDF|EU|UTC|CET|GMT|PIN|MSc|BSc|MBA|LLM|PhD"
    r"|EUR|USD|GBP|CHF|JPY|INR|SEK|NOK|DKK|PLN|CZK|CAD|AUD|CNY)"
)
SCORE_WORD = re.compile(r"\b(?:score|scores|band|bands|grade|points?|average|GPA|mark|overall|result)\b", re.IGNORECASE)
_BREATH_ENDS = re.compile(rf"[;.!?|]\s|\bor\b|\band\b|{NUMBER}", re.IGNORECASE)


def test_near(text: str, start: int, end: int) -> str:
    """The name of the test that a number belongs to, in lower case; empty: none.

    One in the same breath before the number, else behind it; else the text's only one, if it has no other number.
    """
    before = _last_breath(text[max(0, start - 60) : start])
    behind = re.split(r"[;.!?,|(]|\bor\b|\band\b", text[end : end + 40])[0]
    if near := _tests(before)[-1:] or _tests(behind)[:1]:
        return near[0]
    tests = set(_tests(text))
    if len(tests) != 1 or not SCORE_WORD.search(text):
        return ""
    test = tests.pop()
    its_own = rf"\b{test}\b[^\d;,|]{{0,25}}{NUMBER}|{NUMBER} (?:\w+ )?(?:in the )?{test}\b"
    return "" if re.search(its_own, text, re.IGNORECASE) else test


def _last_breath(text: str) -> str:
    ends = [found.end() for found in _BREATH_ENDS.finditer(text)]
    return text[ends[-1] :] if ends else text


def _tests(text: str) -> list[str]:
    return [found[1].lower() for found in NAMED_TEST.finditer(text) if not _NOT_A_TEST.fullmatch(found[1])]
