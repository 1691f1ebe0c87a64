from __future__ import annotations

import pytest

from relaytune.evaluation.judging.prompting import Side
from relaytune.evaluation.judging.verdicts import read_points, read_verdict

SIDES: dict[str, Side] = {"maple": "first", "cedar": "second", "yew": "tie"}


@pytest.mark.parametrize(
    ("completion", "better"),
    [
        ("Verdict: maple", "first"),
        ("Verdict: cedar\nIt is right.", "second"),
        ("Verdict: yew\nBoth are right.", "tie"),
        ("It is right.\n\nVerdict: cedar", "second"),
        ("**Verdict:** Maple.\nIt is right.", "first"),
        ("## Verdict: `maple`", "first"),
        ("Verdict: maple\nbecause …\nVerdict: maple", "first"),
        ("maple", "first"),
        (" Cedar.\n", "second"),
        ("<think>Verdict: cedar? No.</think>\nVerdict: maple", "first"),
        ("thoughts of a template that opens them itself\n</think>Verdict: maple", "first"),
    ],
)
def test_one_verdict_is_read(completion: str, better: str) -> None:
    assert read_verdict(completion, "stop", SIDES)[0] == better


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("maple is better", "no verdict line"),
        ("I think the verdict is clear: maple", "no verdict line"),
        ("Verdict: maple\nVerdict: cedar", "several different verdicts"),
        ("Verdict: maple\nVerdict: first", "the verdict is none of those allowed"),
        ("Verdict: maple or cedar", "the verdict is none of those allowed"),
        ("Verdict: maple, cedar", "the verdict is none of those allowed"),
        ("Verdict: tie", "the verdict is none of those allowed"),
        ("Verdict: A", "the verdict is none of those allowed"),
        ("Verdict:", "the verdict is none of those allowed"),
        ('{"verdict": "maple"}', "no verdict line"),
        ("maple cedar", "no verdict line"),
        ("<think>Verdict: maple", "thoughts without an end"),
        ("<think>maple</think>", "empty"),
    ],
)
def test_anything_but_one_verdict_is_unscored_with_its_reason(completion: str, reason: str) -> None:
    assert read_verdict(completion, "stop", SIDES) == (None, reason)


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("content_filter", "ended by content_filter"), ("", "ended by nothing")],
)
def test_a_completion_that_was_stopped_is_unscored_even_with_a_verdict(finish_reason: str, reason: str) -> None:
    assert read_verdict("Verdict: maple\nIt", finish_reason, SIDES) == (None, reason)
    assert read_points("Points for maple: 2\nIt", finish_reason, "maple", 3) == (None, reason)


def test_of_a_completion_that_was_cut_off_the_whole_lines_count() -> None:
    assert read_verdict("Verdict: maple\nIt rambles on and", "length", SIDES) == ("first", "")
    assert read_points("Points for maple: 2\nIt rambles on and", "length", "maple", 3) == (2.0, "")
    # the last line may have gone on: `Points for maple: 1` was perhaps going to be 10
    for cut in ("Verdict: maple", "Points for maple: 1", "maple", "It rambles\nVerdict: map"):
        assert read_verdict(cut, "length", SIDES) == (None, "cut off at max_tokens")
        assert read_points(cut, "length", "maple", 10) == (None, "cut off at max_tokens")
    assert read_verdict("Verdict: maple\nVerdict: cedar\nIt", "length", SIDES)[0] is None
    assert read_verdict("<think>Verdict: maple\nVerdict: maple\nand", "length", SIDES)[0] is None


def test_the_reason_is_the_judges_own_words_with_the_places_for_the_names_and_not_too_long() -> None:
    assert read_verdict("Verdict: maple\nMaple is right,\ncedar is not.", "stop", SIDES) == (
        "first",
        "the first is right, the second is not.",
    )
    _, reason = read_verdict("Verdict: maple\n" + "long " * 500, "stop", SIDES)
    assert len(reason) == 300


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        ("Points for maple: 2\nIt is kind.", 2),
        ("points for Maple: 0", 0),
        ("**Points for maple:** 3/3", 3),
        ("Points for maple: 3 out of 3", 3),
        ("Points for maple: 1\nPoints for maple: 1", 1),
    ],
)
def test_points_are_read(completion: str, value: float) -> None:
    assert read_points(completion, "stop", "maple", 3)[0] == value


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("2", "no line with points"),
        ("Points: 2", "no line with points"),
        ("Points for cedar: 2", "no line with points"),
        ("Points for maple: 4", "points above 3"),
        ("Points for maple: 2.5", "the points are no whole number"),
        ("Points for maple: -1", "the points are no whole number"),
        ("Points for maple: 2/10", "the points are no whole number"),
        ("Points for maple: two", "the points are no whole number"),
        ("Points for maple: 2\nPoints for maple: 3", "several different points"),
    ],
)
def test_anything_but_whole_points_within_the_scale_is_unscored(completion: str, reason: str) -> None:
    assert read_points(completion, "stop", "maple", 3) == (None, reason)
