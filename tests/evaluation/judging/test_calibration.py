from __future__ import annotations

import random

import pytest

from relaytune.core.records import Rating
from relaytune.evaluation.judging.calibration import compare_judges, correct_preferences, summarize_ratings


def test_two_judges_agreement_and_where_they_part_are_shown() -> None:
    ids = [str(i) for i in range(40)]
    ours: dict[str, int | None] = {id: 1 if int(id) < 20 else -1 for id in ids}
    theirs: dict[str, int | None] = {**ours, "0": -1, "1": 0, "2": None}
    found = compare_judges(("a", "b"), ("tuned", "base"), ours, theirs, {id: id for id in ids})
    assert found.counts == {"win": {"win": 17, "loss": 1, "tie": 1}, "tie": {}, "loss": {"loss": 20}}
    assert found.agreement.num_rows == 39
    # 37 of 39 agree; by chance 19/39 · 17/39 + 20/39 · 21/39
    by_chance = (19 * 17 + 20 * 21) / 39**2
    assert found.agreement.kappa == pytest.approx((37 / 39 - by_chance) / (1 - by_chance))
    assert found.agreement.interval is not None


def test_human_labels_correct_a_judge_that_favours_one_side() -> None:
    rng = random.Random(0)
    ids = [str(i) for i in range(2000)]
    truth = {id: rng.choices((1, 0, -1), (30, 30, 40))[0] for id in ids}
    judge: dict[str, int | None] = {id: 1 if rng.random() < 0.4 else truth[id] for id in ids}
    human: dict[str, int | None] = {id: truth[id] for id in rng.sample(ids, 400)}
    true = sum(truth.values()) / len(ids)
    corrected = correct_preferences(judge, human, {id: id for id in ids})
    assert corrected is not None
    assert corrected.interval is not None
    assert sum(value or 0 for value in judge.values()) / len(ids) > 0.25
    assert corrected.interval[0] <= true <= corrected.interval[1]
    assert correct_preferences(judge, {}, {id: id for id in ids}) is None


def test_points_are_compared_where_both_contenders_have_them() -> None:
    ratings = [
        *(Rating(str(i), "j", "tuned", "tone", 3.0 if i % 2 else 2.0, "") for i in range(30)),
        *(Rating(str(i), "j", "base", "tone", 1.0 if i % 3 else 2.0, "") for i in range(30)),
        Rating("30", "j", "tuned", "tone", None, "no line with points"),
        Rating("30", "j", "base", "tone", 1.0, ""),
        Rating("31", "j", "base", "tone", 1.0, ""),
        Rating("1", "j", "base", "facts", 0.0, ""),
        Rating("1", "k", "base", "tone", 0.0, ""),
    ]
    summary = summarize_ratings(ratings, "j", "tone", "tuned", "base", {str(i): i for i in range(40)})
    assert (summary.num_pairs, summary.num_unscored) == (30, 2)
    assert summary.unscored_reasons == {"no line with points": 1, "rated for one of the two only": 1}
    assert summary.mean == 2.5
    assert summary.other_mean == pytest.approx(4 / 3)
    assert summary.interval is not None
    assert summary.interval[0] > 0
    assert summary.p_value < 0.001
