"""The order of rows is a pure function of seed and position."""

from __future__ import annotations

import pytest

from relaytune.core.counts import num_steps
from relaytune.training.batching import example_at, examples_of_step


@pytest.mark.parametrize(("rows", "epochs", "per_step"), [(10, 3.0, 4), (7, 1.0, 8), (32, 2.5, 8), (5, 0.4, 1)])
def test_every_epoch_shows_every_row_exactly_once(rows: int, epochs: float, per_step: int) -> None:
    walked = [
        index
        for step in range(num_steps(rows, epochs, per_step))
        for index in examples_of_step(step, rows, epochs, per_step, seed=3)
    ]
    assert len(walked) == round(epochs * rows)
    for start in range(0, len(walked) - rows + 1, rows):
        assert sorted(walked[start : start + rows]) == list(range(rows))


def test_a_step_asked_for_alone_is_the_step_of_the_whole_walk() -> None:
    walk = [examples_of_step(step, 50, 3.0, 8, seed=1) for step in range(19)]
    assert [examples_of_step(step, 50, 3.0, 8, seed=1) for step in reversed(range(19))] == walk[::-1]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    def order(epoch: int, seed: int) -> list[int]:
        return [example_at(epoch * 40 + place, 40, seed) for place in range(40)]

    assert order(0, 0) != order(1, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != list(range(40))


def test_the_examples_per_step_do_not_change_the_walk() -> None:
    def walk(per_step: int) -> list[int]:
        return [i for step in range(num_steps(30, 2, per_step)) for i in examples_of_step(step, 30, 2, per_step, 5)]

    assert walk(1) == walk(8) == walk(60)


@pytest.mark.parametrize(("rows", "epochs", "per_step"), [(432, 3, 8), (7, 0.5, 4), (10, 1.25, 3), (10, 1.1, 11)])
def test_the_last_step_is_never_empty(rows: int, epochs: float, per_step: int) -> None:
    last = num_steps(rows, epochs, per_step) - 1
    assert 1 <= len(examples_of_step(last, rows, epochs, per_step, seed=0)) <= per_step
