"""What the plan and the work both count by. No torch, so that planning can read it."""

from __future__ import annotations

import math

LOGIT_POSITIONS_AT_ONCE = 256  # the loss makes logits for so many supervised positions at a time: 50 MB for SmolLM2
ANSWERS_AT_ONCE = 32  # answers written side by side on a CPU
# On a GPU a step of few answers takes as long as one of many: it waits for its kernels to be started
ANSWERS_AT_ONCE_ON_GPU = 512
FREE_MEMORY_FOR_ANSWERS = 0.4  # of a GPU's free memory, for the keys and values of answers


def answers_at_once(on_gpu: bool, free_bytes: float, bytes_per_answer: float) -> int:
    """How many answers are written side by side. `bytes_per_answer`: keys and values of its own tokens, all layers."""
    if not on_gpu:
        return ANSWERS_AT_ONCE
    fitting = int(FREE_MEMORY_FOR_ANSWERS * free_bytes / bytes_per_answer)
    return max(1, min(ANSWERS_AT_ONCE_ON_GPU, fitting))


def counted(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def num_examples(num_rows: int, num_epochs: float) -> int:
    """Examples that a run walks. Rounded: 1.1 × 10 is above 11 in binary, but means 11."""
    return round(num_epochs * num_rows)


def num_steps(num_rows: int, num_epochs: float, examples_per_step: int) -> int:
    """Optimizer steps of a run; the last one may be smaller."""
    return math.ceil(num_examples(num_rows, num_epochs) / examples_per_step)
