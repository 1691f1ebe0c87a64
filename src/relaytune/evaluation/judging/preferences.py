"""What one judge's verdicts are worth: wins with their interval, consistency, tastes, and when they are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping

from relaytune.core.judging import HUMAN
from relaytune.core.preferences import IDENTICAL, PairVerdict
from relaytune.core.results import PreferenceSummary, Share, WinLoss
from relaytune.core.statistics import paired_share_interval, paired_test, preference_interval, share_interval

# lengths of two answers match where the shorter has at least this share of the longer one's characters
LENGTH_MATCH = 0.8
# so many pairs, all won, are the fewest that the sign test can call a difference: p = 2 / 2^6 = 0.031
FEWEST_PAIRS = 6
# with more of the pairs unscored, what they would have said could turn the result; an answer can try to make it so
MOST_UNSCORED = 0.25


def summarize_preferences(
    judge: str,
    contender: str,
    other: str,
    verdicts: Mapping[str, PairVerdict],
    lengths: Mapping[str, tuple[int, int]],
    clusters: Mapping[str, Hashable],
    min_consistency: float,
) -> PreferenceSummary:
    """Everything that one judge's verdicts on one pair of contenders say.

    `lengths` are the characters of the two answers to each example, the contender's first; `clusters` names the
    prompt of each example: examples with one prompt count as one case.
    """
    scored = {id: verdict for id, verdict in verdicts.items() if verdict.preference is not None}
    preferences = {id: verdict.preference or 0 for id, verdict in scored.items()}
    result = win_loss(preferences, clusters)
    matched = {id: value for id, value in preferences.items() if _lengths_match(*lengths[id])}
    length_matched, longer_wins = win_loss(matched, clusters), _longer_wins(preferences, lengths, clusters)
    asked = {id: verdict for id, verdict in scored.items() if verdict.reason != IDENTICAL}
    both_orders = {id: verdict for id, verdict in asked.items() if not verdict.one_order}
    consistency = _share({id: verdict.consistent for id, verdict in both_orders.items()}, clusters)
    num_one_order = len(asked) - len(both_orders)
    return PreferenceSummary(
        judge,
        contender,
        other,
        result=result,
        num_inconsistent=sum(not verdict.consistent for verdict in scored.values()),
        num_identical=len(scored) - len(asked),
        num_unscored=len(verdicts) - len(scored),
        unscored_reasons=dict(Counter(row.reason for row in verdicts.values() if row.preference is None)),
        consistency=consistency,
        first_slot=_first_slot(both_orders, clusters) if both_orders else _first_of_one_order(asked, clusters),
        num_one_order=num_one_order,
        longer_wins=longer_wins,
        length_matched=length_matched,
        caution=_length_caution(result, longer_wins, length_matched),
        refused=_refusal(judge, verdicts, asked, consistency, min_consistency),
    )


def win_loss(preferences: Mapping[str, int], clusters: Mapping[str, Hashable]) -> WinLoss:
    """Wins, losses and ties with the interval of their difference and the sign test, clustered by prompt."""
    values = list(preferences.values())
    names = [clusters[id] for id in preferences]
    counts = Counter(values)
    return WinLoss(
        counts[1],
        counts[-1],
        counts[0],
        sum(values) / len(values) if values else None,
        preference_interval(values, names),
        paired_test(values, names),
    )


def _refusal(
    judge: str,
    verdicts: Mapping[str, PairVerdict],
    asked: Mapping[str, PairVerdict],
    consistency: Share,
    min_consistency: float,
) -> str:
    if len(asked) < FEWEST_PAIRS:
        return f"{len(asked)} pairs asked and scored; fewer than {FEWEST_PAIRS} can show nothing"
    if judge.startswith(HUMAN):
        return ""
    num_unscored = sum(verdict.preference is None for verdict in verdicts.values())
    if num_unscored > MOST_UNSCORED * len(verdicts):
        return f"{num_unscored} of {len(verdicts)} pairs are unscored, more than {MOST_UNSCORED:.0%}"
    if num_one_order := sum(verdict.one_order for verdict in asked.values()):
        return (
            f"{num_one_order} of {len(asked)} pairs were judged in one order only: a taste for the first place cannot "
            "be told from one for the answer"
        )
    if consistency.share is None or consistency.share >= min_consistency:
        return ""
    return (
        f"consistency {consistency.share:.2f} is below {min_consistency:g}: swapping the two answers changes what "
        "this judge says too often"
    )


def _length_caution(result: WinLoss, longer_wins: Share, length_matched: WinLoss) -> str:
    """A difference that is shown, mostly by longer answers, and not by answers of one length."""
    if result.p_value > 0.05 or longer_wins.interval is None or longer_wins.interval[0] <= 0.5:
        return ""
    if length_matched.p_value <= 0.05 and (length_matched.difference or 0) * (result.difference or 0) > 0:
        return ""
    return (
        f"the longer answer wins {longer_wins.share:.0%} of {longer_wins.total} decided pairs, and pairs of about one "
        f"length show no difference ({length_matched.wins} won, {length_matched.losses} lost): this may be a "
        "preference for length"
    )


def _share(values: Mapping[str, bool], clusters: Mapping[str, Hashable]) -> Share:
    numbers = [float(value) for value in values.values()]
    return Share(
        sum(numbers),
        len(numbers),
        sum(numbers) / len(numbers) if numbers else None,
        share_interval(numbers, [clusters[id] for id in values]),
    )


def _first_slot(scored: Mapping[str, PairVerdict], clusters: Mapping[str, Hashable]) -> Share:
    """Share of verdicts for the first slot, over pairs that both orders decided.

    Each pair gives two verdicts that hang together. So the interval is that of a paired difference: how much more often
    an answer is preferred when shown first than when shown second. That difference is 2 · share - 1.
    """
    decided = {id: row for id, row in scored.items() if row.first_order and row.second_order}
    shown_first = [float(row.first_order == 1) for row in decided.values()]
    shown_second = [float(row.second_order == 1) for row in decided.values()]
    difference = sum(shown_first) - sum(shown_second)
    interval = paired_share_interval(shown_first, shown_second, [clusters[id] for id in decided])
    total = 2 * len(decided)
    return Share(
        len(decided) + difference,
        total,
        (len(decided) + difference) / total if total else None,
        None if interval is None else ((1 + interval[0]) / 2, (1 + interval[1]) / 2),
    )


def _first_of_one_order(scored: Mapping[str, PairVerdict], clusters: Mapping[str, Hashable]) -> Share:
    """Share of decided verdicts for the answer shown first, where each pair was judged in one order."""
    return _share(
        {
            id: (row.first_order or -(row.second_order or 0)) > 0
            for id, row in scored.items()
            if row.first_order or row.second_order
        },
        clusters,
    )


def _longer_wins(
    preferences: Mapping[str, int], lengths: Mapping[str, tuple[int, int]], clusters: Mapping[str, Hashable]
) -> Share:
    return _share(
        {
            id: (preference > 0) == (lengths[id][0] > lengths[id][1])
            for id, preference in preferences.items()
            if preference and lengths[id][0] != lengths[id][1]
        },
        clusters,
    )


def _lengths_match(one: int, other: int) -> bool:
    return min(one, other) >= LENGTH_MATCH * max(one, other)
