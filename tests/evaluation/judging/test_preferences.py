from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal

import pytest

from relaytune.core.preferences import IDENTICAL, combine_judges, pair_verdicts
from relaytune.core.records import Judgement
from relaytune.core.results import PreferenceSummary
from relaytune.evaluation.judging.preferences import summarize_preferences

Better = Literal["first", "second", "tie"] | None


def _both(id: str, one: Better, two: Better, judge: str = "j", reason: str = "") -> list[Judgement]:
    """`one` with tuned shown first, `two` with base shown first."""
    return [
        Judgement(id, judge, "tuned", "base", one, reason),
        Judgement(id, judge, "base", "tuned", two, reason),
    ]


def _preference(one: Better, two: Better) -> int | None:
    return pair_verdicts(_both("1", one, two), "j", "tuned", "base")["1"].preference


def _summary(
    judgements: Sequence[Judgement],
    length: Callable[[str], tuple[int, int]] = lambda _: (10, 10),
    judge: str = "j",
    min_consistency: float = 0.6,
) -> PreferenceSummary:
    verdicts = pair_verdicts(judgements, judge, "tuned", "base")
    return summarize_preferences(
        judge,
        "tuned",
        "base",
        verdicts,
        {id: length(id) for id in verdicts},
        {id: id for id in verdicts},
        min_consistency,
    )


@pytest.mark.parametrize(
    ("one", "two", "preference"),
    [
        ("first", "second", 1),
        ("second", "first", -1),
        ("tie", "tie", 0),
        ("first", "first", 0),  # the slot, not the answer
        ("second", "second", 0),
        ("first", "tie", 0),
        ("tie", "first", 0),
        (None, "second", None),
        ("first", None, None),
        (None, None, None),
    ],
)
def test_two_orders_make_one_verdict(one: Better, two: Better, preference: int | None) -> None:
    assert _preference(one, two) == preference


def test_swapping_the_contenders_turns_every_verdict_round() -> None:
    for one in ("first", "second", "tie", None):
        for two in ("first", "second", "tie", None):
            rows = _both("1", one, two)
            ours = pair_verdicts(rows, "j", "tuned", "base")["1"].preference
            theirs = pair_verdicts(rows, "j", "base", "tuned")["1"].preference
            assert theirs == (None if ours is None else -ours)


def test_a_pair_judged_in_one_order_only_counts_and_is_marked() -> None:
    for judge in ("human:ann", "j"):
        (row, _) = _both("1", "first", "second", judge=judge)
        verdict = pair_verdicts([row], judge, "tuned", "base")["1"]
        assert (verdict.preference, verdict.one_order) == (1, True)


def test_other_judges_and_other_contenders_are_left_alone() -> None:
    rows = [*_both("1", "first", "second", judge="k"), Judgement("2", "j", "tuned", "few_shot", "first", "")]
    assert pair_verdicts(rows, "j", "tuned", "base") == {}


def test_a_summary_counts_wins_losses_ties_and_what_is_unscored_and_why() -> None:
    rows = [
        *_both("1", "first", "second"),
        *_both("2", "first", "second"),
        *_both("3", "second", "first"),
        *_both("4", "tie", "tie"),
        *_both("5", "first", "first"),
        *_both("6", None, "first", reason="no verdict line"),
        *_both("7", None, None, reason="no verdict line"),
        *_both("8", "tie", "tie", reason=IDENTICAL),
    ]
    summary = _summary(rows)
    assert (summary.result.wins, summary.result.losses, summary.result.ties) == (2, 1, 3)
    assert (summary.num_inconsistent, summary.num_identical, summary.num_unscored) == (1, 1, 2)
    assert summary.unscored_reasons == {"no verdict line": 2}
    assert summary.result.difference == pytest.approx(1 / 6)
    assert summary.result.win_rate == pytest.approx(3.5 / 6)
    # identical answers say nothing of how the judge bears a change of order
    assert (summary.consistency.count, summary.consistency.total) == (4, 5)


def test_the_first_slot_rate_shows_a_judge_that_always_takes_the_first() -> None:
    always = _summary([row for i in range(20) for row in _both(str(i), "first", "first")])
    assert always.first_slot.share == 1
    assert (always.result.wins, always.result.losses, always.result.ties) == (0, 0, 20)
    fair = _summary([row for i in range(20) for row in _both(str(i), "first", "second")])
    assert fair.first_slot.share == 0.5
    half = _summary([row for i in range(20) for row in _both(str(i), "first", "second" if i < 10 else "first")])
    assert half.first_slot.share == 0.75
    assert half.first_slot.interval is not None
    assert half.first_slot.interval[0] > 0.5


