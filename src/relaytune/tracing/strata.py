"""Method or data? Errors of base and tuned where the training rows around a prompt are right, and where they are wrong.

The test that arXiv 2504.15610v4 registered beforehand and could not power. What is concluded is fixed here, before any
result is seen:

data            In the stratum `wrong` tuned errs more than base (exact McNemar, two-sided, p ≤ 0.05); in `right` it is
                not shown to; and the harm in `wrong` exceeds that in `right`: the 95% interval of the difference of the
                two differences lies above 0. The last is asked because a significant difference and one that is not may
                well be the same (Gelman & Stern 2006, Am Stat 60:328-331). It says that the data do harm, not that they
                alone do: whether harm in `right` of NO_HARM or more is excluded, by the 95% interval, is said beside.
method_or_both  In `right`, where the rows around are verified right, tuned errs more than base.
nothing         Neither.

*Established* at 60 prompts or more in each stratum that the finding rests on, *indicative* at 30 to 60, below that
*exploratory*: not shown. `data` rests on both strata. `method_or_both` rests on `right` alone: harm among right rows is
no work of wrong ones, and a clean data set has no other stratum.

An error is an answer that the sources contradict. A model that training broke says nothing that could be contradicted:
so where that shows nothing, the test is made once more, and then every answer is an error that the sources do not
support, unless it says that it does not know (`first_shown`). No third way is tried.

Prompts whose place rests on the same rows (at least LEAST_VERIFIED neighbours in common) are one case in tests and
intervals; prompts are what the levels count, as registered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from relaytune.core.claims import AnswerVerdict
from relaytune.core.method_or_data import CountedAsError, Finding, Level, MethodOrData, StratumName, StratumResult
from relaytune.core.results import Estimate, Interval
from relaytune.core.statistics import (
    independent_difference_interval,
    paired_share_interval,
    paired_test,
    share_interval,
)

NUM_NEIGHBOURS = 5
LEAST_VERIFIED = 3
ESTABLISHED, INDICATIVE = 60, 30  # prompts in each stratum that a finding rests on
# five discordant cases all one way have p = 0.063 in the exact test, six 0.031
LEAST_DISCORDANT = 6
NO_HARM = 0.1  # by the interval's upper end: less is not called harm by the method
NEARLY_ALWAYS = 0.9  # base errs so often that little is left in which tuned could be worse


@dataclass(frozen=True)
class HeldOutRow:
    """A held-out row: its prompt, the nearest training rows, and whether base's and tuned's answers are errors (1)."""

    id: str
    prompt: str  # the same for rows with the same prompt
    neighbours: tuple[str, ...]  # ids, nearest first
    base: float | None  # None: unscored
    tuned: float | None


def stratum_of(neighbours: Sequence[str], verified: Mapping[str, AnswerVerdict]) -> StratumName | Literal["mixed"]:
    """Where a prompt belongs, by what is verified of its neighbours (row → verdict; rows not audited are absent)."""
    right, wrong = _count(neighbours, verified)
    if right >= LEAST_VERIFIED and wrong == 0:
        return "right"
    return "wrong" if wrong >= LEAST_VERIFIED and right == 0 else "mixed"


def _count(neighbours: Sequence[str], verified: Mapping[str, AnswerVerdict]) -> tuple[int, int]:
    verdicts = [verified.get(id) for id in neighbours]
    return verdicts.count("right"), verdicts.count("false")


def first_shown(
    contradicted: Sequence[HeldOutRow],
    not_verified: Sequence[HeldOutRow],
    verified: Mapping[str, AnswerVerdict],
    encoder: str,
) -> MethodOrData:
    """The test on answers that are contradicted, or, where only that shows something, on those that are not verified.

    `contradicted` and `not_verified` are the same held-out rows, each with what counts as an error.
    """
    first = method_or_data(contradicted, verified, encoder)
    if first.shown == "nothing":
        second = method_or_data(not_verified, verified, encoder, "not_verified")
        if second.shown != "nothing":
            return second
    return first


def method_or_data(
    rows: Sequence[HeldOutRow],
    verified: Mapping[str, AnswerVerdict],
    encoder: str,
    counted: CountedAsError = "contradicted",
) -> MethodOrData:
    """Apply the test. `verified` holds the verdict of every audited training row, `counted` what errors are."""
    scored = [row for row in rows if row.base is not None and row.tuned is not None]
    placed = {row.id: stratum_of(row.neighbours, verified) for row in scored}
    mixed = {row.prompt: row for row in scored if placed[row.id] == "mixed"}
    right, wrong = (
        _stratum(name, [row for row in scored if placed[row.id] == name], verified) for name in ("right", "wrong")
    )
    interaction, interaction_interval = _contrast(right, wrong, _harm)
    tuned_contrast, tuned_interval = _contrast(right, wrong, _errors_of_tuned)
    finding = _finding(right, wrong, interaction_interval)
    level = _level(finding, right, wrong)
    return MethodOrData(
        finding,
        level,
        _COUNTED[counted]
        + _conclusion(
            finding, level, right, wrong, (interaction, interaction_interval), (tuned_contrast, tuned_interval)
        ),
        right,
        wrong,
        interaction,
        interaction_interval,
        tuned_contrast,
        tuned_interval,
        num_mixed=len(mixed),
        num_too_few_verified=sum(sum(_count(row.neighbours, verified)) < LEAST_VERIFIED for row in mixed.values()),
        num_unscored=len(rows) - len(scored),
        encoder=encoder,
        counted=counted,
    )


def _stratum(
    name: StratumName, rows: Sequence[HeldOutRow], verified: Mapping[str, AnswerVerdict]
) -> StratumResult | None:
    if not rows:
        return None
    base, tuned = [row.base or 0.0 for row in rows], [row.tuned or 0.0 for row in rows]
    differences = [mine - theirs for mine, theirs in zip(tuned, base, strict=True)]
    cases = cases_of(rows)
    base_right = len({case for case, error in zip(cases, base, strict=True) if error == 0})
    base_rate = _estimate(base, cases)
    return StratumResult(
        name,
        num_prompts=len({row.prompt for row in rows}),
        num_cases=len(set(cases)),
        num_training_rows=len({id for row in rows for id in row.neighbours if verified.get(id) in ("right", "false")}),
        base=base_rate,
        tuned=_estimate(tuned, cases),
        only_tuned=differences.count(1.0),
        only_base=differences.count(-1.0),
        difference=sum(differences) / len(rows),
        interval=paired_share_interval(tuned, base, cases),
        p_value=paired_test(differences, cases),
        base_right=base_right,
        can_show_worse=base_right >= LEAST_DISCORDANT and (base_rate.value or 0.0) < NEARLY_ALWAYS,
    )


def cases_of(rows: Sequence[HeldOutRow]) -> list[int]:
    """The case of each row: rows whose place rests on the same training rows are one, also by way of a third."""
    case = list(range(len(rows)))

    def root(at: int) -> int:
        while case[at] != at:
            at = case[at]
        return at

    for at, row in enumerate(rows):
        for before in range(at):
            same_rows = len({*row.neighbours} & {*rows[before].neighbours}) >= LEAST_VERIFIED
            if same_rows or row.prompt == rows[before].prompt:
                case[root(at)] = root(before)
    return [root(at) for at in range(len(rows))]


def _estimate(errors: Sequence[float], cases: Sequence[int]) -> Estimate:
    low, high = share_interval(errors, cases) or (None, None)
    return Estimate(sum(errors) / len(errors), low, high, len(errors), 0, round(sum(errors)))


def _harm(stratum: StratumResult) -> tuple[float, Interval]:
    return stratum.difference, stratum.interval


def _errors_of_tuned(stratum: StratumResult) -> tuple[float, Interval]:
    low, high = stratum.tuned.low, stratum.tuned.high
    return stratum.tuned.value or 0.0, None if low is None or high is None else (low, high)


def _contrast(
    right: StratumResult | None, wrong: StratumResult | None, of: Callable[[StratumResult], tuple[float, Interval]]
) -> tuple[float | None, Interval]:
    """wrong - right, with its interval."""
    if right is None or wrong is None:
        return None, None
    (in_right, interval_right), (in_wrong, interval_wrong) = of(right), of(wrong)
    interval = None
    if interval_right is not None and interval_wrong is not None:
        interval = independent_difference_interval((in_wrong, *interval_wrong), (in_right, *interval_right))
    return in_wrong - in_right, interval


def _finding(right: StratumResult | None, wrong: StratumResult | None, interaction: Interval) -> Finding:
    if right is not None and right.worse:
        return "method_or_both"
    more_in_wrong = interaction is not None and interaction[0] > 0
    return "data" if wrong is not None and wrong.worse and more_in_wrong else "nothing"


def _level(finding: Finding, right: StratumResult | None, wrong: StratumResult | None) -> Level:
    rests_on = [right] if finding == "method_or_both" else [right, wrong]
    prompts = min(stratum.num_prompts if stratum else 0 for stratum in rests_on)
    return "established" if prompts >= ESTABLISHED else "indicative" if prompts >= INDICATIVE else "exploratory"


# in words

_COUNTED: Mapping[CountedAsError, str] = {
    "contradicted": "",
    "not_verified": "that tuned is contradicted more often is not shown; but with every answer counted as an error "
    "that the sources do not support and that does not say that it does not know, ",
}


def _conclusion(
    finding: Finding,
    level: Level,
    right: StratumResult | None,
    wrong: StratumResult | None,
    interaction: tuple[float | None, Interval],
    tuned_contrast: tuple[float | None, Interval],
) -> str:
    if finding == "data":
        said = f"the data are to blame: {_why_data(right, interaction)}"
    elif finding == "method_or_both":
        said = f"the method is to blame, or method and data both: {_why_method(wrong, interaction)}"
    elif (right or wrong) and (right.num_prompts if right else 0) < INDICATIVE:
        return _too_few(right, wrong)
    else:
        said = f"nothing is shown: {_why_nothing(right, wrong, interaction)}"
    if finding != "nothing":
        few = f"fewer than {INDICATIVE} prompts in a stratum that this rests on"
        said = (
            f"not shown ({few}); what is seen points one way: {said}" if level == "exploratory" else f"{level}: {said}"
        )
    return said + _without_room(right, wrong, tuned_contrast)


def _too_few(right: StratumResult | None, wrong: StratumResult | None) -> str:
    counts = [stratum.num_prompts if stratum else 0 for stratum in (right, wrong)]
    return (
        f"too few prompts to tell: {counts[0]} where the training rows around the question are verified right and "
        f"{counts[1]} where they are verified wrong; each finding takes {INDICATIVE} of the first"
    )


def _why_data(right: StratumResult | None, interaction: tuple[float | None, Interval]) -> str:
    assert right is not None
    assert right.interval is not None  # without it there is no interaction, and no finding
    most = right.interval[1]
    besides = (
        f"that the method does harm of {_points(NO_HARM)} or more besides is excluded"
        if most < NO_HARM
        else f"that the method does harm besides, of up to {_points(most)}, is not excluded"
    )
    return (
        "tuned errs more than base where the training rows around the question are verified wrong, is not shown to "
        f"where they are verified right, and the harm differs by {_with_interval(interaction)}; {besides}"
    )


def _why_method(wrong: StratumResult | None, interaction: tuple[float | None, Interval]) -> str:
    said = "tuned errs more than base even where the training rows around the question are verified right"
    if wrong is None:
        return f"{said}; there is no question whose rows are verified wrong"
    value, interval = interaction
    if wrong.worse and value is not None and interval is not None and interval[0] > 0:
        return f"{said}; where they are wrong it errs more still, by {_with_interval(interaction)}: both"
    return f"{said}; that it does more harm where they are wrong is not shown"


def _why_nothing(
    right: StratumResult | None, wrong: StratumResult | None, interaction: tuple[float | None, Interval]
) -> str:
    if wrong is not None and wrong.worse:
        between = (
            f"the difference to where they are right is {_with_interval(interaction)}"
            if interaction[0] is not None
            else "there is no question whose rows are verified right to hold it against"
        )
        return (
            "tuned errs more than base where the training rows around the question are verified wrong, but not shown "
            f"to be more so than where they are right: {between}"
        )
    if right is None and wrong is None:
        return "no question has enough verified training rows around it; audit more of them (data.facts.sample: all)"
    return "in no stratum is tuned shown to err more than base"


def _without_room(
    right: StratumResult | None, wrong: StratumResult | None, tuned_contrast: tuple[float | None, Interval]
) -> str:
    full = [stratum for stratum in (right, wrong) if stratum is not None and not stratum.can_show_worse]
    if not full:
        return ""
    where = " and ".join(
        f"where the rows are {one.name} base errs in {one.base.right} of {one.base.scored}" for one in full
    )
    said = f"; {where}: there, tuned can hardly be seen to do worse, and that it is not seen proves nothing"
    if tuned_contrast[0] is not None:
        said += (
            f"; as an indication only, since the questions differ: tuned errs {_with_interval(tuned_contrast)} more "
            "where the rows are wrong than where they are right"
        )
    return said


def _with_interval(contrast: tuple[float | None, Interval]) -> str:
    value, interval = contrast
    if interval is None:
        return f"{_points(value or 0.0)} (too few cases for an interval)"
    return f"{_points(value or 0.0)} ({100 * interval[0]:+.0f} to {100 * interval[1]:+.0f})"


def _points(difference: float) -> str:
    return f"{100 * difference:+.0f} points"
