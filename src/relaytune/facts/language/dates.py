"""Dates in their many spellings, times of the day, days of the week."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MONTH_NAMES = """
    january february march april may june july august september october november december
"""
_MONTHS = tuple(_MONTH_NAMES.split())
_MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?|July?|Aug(?:ust|\.)?"
    r"|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_YEAR = r"(?:1[5-9]|20|21)\d\d"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"

DATE = re.compile(
    rf"(?<![\w.])(?:"
    rf"(?P<day1>{_DAY})(?:st|nd|rd|th|\.)?(?: of)?[ -](?P<month1>{_MONTH})(?!\w)(?:,?[ -](?P<year1>{_YEAR}))?(?!\d)"
    rf"|(?P<part>early|mid|late|the (?:start|beginning|middle|end) of|start of|beginning of|middle of"
    rf"|end of)[- ](?P<month2>{_MONTH})(?!\w)(?:,? (?P<year2>{_YEAR}))?"
    rf"|(?P<month3>{_MONTH}) (?P<day3>{_DAY})(?:st|nd|rd|th)?(?!\d|[.:]\d)(?:,? (?P<year3>{_YEAR}))?(?!\d)"
    rf"|(?P<year4>{_YEAR})-(?P<month4>0\d|1[0-2])-(?P<day4>[0-3]\d)(?!\d)"
    rf"|(?P<day5>{_DAY})[./](?P<month5>0?[1-9]|1[0-2])[./](?P<year5>{_YEAR})(?!\d)"
    rf"|(?P<month6>{_MONTH}),? (?P<year6>{_YEAR})(?!\d)"
    rf"|(?P<month7>{_MONTH})(?!\w)"
    rf"|(?P<year8>{_YEAR})[/–-](?P<until8>\d\d(?:\d\d)?)(?!\d)"
    rf"|(?P<year9>{_YEAR})(?![\d%]|['’]?s\b|[.,]\d|\s?(?:EUR|USD|GBP|euro|dollar|pound|€|\$|£|credit|point|student"
    rf"|people|participant))"
    rf")",
)
_BEFORE_MAY = re.compile(
    r"(?:\b(?:in|by|of|until|till|before|after|since|from|to|and|or|through|during|every|each|early|late|mid"
    r"|this|next|last)[ -]"
    r"|[–(,/|-]\s?|^)$",
    re.IGNORECASE,
)
TIME = re.compile(
    r"(?<![\w.:])(?:"
    r"(?P<hour1>[01]?\d|2[0-4])[:.](?P<minute1>[0-5]\d)(?:\s?(?P<half1>[ap]\.?m\b\.?))?"
    r"(?:\s?(?:[-–—]|to|and|until|till)\s?(?P<hour2>[01]?\d"
    r"|2[0-4])[:.](?P<minute2>[0-5]\d)(?:\s?(?P<half2>[ap]\.?m\b\.?))?)?"
    r"|(?P<hour3>1[0-2]|0?\d)(?:\s?(?P<half3>[ap]\.?m\b\.?))?\s?(?:[-–—]|to|and|until|till)\s?(?P<hour4>1[0-2]"
    r"|0?\d)\s?(?P<half4>[ap]\.?m\b\.?)"
    r"|(?P<hour5>1[0-2]|0?\d)\s?(?P<half5>[ap]\.?m\b\.?|o'clock)"
    r"|(?P<word>noon|midday|midnight)\b"
    r")(?![\d%])",
    re.IGNORECASE,
)
_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYNAME = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?"
_DAYSHORT = r"(?:Mon|Tue|Tues|Wed|Thu|Thur|Thurs|Fri|Sat|Sun)"
WEEKDAYS = re.compile(
    rf"\b(?P<first>{_DAYNAME}|{_DAYSHORT}(?=\.?\s?[-–,&/]\s?{_DAYSHORT}\b))(?!\w)"
    rf"(?:(?P<joint>\.?\s?[-–]\s?|,? to |,? through |,? and |\s?&\s?|, |/| or )(?P<second>{_DAYNAME}"
    rf"|{_DAYSHORT})\b(?!\w))?"
    rf"(?:(?:,? and |, and |, )(?P<third>{_DAYNAME})\b)?"
)


@dataclass(frozen=True)
class Date:
    """A date as far as it is told. `days` are the days of the month that it may be: mid-May is 11 to 20."""

    year: int | None = None
    month: int | None = None
    days: tuple[int, int] | None = None
    until_year: int | None = None  # of 2025/26

    def agrees(self, other: Date) -> bool | None:
        """Whether both can be the same day; None where one tells only the year and the other none."""
        told = False
        if self.year and other.year:
            if self.year != other.year:
                return False
            if self.until_year and other.until_year and self.until_year != other.until_year:
                return False
            told = True
        if self.month and other.month:
            if self.month != other.month:
                return False
            told = True
            if self.days and other.days:
                return self.days[0] <= other.days[1] and other.days[0] <= self.days[1]
        return True if told else None


def read_date(text: str, match: re.Match[str]) -> Date | None:
    """The date of a match of DATE; None where the word is none ("it may", "he will march")."""
    part = match.groupdict()
    if part["month7"]:
        return Date(month=_month(part["month7"])) if _is_month(text, match) else None
    if part["year8"]:
        first = int(part["year8"])
        second = int(part["until8"]) if len(part["until8"]) == 4 else first // 100 * 100 + int(part["until8"])
        return Date(year=first, until_year=second)
    if part["year9"]:
        return Date(year=int(part["year9"]))
    for number in "123456":
        if month := part[f"month{number}"]:
            year = part[f"year{number}"]
            day = part.get(f"day{number}")
            days = (int(day), int(day)) if day else _part_of_month(part["part"] if number == "2" else None)
            return Date(int(year) if year else None, _month(month), days)
    return None


def _part_of_month(words: str | None) -> tuple[int, int] | None:
    if not words:
        return None
    if words.startswith(("mid", "the middle")):
        return 11, 20
    return (1, 10) if re.search("early|start|beginning", words) else (21, 31)


def _month(words: str) -> int:
    return int(words) if words.isdigit() else 1 + [name[:3] for name in _MONTHS].index(words[:3].lower())


def _is_month(text: str, match: re.Match[str]) -> bool:
    word = match[0]
    if word in ("Mar", "Jan", "Dec", "Sep", "Oct", "Nov", "Apr", "Jun", "Jul", "Aug", "Feb"):
        return False  # alone it may be anything
    if word in ("May", "March", "August"):
        return _BEFORE_MAY.search(text[max(0, match.start() - 12) : match.start()]) is not None
    return True


def read_times(match: re.Match[str]) -> tuple[float, float] | None:
    """Minutes since midnight, of a match of TIME: from and to; the same where it is one time."""
    part = match.groupdict()
    if part["word"]:
        at = 0.0 if part["word"].lower() == "midnight" else 720.0
        return at, at
    if part["hour1"]:
        if "." in match[0].split("-")[0] and not part["half1"] and not part["hour2"]:
            return None  # 10.30 may be any number
        first = _minutes(part["hour1"], part["minute1"], part["half1"] or "")
        second = _minutes(part["hour2"], part["minute2"], part["half2"] or "") if part["hour2"] else first
        return first, second
    if part["hour3"]:
        # "12-2 pm" begins at noon, "11-1 pm" before it; "10-2 am" before midnight
        is_same_half = int(part["hour3"]) % 12 < int(part["hour4"]) % 12
        other = "am" if part["half4"].lower().startswith("p") else "pm"
        half = part["half3"] or (part["half4"] if is_same_half else other)
        return _minutes(part["hour3"], "0", half), _minutes(part["hour4"], "0", part["half4"])
    at = _minutes(part["hour5"], "0", part["half5"])
    return at, at


def _minutes(hour: str, minute: str, half: str) -> float:
    hours = int(hour)
    if half.lower().startswith("p") and hours < 12:
        hours += 12
    if half.lower().startswith("a") and hours == 12:
        hours = 0
    return float(hours * 60 + int(minute))


def read_weekdays(match: re.Match[str]) -> int:
    """The days of a match of WEEKDAYS, as bits from Monday on."""
    first = _DAYS.index(match["first"][:3].lower())
    if not match["second"]:
        return 1 << first
    second = _DAYS.index(match["second"][:3].lower())
    if re.search(r"[-–]|to|through", match["joint"]) and first < second:
        bits = sum(1 << day for day in range(first, second + 1))
    else:
        bits = 1 << first | 1 << second
    return bits | (1 << _DAYS.index(match["third"][:3].lower()) if match["third"] else 0)
