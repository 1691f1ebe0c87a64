from __future__ import annotations

import random

import pytest

from relaytune.core.statistics import correct_by_human_labels, mean_interval
from relaytune.core.statistics.correction import MIN_HUMAN_CLUSTERS


def test_a_judge_that_is_always_right_stands_for_the_person() -> None:
    truth = [1.0] * 60 + [0.0] * 50 + [-1.0] * 90
    random.Random(1).shuffle(truth)
    result = correct_by_human_labels(truth, [*truth[:40], *[None] * 160])
    assert result is not None
    assert result.estimate == pytest.approx(sum(truth) / 200)
    assert result.judge_weight == pytest.approx(1)
    assert result.num_human == 40


def test_a_bias_of_the_judge_is_taken_off() -> None:
    numbers = random.Random(2)
    human = [float(numbers.choice((-1, 0, 1))) for _ in range(4000)]
    # the judge turns every other loss into a win
    judge = [1.0 if outcome < 0 and numbers.random() < 0.5 else outcome for outcome in human]
    result = correct_by_human_labels(judge, [*human[:400], *[None] * 3600])
    assert result is not None
    assert result.interval is not None
    truth = sum(human) / 4000
    assert sum(judge) / 4000 > truth + 0.25
    assert result.interval[0] < truth < result.interval[1]
    assert abs(result.estimate - truth) < 0.1


def test_a_judge_whose_labels_say_nothing_is_not_heard() -> None:
    human = [1.0, -1.0, 0.0, 1.0] * 10
    result = correct_by_human_labels([1.0] * 100, [*human, *[None] * 60])
    assert result is not None
    assert result.judge_weight == 0
    assert result.estimate == pytest.approx(sum(human) / 40)


def test_a_good_judge_narrows_the_interval_and_its_scale_does_not_matter() -> None:
    numbers = random.Random(3)
    truth = [numbers.gauss(0, 1) for _ in range(500)]
    judge = [outcome + numbers.gauss(0.5, 0.3) for outcome in truth]
    human = [*truth[:50], *[None] * 450]
    heard, unheard = correct_by_human_labels(judge, human), correct_by_human_labels([0.0] * 500, human)
    assert heard is not None
    assert unheard is not None
    assert heard.interval is not None
    assert unheard.interval is not None
    assert heard.interval[1] - heard.interval[0] < 0.6 * (unheard.interval[1] - unheard.interval[0])
    rescaled = correct_by_human_labels([10 - 3 * outcome for outcome in judge], human)
    assert rescaled is not None
    assert rescaled.interval == pytest.approx(heard.interval)


def test_with_all_rows_labelled_by_a_person_the_judge_changes_nothing() -> None:
    human = [1.0, -1.0, 0.0, 1.0, 1.0] * 10
    judge = [1.0, 0.0, 0.0, -1.0, 1.0] * 10
    result = correct_by_human_labels(judge, human)
    assert result is not None
    assert result.interval is not None
    mean = sum(human) / 50
    assert result.estimate == pytest.approx(mean)
    plain = mean_interval(human)
    assert plain is not None
    # 50 labels less two fitted parameters, where the mean alone costs one
    assert result.interval == pytest.approx(plain, abs=0.01)


def test_copies_of_a_prompt_do_not_narrow_it() -> None:
    numbers = random.Random(4)
    truth = [float(numbers.choice((-1, 0, 1))) for _ in range(200)]
    judge = [outcome if numbers.random() < 0.7 else 1.0 for outcome in truth]
    human: list[float | None] = [*truth[:50], *[None] * 150]
    once = correct_by_human_labels(judge, human)
    thrice = correct_by_human_labels(judge * 3, human * 3, list(range(200)) * 3)
    assert once is not None
    assert thrice is not None
    assert thrice.interval == pytest.approx(once.interval)


def test_with_too_few_human_labels_no_interval_is_stated() -> None:
    labels = [1.0, -1.0] * 50
    few = MIN_HUMAN_CLUSTERS - 1
    assert correct_by_human_labels(labels, [None] * 100) is None
    result = correct_by_human_labels(labels, [*labels[:few], *[None] * (100 - few)])
    assert result is not None
    assert result.interval is None
    enough = correct_by_human_labels(labels, [*labels[: few + 1], *[None] * (99 - few)])
    assert enough is not None
    assert enough.interval is not None


def test_people_who_always_say_the_same_leave_the_rest_unknown() -> None:
    result = correct_by_human_labels([1.0, -1.0] * 50, [*[1.0] * 40, *[None] * 60])
    assert result is not None
    assert (result.estimate, result.interval) == (1, None)


def test_labels_that_do_not_match_the_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        correct_by_human_labels([1.0, 0.0], [1.0])


def test_a_correction_that_leaves_the_scale_is_cut_to_it_and_says_so() -> None:
    """People give nearly all labelled rows 3 of 3 points, and the judge likes the other rows better still."""
    human: list[float | None] = [*[3.0] * 24, 2.0, 1.0, *[None] * 100]
    judge = [*[2.0] * 24, 1.0, 0.0, *[3.0] * 100]
    plain = correct_by_human_labels(judge, human)
    assert plain is not None
    assert plain.estimate > 3
    assert plain.cut_to is None
    cut = correct_by_human_labels(judge, human, bounds=(0, 3))
    assert cut is not None
    assert (cut.estimate, cut.cut_to) == (3, (0, 3))
    assert correct_by_human_labels(judge, human, bounds=(0, 10)) == plain
