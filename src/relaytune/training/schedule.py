"""The learning rate of each step. It belongs to the run, not to a session."""

from __future__ import annotations

import math

from relaytune.core.sections import Training


def learning_rate(step: int, num_steps: int, training: Training) -> float:
    """Learning rate of a step (counted from 0): linear warm-up, then linear, cosine or constant.

    The decay reaches 0 one step after the last, so that no step is wasted on a rate of 0.
    """
    warmup = min(training.warmup_steps, num_steps)
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    if training.schedule == "constant":
        return training.learning_rate
    done = (step - warmup) / max(1, num_steps - warmup)
    left = 1 - done if training.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return training.learning_rate * left


def rewarming(step: int, begun_after: int | None, rewarm_steps: int) -> float:
    """Factor on a step's learning rate after a `continue`: a fresh optimizer's first steps are badly scaled.

    Args:
        step: counted from 0.
        begun_after: the number of steps that the run had when the `continue` began; None where there was none.
        rewarm_steps: over so many steps the factor climbs to 1.
    """
    if begun_after is None or step - begun_after >= rewarm_steps:
        return 1.0
    return (step - begun_after + 1) / (rewarm_steps + 1)
