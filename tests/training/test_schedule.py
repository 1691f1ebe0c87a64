from __future__ import annotations

from itertools import pairwise

import pytest

from relaytune.core.sections import Training
from relaytune.training.schedule import learning_rate


def settings(schedule: str, warmup_steps: int = 4) -> Training:
    return Training.model_validate({"learning_rate": 1e-3, "schedule": schedule, "warmup_steps": warmup_steps})


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_warm_up_rises_to_the_full_rate_and_no_step_is_wasted_on_zero(schedule: str) -> None:
    rates = [learning_rate(step, 20, settings(schedule)) for step in range(20)]
    assert rates[:4] == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3])
    assert min(rates) > 0
    assert max(rates) == pytest.approx(1e-3)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_decay_falls_at_every_step(schedule: str) -> None:
    rates = [learning_rate(step, 20, settings(schedule)) for step in range(4, 20)]
    assert all(later < earlier for earlier, later in pairwise(rates))


def test_cosine_is_at_half_the_rate_half_way() -> None:
    assert learning_rate(12, 20, settings("cosine")) == pytest.approx(0.5e-3)


def test_a_run_shorter_than_its_warm_up_still_reaches_the_full_rate() -> None:
    assert learning_rate(2, 3, settings("linear", warmup_steps=50)) == pytest.approx(1e-3)


def test_no_warm_up_starts_at_the_full_rate() -> None:
    assert learning_rate(0, 10, settings("linear", warmup_steps=0)) == pytest.approx(1e-3)
