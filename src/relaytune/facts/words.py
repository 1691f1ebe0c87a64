"""The words of a text for BM25: without case, with numbers whole however they are written, and without endings."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

# a number with its separators, or letters and digits
_WORD = re.compile(r"\d+(?:[.,]\d+)*(?![^\W\d])|\w+|[€$£%]")
_THOUSANDS = re.compile(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*(?:[.,](\d{1,2}))?")
_SPACED = re.compile("(?<=\\d)[\u00a0\u2007\u2009\u202f](?=\\d{3}(?!\\d))")
_SAME = {"€": "eur", "euro": "eur", "euros": "eur", "$": "usd", "£": "gbp", "%": "percent"}


def words(text: str) -> list[str]:
    """The words of a text, in its order: "Fees: 1,200.00 €" → fee, 1200, eur."""
    joined = unicodedata.normalize("NFKC", _SPACED.sub("", text)).casefold()
    return [_number(word) if word[0].isdigit() else _stem(_SAME.get(word, word)) for word in _WORD.findall(joined)]


def _number(word: str) -> str:
    """A number without grouping of thousands and without zeros behind the point; others as they are."""
    if found := _THOUSANDS.fullmatch(word):
        decimals = found[2] or ""
        whole = re.sub("[.,]", "", word[: len(word) - len(decimals)])
        word = f"{whole}.{decimals}" if decimals else whole
    elif word.count(",") == 1 and "." not in word:
        word = word.replace(",", ".")
    if word.count(".") == 1 and word.replace(".", "").isdecimal():
        word = word.rstrip("0").rstrip(".")
    return word


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))