def test_a_judge_below_the_stated_consistency_is_refused_with_the_figure() -> None:
    rows = [row for i in range(20) for row in _both(str(i), "first", "second" if i < 11 else "first")]
    refused = _summary(rows)
    assert refused.refused.startswith("consistency 0.55 is below 0.6")
    assert _summary(rows, min_consistency=0.5).refused == ""


def test_too_few_pairs_are_refused() -> None:
    assert _summary([row for i in range(5) for row in _both(str(i), "first", "second")]).refused.startswith("5 pairs")
    assert _summary([row for i in range(6) for row in _both(str(i), "first", "second")]).refused == ""
    assert _summary([]).refused.startswith("0 pairs")


def test_a_judge_that_leaves_too_much_unscored_is_refused() -> None:
    scored = [row for i in range(30) for row in _both(str(i), "first", "second")]
    unscored = [row for i in range(30, 41) for row in _both(str(i), None, "second", reason="no verdict line")]
    assert _summary([*scored, *unscored[:20]]).refused == ""
    assert _summary([*scored, *unscored]).refused == "11 of 41 pairs are unscored, more than 25%"


def test_a_person_is_not_refused_for_what_one_order_cannot_show() -> None:
    rows = [Judgement(str(i), "human:ann", "tuned", "base", "first", "") for i in range(8)]
    assert _summary(rows, judge="human:ann").refused == ""


def test_a_taste_for_length_shows_and_disappears_among_answers_of_one_length() -> None:
    def length(id: str) -> tuple[int, int]:
        return ((100, 50), (50, 100), (100, 95), (95, 100))[int(id) % 4]

    # the longer wins where lengths differ much; where they match the contender wins half
    wins = ("first", "second"), ("second", "first"), ("first", "second"), ("first", "second")
    rows = [row for i in range(40) for row in _both(str(i), *wins[i % 4])]  # type: ignore[arg-type]
    summary = _summary(rows, length)
    assert summary.longer_wins.share == 0.75
    assert (summary.length_matched.wins, summary.length_matched.losses) == (20, 0)
    assert (summary.result.wins, summary.result.losses) == (30, 10)


def test_a_preference_that_may_be_one_for_length_carries_a_caution() -> None:
    longer = [row for i in range(40) for row in _both(str(i), "first", "second")]
    assert "preference for length" in _summary(longer, lambda _: (100, 50)).caution
    assert _summary(longer, lambda _: (50, 100)).caution == ""
    # half of the pairs are of one length and show the same
    assert _summary(longer, lambda id: (100, 50 if int(id) % 2 else 95)).caution == ""
    # nothing is shown, so nothing is to be cautious about
    alike = [row for i in range(40) for row in _both(str(i), "tie", "tie")]
    assert _summary(alike, lambda _: (100, 50)).caution == ""


def test_lengths_match_up_to_a_fifth_of_the_longer() -> None:
    rows = [row for i in range(6) for row in _both(str(i), "first", "second")]
    assert _summary(rows, lambda _: (80, 100)).length_matched.wins == 6
    assert _summary(rows, lambda _: (100, 79)).length_matched.wins == 0


def test_a_fair_coin_is_neither_better_nor_consistent() -> None:
    rng = random.Random(0)
    sides: tuple[Better, ...] = ("first", "second")
    rows = [row for i in range(400) for row in _both(str(i), rng.choice(sides), rng.choice(sides))]
    summary = _summary(rows)
    assert summary.consistency.share == pytest.approx(0.5, abs=0.08)
    assert summary.refused
    assert summary.result.p_value > 0.05


def test_repeated_prompts_count_as_one_case() -> None:
    rows = [row for i in range(30) for row in _both(str(i), "first", "second")]
    verdicts = pair_verdicts(rows, "j", "tuned", "base")
    lengths = dict.fromkeys(verdicts, (10, 10))
    same = summarize_preferences("j", "tuned", "base", verdicts, lengths, dict.fromkeys(verdicts, "one prompt"), 0.6)
    assert same.result.p_value == 1.0
    assert same.result.interval is None


def test_several_judges_give_the_majoritys_preference() -> None:
    def verdicts(**preferences: tuple[Better, Better]) -> list[Judgement]:
        return [row for id, (one, two) in preferences.items() for row in _both(id, one, two)]

    win, loss, none = ("first", "second"), ("second", "first"), (None, None)
    judges = [
        pair_verdicts(verdicts(a=win, b=win, c=win, d=none, e=none), "j", "tuned", "base"),  # type: ignore[arg-type]
        pair_verdicts(verdicts(a=win, b=loss, c=loss, d=win, e=none), "j", "tuned", "base"),  # type: ignore[arg-type]
        pair_verdicts(verdicts(a=loss, b=none, c=loss, d=none, e=none), "j", "tuned", "base"),  # type: ignore[arg-type]
    ]
    assert combine_judges(judges) == {"a": 1, "b": 0, "c": -1, "d": 1, "e": None}
    assert combine_judges([]) == {}
