"""The number that an answer gives, read exactly.

What counts as a number: digits, with commas between groups of three (1,234,567) and a point before decimals (12.50,
.5); a power of ten (1.5e3); a fraction, alone or behind a whole number (1/2, 3 1/2). A sign counts where it stands
right before the number (or its currency sign) and not behind a word, a digit or a bracket, where it is a dash or a
difference: 5-3 holds 5 and 3. Units do not count: $18, 18 € and 18 are one number, and so are 50% and 50. Digits
inside a word (B12, x2) are no number, nor are numbers in words. A comma that does not group three digits separates,
also where it was meant as a decimal comma: 1,5 holds 1 and 5.
"""

from __future__ import annotations

import re
from fractions import Fraction

LONGEST = 300  # digits, or powers of ten: more is no answer, and exact arithmetic with it would take long

_NUMBER = re.compile(
    r"""
    (?: (?<! [^\W_] ) (?<! [)\]%] ) (?P<sign> [-+−] ) )?
    (?: [$€£¥] [ ]? (?P<sign_behind_unit> [-−] )? )?
    (?<! [^\W_] ) (?<! [0-9]\. )                              # not inside a word or another number
    (?:
        (?<! [0-9]/ ) (?: (?P<whole> [0-9]+ ) [ ] )?          # not inside a date
        (?P<numerator> [0-9]+ ) / (?P<denominator> [0-9]+ ) (?! [0-9/] | \.[0-9] )
      |
        (?P<decimal> (?: [0-9]{1,3} (?: ,[0-9]{3} )+ (?! [0-9] ) | [0-9]+ ) (?: \.[0-9]+ )? | (?<! \. ) \.[0-9]+ )
        (?: [eE] (?P<power> [-+]?[0-9]+ ) (?! [^\W_] ) )?
    )
    """,
    re.VERBOSE,
)


def read_number(text: str, after: str | None = None) -> tuple[Fraction | None, str]:
    """The number that a text gives, and what is wrong (empty: nothing).

    With `after` it is the first number behind the last place where that mark stands; without, or where the mark is
    missing, the last number in the text. A missing mark is a fault, but the number is read all the same: whether an
    answer has the right form and whether it is right are two questions.
    """
    place = text.rfind(after) if after else -1
    if after and place >= 0:
        found = _NUMBER.search(text, place + len(after))
        missing = f"no number behind {after!r}"
    else:
        found = next(reversed(list(_NUMBER.finditer(text))), None)
        missing = "no number in the answer"
    if found is None:
        return None, missing
    number, problem = _value(found)
    if number is not None and after and place < 0:
        problem = f"no {after!r} before the number"
    return number, problem


def _value(found: re.Match[str]) -> tuple[Fraction | None, str]:
    parts = found.groupdict()
    if len(found[0]) > LONGEST or abs(int(parts["power"] or 0)) > LONGEST:
        return None, f"a number longer than {LONGEST} digits is not read: {found[0][:20]}…"
    if parts["denominator"] is not None:
        if int(parts["denominator"]) == 0:
            return None, f"{found[0]} divides by zero"
        number = int(parts["whole"] or 0) + Fraction(int(parts["numerator"]), int(parts["denominator"]))
    else:
        number = Fraction(parts["decimal"].replace(",", "")) * Fraction(10) ** int(parts["power"] or 0)
    negative = (parts["sign"] in ("-", "−")) != (parts["sign_behind_unit"] is not None)
    return (-number if negative else number), ""
