"""The values in a text, with what they measure: amounts, dates, times, durations, scores, counts, codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from relaytune.core.claims import ClaimKind
from relaytune.facts.language.dates import DATE, TIME, WEEKDAYS, Date, read_date, read_times, read_weekdays
from relaytune.facts.language.numbers import BETWEEN, NUMBER, RANGE_WORD, read_number
from relaytune.facts.language.per import per_behind, per_in_heading, times_as_long
from relaytune.facts.language.scores import NAMED_TEST, SCORE_WORD, test_near
from relaytune.facts.language.words import STOPWORDS, stem

Bound = Literal["", "at least", "at most"]
FREE = "free"  # measures nothing of any currency


@dataclass(frozen=True)
class Value:
    """A value as it stands in a text. Two values can be compared if they measure the same."""

    kind: ClaimKind
    measure: str  # EUR, percent, days, date, score of ielts, email, ...; "count" with `nouns`
    start: int
    end: int
    text: str  # verbatim
    low: float = 0.0  # one number: low = high
    high: float = 0.0
    bound: Bound = ""
    nouns: frozenset[str] = frozenset()  # what is counted: stems of the words behind a number
    date: Date | None = None
    literal: str = ""  # of an address, a phone number, a code
    per: str = ""  # unit of time that an amount or a duration is given per


def comparable(first: Value, second: Value) -> bool:
    """Whether two values measure the same thing in the same unit. Of counts the caller must see what is counted."""
    if "score" in (first.measure, second.measure):
        return first.kind == second.kind == "score" and "level of a language" not in (first.measure, second.measure)
    if {first.kind, second.kind} == {"number", "score"}:
        number = first if first.kind == "number" else second
        return number.measure == "count" and not number.nouns
    if first.kind == second.kind == "amount" and FREE in (first.measure, second.measure):
        return True
    if first.measure != second.measure:
        return False
    if first.measure == "code":
        return bool(first.nouns & second.nouns)
    return True


def agree(claimed: Value, source: Value) -> bool | None:
    """Whether two comparable values say the same; None where it cannot be told."""
    if claimed.literal or source.literal:
        return claimed.literal == source.literal
    if claimed.date and source.date:
        return claimed.date.agrees(source.date)
    if claimed.measure == "weekdays":
        return _same(claimed.low, source.low)
    if claimed.per and source.per and claimed.per != source.per:
        return _rates_agree(claimed, source)
    return _numbers_agree(claimed, source)


def _rates_agree(claimed: Value, source: Value) -> bool | None:
    """Whether "20 euros a month" and "240 euros a year" are the same; the same number per another unit is not."""
    if times := times_as_long(claimed.per, source.per):
        return _numbers_agree(replace(claimed, low=claimed.low / times, high=claimed.high / times), source)
    return False if _same(claimed.low, source.low) and _same(claimed.high, source.high) else None


def _numbers_agree(claimed: Value, source: Value) -> bool | None:
    if {claimed.bound, source.bound} == {"at least", "at most"}:
        return False if _same(claimed.low, source.low) else None
    if _same(claimed.low, source.low) and _same(claimed.high, source.high):
        return True
    claimed_is_range, source_is_range = claimed.low < claimed.high, source.low < source.high
    if claimed_is_range == source_is_range:
        return False
    # one number against a range: it may be one end of it, or lie within
    if claimed.high < source.low or claimed.low > source.high:
        return False
    return None if claimed_is_range else True


def in_unit(value: Value, heading: str) -> Value:
    """A bare number in the unit that the heading of its column gives: "Tuition (euros)"."""
    value = replace(value, per=value.per or per_in_heading(heading))
    if value.measure != "count" or value.nouns or not (unit := _UNIT_IN_HEADING.search(heading)):
        return value
    bare = unit[0].lower().rstrip("s") if unit[0].lower() not in _CURRENCY_OF else unit[0].lower()
    if bare in _CURRENCY_OF:
        return replace(value, kind="amount", measure=_CURRENCY_OF[bare])
    if bare in _FAMILIES:
        measure, size = _FAMILIES[bare]
        return replace(value, measure=measure, low=value.low * size, high=value.high * size)
    return replace(value, measure="percent")


def _same(first: float, second: float) -> bool:
    return abs(first - second) <= 1e-9 * max(abs(first), abs(second), 1.0)


@lru_cache(maxsize=50_000)
def values(text: str) -> tuple[Value, ...]:
    """All values of a text in order; none overlaps another."""
    taken = bytearray(len(text))
    found = []
    for pattern, read in _READERS:
        for match in pattern.finditer(text):
            if any(taken[match.start() : match.end()]):
                continue
            value = read(text, match)
            if value is None:
                continue
            taken[value.start : value.end] = b"\1" * (value.end - value.start)
            found.append(value)
    return tuple(sorted(found, key=lambda value: value.start))


# --- addresses and codes

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(
    r"(?:https?://|www\.)[^\s<>()\[\]]*[^\s<>()\[\].,;:!?'\"]|\b[\w-]+(?:\.[\w-]+)*\.(?:org|edu|com|net|info"
    r"|example)(?:/[\w./-]*\w)?\b"
)
_PHONE = re.compile(r"(?<![\w.])(?:\+\d{1,3}[\s-]?)?(?:\(0?\d{1,5}\)[\s-]?)?\d{2,5}(?:[\s/-]\d{2,6}){1,4}(?![\w.]\w)")
# a letter and a digit in one: B204, F-12, MR-301, 3.14b
_CODE = re.compile(r"\b(?=[A-Z0-9./-]*\d)(?=[0-9./-]*[A-Z])[A-Z]{0,5}[-./]?\d[\dA-Z]*(?:[-./][\dA-Z]+)*\b")
_NUMBERED = re.compile(
    r"\b(?P<label>room|floor|building|gate|form|section|article|chapter|paragraph|page|line|route|bus|tram"
    r"|platform|counter"
    r"|desk|window|module|unit|week|level|stage|step|phase|track|zone|house|highway|interstate|box|annex|appendix)"
    r"s? (?:no\.? ?|number |nr\.? ?)?(?P<code>[A-Z]?\d[\w]*(?:[.-]\d+)*[a-z]?)\b",
    re.IGNORECASE,
)
# a room as floor and door: "Weir House 2.31"
_ROOM = re.compile(r"(?<=[a-z] )(?P<code>\d{1,2}\.\d{2,3}[a-z]?)\b(?![%.]\d| ?[€$£%])")
_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_ORDINAL = re.compile(
    rf"\b(?:(?P<word>{'|'.join(_ORDINALS)})|(?P<number>\d+)(?:st|nd|rd"
    rf"|th))(?= [a-z])",
    re.IGNORECASE,
)


def _literal(measure: str) -> Callable[[str, re.Match[str]], Value | None]:
    def read(_: str, match: re.Match[str]) -> Value:
        bare = match[0].lower().removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")
        return Value("number", measure, match.start(), match.end(), match[0], literal=bare)

    return read


def _phone(text: str, match: re.Match[str]) -> Value | None:
    digits = re.sub(r"\D", "", match[0])
    said = re.search(
        r"(?:phone|call|tel|fax|dial|reach|hotline)\W*(?:\w+\W+){0,5}$", text[: match.start()], re.IGNORECASE
    )
    if len(digits) < 6 or not (match[0].startswith("+") or said):
        return None
    return Value("number", "phone", match.start(), match.end(), match[0], literal=digits.lstrip("0"))


def _code(_: str, match: re.Match[str]) -> Value | None:
    prefix = re.match(r"[A-Z]*", match[0])
    assert prefix is not None
    if re.fullmatch(r"[ABC][12]", match[0]):
        return None  # a level of a language, read below
    nouns = frozenset({prefix[0]}) if prefix[0] else frozenset({"#"})
    return Value("number", "code", match.start(), match.end(), match[0], literal=match[0].lower(), nouns=nouns)


def _numbered(_: str, match: re.Match[str]) -> Value:
    nouns = frozenset({stem(match["label"])})
    return Value("number", "code", match.start(), match.end(), match[0], literal=match["code"].lower(), nouns=nouns)


def _room(text: str, match: re.Match[str]) -> Value | None:
    before = text[: match.start()].split()
    if not before or not before[-1][0].isupper() or NAMED_TEST.search(before[-1]) or _nouns_behind(text, match.end()):
        return None
    nouns = frozenset({stem("room")})
    return Value("number", "code", match.start(), match.end(), match[0], literal=match["code"].lower(), nouns=nouns)


def _ordinal(text: str, match: re.Match[str]) -> Value | None:
    if match[0].lower() == "first":
        return None  # mostly "at first", "the first-year students"
    number = _ORDINALS.index(match["word"].lower()) + 1 if match["word"] else int(match["number"])
    nouns = _nouns_behind(text, match.end())
    if not nouns:
        return None
    return Value("number", "code", match.start(), match.end(), match[0], literal=str(number), nouns=nouns)


# --- amounts, percentages, durations

_CURRENCIES = {
    "EUR": "EUR euro euros €",
    "USD": "USD US$ dollar dollars $",
    "GBP": "GBP pound pounds £",
    "CHF": "CHF franc francs",
    "JPY": "JPY yen ¥",
    "INR": "INR rupee rupees ₹",
    "SEK": "SEK",
    "NOK": "NOK",
    "DKK": "DKK",
    "PLN": "PLN zloty",
    "CZK": "CZK",
    "CAD": "CAD",
    "AUD": "AUD",
    "CNY": "CNY yuan",
    "cents": "cent cents ct",
}
_CURRENCY_OF = {name.lower(): code for code, names in _CURRENCIES.items() for name in names.split()}
_CURRENCY = "(?:" + "|".join(sorted((re.escape(name) for name in _CURRENCY_OF), key=len, reverse=True)) + ")"
_GROUPED = rf"(?:\d{{1,3}}(?:[ \u00a0\u202f'.,]\d{{3}})+(?:[.,]\d{{1,2}}|,-)?(?![\d])|{NUMBER})"
_SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9}
_SCALE = r"(?:\s?(?P<scale>thousand|million|billion|k|m|bn)\b)?"
_BEFORE = re.compile(
    rf"{BETWEEN}(?<!\w)(?P<unit>{_CURRENCY})\s?(?P<low>{_GROUPED})(?:{RANGE_WORD}(?:{_CURRENCY}\s?)?(?P<high>{_GROUPED}))?{_SCALE}(?!\w)",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    rf"{BETWEEN}(?<![\w.,])(?P<low>{_GROUPED})(?:{RANGE_WORD}(?P<high>{_GROUPED}))?{_SCALE}[\s-]?(?P<unit>{_CURRENCY})(?!\w)",
    re.IGNORECASE,
)
_FREE = re.compile(
    r"\b(?:free of charge|free of cost|(?:at )?no (?:extra |additional )?(?:charge|cost|fee)|for free"
    r"|costs? nothing|(?:is|are) free)\b(?! (?:of|from|to)\b)",
    re.IGNORECASE,
)
_UNIT_IN_HEADING = re.compile(
    rf"(?<!\w)(?:{_CURRENCY}|%|per ?cent|(?<=\()(?:minutes|hours|days|weeks|months|years|semesters))(?!\w)",
    re.IGNORECASE,
)
_PERCENT = re.compile(
    rf"{BETWEEN}(?<![\w.,])(?P<low>{NUMBER})(?:\s?%)?(?:{RANGE_WORD}(?P<high>{NUMBER}))?\s?-?(?:%|per ?cent\b"
    rf"|percentage points?\b)",
    re.IGNORECASE,
)
_FAMILIES = {  # unit → what it measures, and how many of these it is
    "minute": ("minutes", 1), "min": ("minutes", 1), "hour": ("minutes", 60),
    "hr": ("minutes", 60), "h": ("minutes", 60), "second": ("seconds", 1),
    "day": ("days", 1), "week": ("days", 7), "wk": ("days", 7), "fortnight": ("days", 14), "month": ("months", 1),
    "year": ("months", 12), "yr": ("months", 12),
    "decade": ("months", 120), "semester": ("semesters", 1), "trimester": ("trimesters", 1), "term": ("terms", 1),
}  # fmt: skip
_TIMES_SPENT = frozenset(measure for measure, _ in _FAMILIES.values())
_AND_A_HALF = rf"\sand\sa\shalf\b(?![\s-](?:{'|'.join(_FAMILIES)}))"
_DURATION = re.compile(
    rf"{BETWEEN}(?<![\w.,])(?P<low>{NUMBER}|half an?(?=\s)|(?:(?<=for )|(?<=within )|(?<=takes ))an?(?=\s)"
    rf"|an?(?=\s(?:{'|'.join(_FAMILIES)}){_AND_A_HALF}))"
    rf"(?:{RANGE_WORD}(?P<high>{NUMBER}))?[\s-](?:\(\d+\)\s)?"
    rf"(?P<qualifier>(?:full |consecutive |calendar |academic |more |standard )?(?:working |business |week)?)"
    rf"(?P<unit>{'|'.join(_FAMILIES)})s?\b(?P<half>{_AND_A_HALF})?(?:-long)?(?P<age>[\s-](?:old|of age))?",
    re.IGNORECASE,
)


def _amount(text: str, match: re.Match[str]) -> Value | None:
    unit = match["unit"]
    code = _CURRENCY_OF[unit.lower()]
    if unit == "CT":
        return None
    scale = _SCALES.get((match["scale"] or "").lower(), 1)
    low = _read_amount(match["low"]) * scale
    high = _read_amount(match["high"]) * scale if match["high"] else low
    if code == "cents":
        code, low, high = "EUR", low / 100, high / 100
    return _numeric("amount", code, text, match, low, high)


def _read_amount(words: str) -> float:
    """As `read_number`, where a point or a space before three digits parts thousands too: "1.200", "1 200"."""
    bare = re.sub(r",-$", "", words)
    if found := re.fullmatch(r"(\d{1,3}(?:[ \u00a0\u202f'.,]\d{3})+)(?:[.,](\d{1,2}))?", bare):
        return float(re.sub(r"\D", "", found[1]) + "." + (found[2] or "0"))
    return read_number(bare)


def _free(_: str, match: re.Match[str]) -> Value:
    return Value("amount", FREE, match.start(), match.end(), match[0])


def _percent(text: str, match: re.Match[str]) -> Value:
    low = read_number(match["low"])
    return _numeric("number", "percent", text, match, low, read_number(match["high"]) if match["high"] else low)


def _duration(text: str, match: re.Match[str]) -> Value:
    measure, size = _FAMILIES[match["unit"].lower()]
    low = {"a": 1.0, "an": 1.0, "half a": 0.5, "half an": 0.5}.get(match["low"].lower()) or read_number(match["low"])
    high = read_number(match["high"]) if match["high"] else low
    if match["half"]:  # "two years and a half", "one to two years and a half"
        low, high = low if match["high"] else low + 0.5, high + 0.5
    qualifier = match["qualifier"].lower()
    if "working" in qualifier or "business" in qualifier or qualifier.endswith("week"):
        measure = f"working {measure}"
    if match["age"]:
        measure = "age"
    return _numeric("number", measure, text, match, low * size, high * size)


# --- scores and plain numbers

_LEVEL = re.compile(r"\b(?P<level>[ABC][12])(?:\.\d)?\b(?!-)")
_PLAIN = re.compile(
    rf"{BETWEEN}(?<![\w.,/-])(?P<low>{NUMBER})(?:{RANGE_WORD}(?P<high>{NUMBER}))?(?P<scale>k)?"
    rf"(?![\w/-]|['’]s\b|[.,]\d)",
    re.IGNORECASE,
)
_TIMES = re.compile(r"\b(?P<word>once|twice|thrice)\b", re.IGNORECASE)
# what comes in whole numbers only, so that "1.200" of it is 1,200
_WHOLE_BEHIND = re.compile(
    r"\s(?:[a-z]+\s)?(?:students|applicants|applications|graduates|members|employees|people|persons|inhabitants"
    r"|visitors|places|seats|rooms|books|copies|words|characters)\b(?!\sper\b)",
    re.IGNORECASE,
)
_POINTS = frozenset(stem(word) for word in ("points", "overall", "band", "score", "mark", "total"))


def _level(_: str, match: re.Match[str]) -> Value:
    rank = float("ABC".index(match["level"][0]) * 2 + int(match["level"][1]))
    return Value("score", "level of a language", match.start(), match.end(), match[0], rank, rank)


def _plain(text: str, match: re.Match[str]) -> Value | None:
    """A number without a unit of its own: a test's score, or a count of what stands behind it."""
    scale = _SCALES["k"] if match["scale"] else 1
    read = _read_amount if _WHOLE_BEHIND.match(text, match.end()) else read_number
    low = read(match["low"]) * scale
    high = read(match["high"]) * scale if match["high"] else low
    if high < low:
        return None
    nouns = _nouns_behind(text, match.end())
    spelled = match["low"][0].isalpha()
    if spelled and low == high == 1:
        return None  # "one of them", "no one", "one has to"
    if not nouns - _POINTS:
        if test := test_near(text, match.start(), match.end()):
            return _numeric("score", f"score of {test}", text, match, low, high)
        if nouns or SCORE_WORD.search(text[max(0, match.start() - 40) : match.start()]):
            return _numeric("score", "score", text, match, low, high)
    value = _numeric("number", "count", text, match, low, high)
    return replace(value, nouns=nouns)


