"""Reading a judge's own completion, strictly: what is not exactly one verdict is unscored, with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping

from relaytune.core.asking.replies import CUT_OFF, whole_lines
from relaytune.core.records import FinishReason
from relaytune.evaluation.judging.prompting import Side

# a verdict read from a completion (None: unscored), and the judge's words or why it is unscored
Verdict = tuple[Side | None, str]
Points = tuple[float | None, str]

_MAX_REASON_CHARACTERS = 300
_DECORATION = " \t*_`\"'.#>"


def read_verdict(completion: str, finish_reason: FinishReason | str, sides: Mapping[str, Side]) -> Verdict:
    """The side that a completion prefers; `sides` says what each name in the prompt stands for.

    It must hold lines `Verdict: NAME` that all give one name, or be a name alone. Of a completion that was cut off the
    whole lines count: a judge that has given its verdict and then rambles on has given it.
    """
    text, problem = whole_lines(completion, finish_reason)
    if problem:
        return None, problem
    alone = text.strip(_DECORATION + "\n").lower()
    if alone in sides:
        return sides[alone], ""
    given = _after_colon(r"verdict", text)
    if not given:
        return None, CUT_OFF if finish_reason == "length" else "no verdict line"
    unknown = [value for value in given if value not in sides]
    if unknown:
        return None, "the verdict is none of those allowed"
    if len(given) > 1:
        return None, "several different verdicts"
    reason = _reason(r"verdict", text)
    for name, side in sides.items():
        reason = re.sub(rf"\b{name}\b", f"the {side}", reason, flags=re.IGNORECASE)
    return sides[given[0]], reason


def read_points(completion: str, finish_reason: FinishReason | str, name: str, scale: int) -> Points:
    """The points for the answer that was called `name`: a line `Points for NAME: 2`."""
    text, problem = whole_lines(completion, finish_reason)
    if problem:
        return None, problem
    given = _after_colon(rf"points for {name}", text)
    if not given:
        return None, CUT_OFF if finish_reason == "length" else "no line with points"
    if len(given) > 1:
        return None, "several different points"
    number = re.fullmatch(rf"(\d+)(?: ?/ ?{scale}| out of {scale})?", given[0])
    if number is None:
        return None, "the points are no whole number"
    if int(number[1]) > scale:
        return None, f"points above {scale}"
    return float(number[1]), re.sub(rf"\b{name}\b", "it", _reason(rf"points for {name}", text), flags=re.IGNORECASE)


def _after_colon(key: str, text: str) -> list[str]:
    """The different values of all lines `key: value`, without case and decoration."""
    found = re.findall(rf"(?im)^[{re.escape(_DECORATION)}]*{key}[*_`\"' ]*[:：](.*)$", text)
    return list(dict.fromkeys(value.strip(_DECORATION).lower() for value in found))


def _reason(key: str, text: str) -> str:
    others = [line for line in text.split("\n") if not _after_colon(key, line)]
    reason = " ".join(" ".join(others).split()).strip()
    return reason if len(reason) <= _MAX_REASON_CHARACTERS else reason[: _MAX_REASON_CHARACTERS - 1] + "…"
