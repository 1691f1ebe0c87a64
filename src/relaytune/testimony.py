"""What judges and people said of the answers, in words that a person reads."""

from __future__ import annotations

from collections.abc import Iterator

from relaytune.core.counts import counted
from relaytune.core.judging import HUMAN
from relaytune.core.results import HumanCorrection, JudgingResult, PreferenceSummary, RaterAgreement, Share, WinLoss
from relaytune.evidence import say_p


def is_person(judge: str) -> bool:
    """Whether a judge is one of the people. They may see a pair in one order only."""
    return judge.startswith(HUMAN)


def testimony_lines(judging: JudgingResult) -> Iterator[str]:
    """What each judge said of each pair, how far judges and people agree, and what people correct; no full stops."""
    yield from (say_preference(summary) for summary in judging.summaries)
    yield from _say_calibrations(judging)
    yield from say_caveats(judging)


def _say_calibrations(judging: JudgingResult) -> Iterator[str]:
    """Each correction with the agreement that it rests on, then the other agreements."""
    said = []
    for correction in judging.corrections:
        with_people = [
            found
            for found in judging.agreements
            if found.about == correction.about and found.first == correction.judge and is_person(found.second)
        ]
        said += with_people
        yield "; ".join([say_correction(correction), *(f"{row.second} is {say_kappa(row)}" for row in with_people)])
    yield from (say_agreement(found) for found in judging.agreements if found not in said)


def say_preference(summary: PreferenceSummary) -> str:
    """One judge on one pair: wins, losses and ties, then what its word is worth, and why no verdict is stated."""
    pair = f"{summary.judge}, {summary.contender} against {summary.other}"
    parts = [
        say_win_loss(summary.result),
        *([f"no verdict is stated: {summary.refused}"] if summary.refused else []),
        *say_ties(summary),
        *_say_biases(summary),
        *say_unscored(summary),
    ]
    return f"{pair}: {'; '.join(parts)}"


def say_win_loss(result: WinLoss) -> str:
    """`22 won, 19 tied, 28 lost; difference -9 points (-29 to +13), p = 0.514`."""
    counts = f"{result.wins} won, {result.ties} tied, {result.losses} lost"
    if result.difference is None:
        return counts
    interval = _say_interval(result.interval, 100)
    return f"{counts}; difference {100 * result.difference:+.0f} points ({interval}), {say_p(result.p_value)}"


def say_ties(summary: PreferenceSummary) -> list[str]:
    """Where ties come from."""
    kinds = {
        "ties because the two orders disagree": summary.num_inconsistent,
        "ties of two answers that are the same text": summary.num_identical,
    }
    return [f"{count} {kind}" for kind, count in kinds.items() if count]


def say_unscored(summary: PreferenceSummary) -> list[str]:
    """How many pairs have no verdict, and why."""
    reasons = ", ".join(f"{reason or 'no reason given'} {count}" for reason, count in summary.unscored_reasons.items())
    return [f"{summary.num_unscored} unscored ({reasons})"] if summary.num_unscored else []


def say_share(share: Share) -> str:
    """`81% (70 to 88%) of 67`."""
    if share.share is None:
        return "none"
    interval = "too few for an interval"
    if share.interval is not None:
        low, high = share.interval
        interval = f"{100 * low:.0f} to {100 * high:.0f}%"
    return f"{100 * share.share:.0f}% ({interval}) of {share.total}"


def _say_biases(summary: PreferenceSummary) -> Iterator[str]:
    if not is_person(summary.judge):
        yield f"alike in both orders {say_share(summary.consistency)}"
        yield f"for the answer shown first {say_share(summary.first_slot)}"
    yield f"for the longer answer {say_share(summary.longer_wins)}"
    matched = summary.length_matched
    if matched.wins + matched.ties + matched.losses:
        yield f"of answers about as long as each other {matched.wins} won, {matched.ties} tied, {matched.losses} lost"


def say_agreement(found: RaterAgreement) -> str:
    """How far two raters agree."""
    return f"{found.first} and {found.second} on {found.about}: {say_kappa(found)}"


def say_kappa(found: RaterAgreement) -> str:
    """`alike on 50% of 34 rows, kappa 0.22 (-0.03 to +0.48)`."""
    agreement = found.agreement
    if agreement.agreeing_share is None:
        return "no row in common"
    alike = f"alike on {100 * agreement.agreeing_share:.0f}% of {counted(agreement.num_rows, 'row')}"
    if agreement.kappa is None:
        return f"{alike}, no kappa, since both always say the same one thing"
    return f"{alike}, kappa {agreement.kappa:.2f} ({_say_interval(agreement.interval, 1, '.2f')})"


def say_correction(found: HumanCorrection) -> str:
    """A judge's mean beside what people would have said of all rows."""
    corrected = found.corrected
    cut = f", cut to the range {corrected.cut_to[0]:g} to {corrected.cut_to[1]:g}" if corrected.cut_to else ""
    return (
        f"{found.about}: {found.judge} says {found.judged:.2f}, people would say "
        f"{corrected.estimate:.2f} ({_say_interval(corrected.interval, 1, '.2f')}), told from the "
        f"{counted(corrected.num_human, 'row')} that they labelled{cut}"
    )


def say_caveats(judging: JudgingResult) -> Iterator[str]:
    """What else is to be known of the judging."""
    if judging.num_unscored_ratings:
        yield f"{counted(judging.num_unscored_ratings, 'rating')} could not be scored"
    if judging.equal_points:
        equal, different = (judging.equal_points.get(f"tied, points {kind}", 0) for kind in ("equal", "different"))
        decided = judging.equal_points.get("decided, points equal", 0)
        yield (
            f"{equal} of {equal + different} ties are between answers with equal points, and {decided} pairs with equal"
            " points were decided"
        )


def _say_interval(interval: tuple[float, float] | None, factor: float, digits: str = "+.0f") -> str:
    if interval is None:
        return "too few for an interval"
    low, high = interval
    return f"{factor * low:{digits}} to {factor * high:{digits}}"