def _times(text: str, match: re.Match[str]) -> Value:
    number = {"once": 1.0, "twice": 2.0, "thrice": 3.0}[match["word"].lower()]
    value = _numeric("number", "count", text, match, number, number)
    return replace(value, nouns=frozenset({stem("times")}))


_ABOUT_NUMBERS = frozenset(["upwards", "onwards", "downwards", "minimum", "maximum", "total", "altogether", "overall"])


def _nouns_behind(text: str, end: int) -> frozenset[str]:
    """Stems of up to three words behind a number, as far as nothing of grammar comes between."""
    nouns: list[str] = []
    of = re.match(r" of (?:the|these|those|all|its|your|our)(?: the)?(?= )", text[end : end + 20])
    end += of.end() if of else 0
    last = 0
    for found in re.finditer(r"\s?[\s-]([^\W\d_][\w'-]*)", text[end : end + 60]):
        if found.start() != last or found[1].lower() in STOPWORDS | _ABOUT_NUMBERS:
            break
        last = found.end()
        nouns += [stem(part) for part in found[1].split("-") if part]
        if len(nouns) >= 3:
            break
    return frozenset(nouns)


def _numeric(kind: ClaimKind, measure: str, text: str, match: re.Match[str], low: float, high: float) -> Value:
    bound = _bound(text, match.start(), match.end())
    per = per_behind(text, match.end()) if kind == "amount" or measure in _TIMES_SPENT else ""
    return Value(kind, measure, match.start(), match.end(), match[0], low, high, bound, per=per)


