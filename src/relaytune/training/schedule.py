"""The learning rate of each step. It belongs to the run, not to a session."""

from __future__ import annotations

import math

from relaytune.core.recipe import Training


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
