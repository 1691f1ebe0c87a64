from __future__ import annotations

import pytest

from relaytune.core.statistics import Confusion, DoubleSample, FaultyRows, draw_faulty_rows, middle_and_limits


def _drawn(people: Confusion, rows: int = 1000, sampled: int = 400, flagged: int = 100) -> FaultyRows:
    return draw_faulty_rows(DoubleSample(rows, sampled, flagged, flagged / sampled, sampled, people))


def test_a_verifier_that_is_always_right_is_left_as_it_is() -> None:
    drawn = _drawn(Confusion(100, 0, 0, 300))
    middle, low, high = middle_and_limits(drawn.unsampled / 600)
    assert middle == pytest.approx(0.25, abs=0.01)
    assert low < 0.25 < high


def test_missed_faults_raise_the_rate_and_false_alarms_lower_it() -> None:
    missing, alarming = _drawn(Confusion(50, 0, 50, 100)), _drawn(Confusion(10, 40, 0, 150))
    assert middle_and_limits(missing.unsampled / 600)[0] == pytest.approx(0.25 + 0.75 / 3, abs=0.02)
    assert middle_and_limits(alarming.unsampled / 600)[0] == pytest.approx(0.25 / 5, abs=0.02)


def test_fewer_labels_leave_more_open() -> None:
    widths = []
    for labels in (30, 300):
        _, low, high = middle_and_limits(
            _drawn(Confusion(labels // 5, 0, labels // 5, 3 * labels // 5)).unsampled / 600
        )
        widths.append(high - low)
    assert widths[0] > 2 * widths[1]


def test_rows_that_are_labelled_are_not_drawn_and_the_same_seed_draws_the_same() -> None:
    people = Confusion(10, 10, 10, 10)
    all_labelled = draw_faulty_rows(DoubleSample(40, 40, 20, 0.5, 40, people))
    assert (all_labelled.unsampled + all_labelled.flagged + all_labelled.unflagged).max() == 0
    assert (_drawn(people).unsampled == _drawn(people).unsampled).all()