_AT_LEAST = re.compile(
    r"(?:at least|no less than|not less than|minimum(?: of| is|:)?|min\.?|more than|over|above"
    r"|from)\s*$",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"(?:at (?:the )?most|no more than|not more than|not exceed(?:ing)?|maximum(?: of| is|:)?|max\.?|up to"
    r"|less than|under|below|fewer than)\s*$",
    re.IGNORECASE,
)


def _bound(text: str, start: int, end: int) -> Bound:
    before, behind = text[max(0, start - 24) : start], text[end : end + 16]
    if _AT_MOST.search(before) or re.match(r"\s*(?:or (?:less|fewer|below)|at most|maximum)\b", behind):
        return "at most"
    if _AT_LEAST.search(before) or re.match(r"\s*(?:or (?:more|above|higher|better)|at least|minimum)\b", behind):
        return "at least"
    return ""


def _date(text: str, match: re.Match[str]) -> Value | None:
    date = read_date(text, match)
    measure = "date" if date is None or date.until_year is None else "academic year"
    return None if date is None else Value("date", measure, match.start(), match.end(), match[0], date=date)


def _time(_: str, match: re.Match[str]) -> Value | None:
    times = read_times(match)
    return None if times is None else Value("date", "time", match.start(), match.end(), match[0], times[0], times[1])


def _weekdays(_: str, match: re.Match[str]) -> Value:
    days = float(read_weekdays(match))
    return Value("date", "weekdays", match.start(), match.end(), match[0], days, days)


Reader = Callable[[str, re.Match[str]], Value | None]
_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (_EMAIL, _literal("email")),
    (_URL, _literal("address on the web")),
    (DATE, _date),
    (TIME, _time),
    (WEEKDAYS, _weekdays),
    (_BEFORE, _amount),
    (_BEHIND, _amount),
    (_FREE, _free),
    (_PERCENT, _percent),
    (_PHONE, _phone),
    (_DURATION, _duration),
    (_LEVEL, _level),
    (_NUMBERED, _numbered),
    (_CODE, _code),
    (_ROOM, _room),
    (_ORDINAL, _ordinal),
    (_TIMES, _times),
    (_PLAIN, _plain),
)
