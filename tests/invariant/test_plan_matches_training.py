"""The plan repeats two facts of the trainer, since planning imports no torch: they may not drift apart."""

from __future__ import annotations

import pytest

from relaytune.planning.memory import LOGIT_POSITIONS_AT_ONCE
from relaytune.training.batching import examples_of_step, num_steps
from relaytune.training.loss import POSITIONS_AT_ONCE


def test_the_plan_counts_as_many_logits_as_the_loss_makes_at_once() -> None:
    assert LOGIT_POSITIONS_AT_ONCE == POSITIONS_AT_ONCE


@pytest.mark.parametrize(("rows", "epochs", "per_step"), [(432, 3, 8), (7, 0.5, 4), (10, 1.25, 3)])
def test_the_last_step_is_never_empty(rows: int, epochs: float, per_step: int) -> None:
    last = num_steps(rows, epochs, per_step) - 1
    assert 1 <= len(examples_of_step(last, rows, epochs, per_step, seed=0)) <= per_step
