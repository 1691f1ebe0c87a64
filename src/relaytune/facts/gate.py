"""Whether training may begin: the rate of errors among the rows that remain, held against the recipe's limit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection

from relaytune.core.audit import AuditedAnswer, GateResult, RateInterval, RateName
from relaytune.core.facts import Facts
from relaytune.core.statistics import Stratum, sampled_share
from relaytune.facts.rates import AuditedSample, correct, remaining

_MOST_SHOWN = 5


def judge_gate(facts: Facts, sample: AuditedSample, taken_out: Collection[str]) -> GateResult:
    """Apply `on_contradiction` and `max_error_rate`. `taken_out`: ids of rows that a trace or a person took out.

    The rate is the corrected one where people labelled enough rows.
    """
    out_otherwise = frozenset(taken_out) & sample.stratum_of.keys()
    false = [answer for answer in sample.answers if answer.verdict == "false" and answer.id not in out_otherwise]
    dropped = tuple(answer.id for answer in false) if facts.on_contradiction == "drop" else ()
    out = out_otherwise | frozenset(dropped)
    corrected = correct(sample, facts.count, out)
    after = corrected.rate if corrected else remaining(sample, facts.count, out)
    at_first = correct(sample, facts.count)
    before = at_first.rate if at_first else remaining(sample, facts.count, frozenset())
    left = sample.num_rows - len(out)
    refusals = []
    if facts.on_contradiction == "refuse" and false:
        refusals.append(_contradicted(false))
    if left == 0:
        refusals.append("No row remains to train on.")
    elif facts.max_error_rate is not None and not _below(after, facts.max_error_rate):
        refusals.append(_too_high(facts, sample, after, len(dropped), corrected is not None))
    return GateResult(not refusals, tuple(refusals), dropped, len(out_otherwise), left, before, after)


def _below(rate: RateInterval, limit: float) -> bool:
    # where every row was audited there is no interval, and a limit of 0 means none
    return rate.high < limit or rate.low == rate.high == 0


def _contradicted(false: list[AuditedAnswer]) -> str:
    places = ", ".join(answer.source for answer in false[:_MOST_SHOWN])
    more = f" and {len(false) - _MOST_SHOWN} more" if len(false) > _MOST_SHOWN else ""
    rows = "1 audited row is" if len(false) == 1 else f"{len(false)} audited rows are"
    return (
        f"{rows} contradicted (on_contradiction: refuse): {places}{more}. Correct them, label those that are right "
        "(data.facts.human_labels), or say on_contradiction: drop."
    )


def _too_high(facts: Facts, sample: AuditedSample, after: RateInterval, num_dropped: int, corrected: bool) -> str:
    limit = f"{100 * (facts.max_error_rate or 0):.3g}%"
    words = "false" if facts.count == "clearly_false" else "false or doubtful"
    known = (
        f"{100 * after.share:.1f}% of the rows that remain are {words} (95%: {100 * after.low:.1f} to "
        f"{100 * after.high:.1f}%), and the upper end must lie below {limit} (max_error_rate). "
    )
    if len(sample.answers) == sample.num_rows and not corrected:
        return known + "Every row was audited: correct rows, or take them out."
    if corrected:
        return known + "More labels of people and more audited rows narrow the interval; correct or drop what is false."
    more = rows_to_pass(facts.count, facts.max_error_rate or 0, sample, num_dropped)
    if more is None:
        todo = "correct the rows" if facts.on_contradiction == "drop" else "correct the rows, or drop what is false"
        return known + f"At this rate no number of audited rows will do: {todo}."
    total = len(sample.answers) + more
    return known + f"If the rate stays, {more} more rows are to be audited (sample: {total})."


def rows_to_pass(count: RateName, limit: float, sample: AuditedSample, num_dropped: int) -> int | None:
    """How many more rows to audit until the upper end lies below the limit, if all is found as so far.

    None where auditing every row would not do. Strata are not told apart.
    """
    rows, audited = sample.num_rows, len(sample.answers)
    faulty = remaining(sample, count, frozenset()).share
    drops = num_dropped / audited

    def passes(sampled: int) -> bool:
        if sampled == rows:
            left = max(faulty - drops, 0.0) / max(1 - drops, 1e-9)
            return left < limit or left < 1e-9
        found, dropped = round(faulty * sampled), round(drops * sampled)
        high = sampled_share([Stratum(rows, sampled, found)]).high
        return (high * rows - dropped) / (rows - dropped) < limit

    sizes = range(audited + 1, rows + 1)
    place = bisect_left(sizes, True, key=passes)
    return sizes[place] - audited if place < len(sizes) else None
