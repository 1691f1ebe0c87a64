"""What the plan and the work both count by. No torch, so that planning can read it."""

from __future__ import annotations

import math

LOGIT_POSITIONS_AT_ONCE = 256  # the loss makes logits for so many supervised positions at a time: 50 MB for SmolLM2
ANSWERS_AT_ONCE = 32  # answers written side by side


def num_examples(num_rows: int, num_epochs: float) -> int:
    """Examples that a run walks. Rounded: 1.1 × 10 is above 11 in binary, but means 11."""
    return round(num_epochs * num_rows)


def num_steps(num_rows: int, num_epochs: float, examples_per_step: int) -> int:
    """Optimizer steps of a run; the last one may be smaller."""
    return math.ceil(num_examples(num_rows, num_epochs) / examples_per_step)
