"""Gradients in float16: the loss is scaled so that small ones do not vanish (arXiv 1710.03740, section 3.2).

Where the scaled gradients overflow, the step is skipped and the scale halved. A skipped step has taken its place in the
data and in the schedule, and changed nothing.
"""

from __future__ import annotations

import math

import torch

from relaytune.core.errors import RunError
from relaytune.core.precision import LossScale, Precision

EARLY_STEPS = 100
MOST_SKIPPED = 0.10  # of the early steps
FIRST_SCALE = 2.0**13  # torch's own, 2**16, skipped the first two steps of each run of SmolLM2
FINDING_THE_SCALE = 5  # skipped steps that say nothing yet: the scale is being found


OVERFLOWING = (
    "What this base model computes exceeds the largest value of float16 (65,504), whatever the scale. Go on with "
    "training.precision=bfloat16 on a card that has it, or with float32; what was handed on stays good."
)


def finite_loss(loss: float, step: int, precision: Precision) -> float:
    """A validation loss that can be compared.

    Raises:
        RunError: it is no number.
    """
    if math.isfinite(loss):
        return loss
    advice = "Lower training.learning_rate." if step else "The base model itself gives no number: look at its weights."
    advice = OVERFLOWING if precision == "float16" else advice
    raise RunError(f"step {step}: the validation loss is {loss}, training stopped. {advice}")


class LossScaling:
    """torch's GradScaler, which does nothing outside float16, and the count of what it skipped."""

    def __init__(self, precision: Precision, device: str, scale: LossScale | None, skipped_before: int) -> None:
        self.scaler = torch.amp.GradScaler(device, init_scale=FIRST_SCALE, enabled=precision == "float16")
        self._skipped_before = skipped_before  # in earlier sessions
        self._skipped_with_loss = self._skipped_without_loss = 0
        if scale is not None and self.scaler.is_enabled():
            state = self.scaler.state_dict()
            self.scaler.load_state_dict(
                {**state, "scale": scale.value, "_growth_tracker": scale.steps_without_overflow}
            )

    @property
    def scale(self) -> LossScale | None:
        """What the next session goes on with; None outside float16."""
        if not self.scaler.is_enabled():
            return None
        state = self.scaler.state_dict()
        return LossScale(state["scale"], state["_growth_tracker"])

    def skips(self, step: int, num_steps: int, loss: float, norm: float, learning_rate: float) -> bool:
        """Whether a step (counted from 1) has to be skipped, as its gradient is no longer a number.

        Raises:
            RunError: nothing is scaled that could be scaled down, or too much was skipped already.
        """
        if math.isfinite(loss) and math.isfinite(norm):
            return False
        if not self.scaler.is_enabled():
            raise RunError(
                f"step {step}: loss {loss}, gradient norm {norm}: no longer numbers, training stopped. "
                f"Lower training.learning_rate (now {learning_rate:g})."
            )
        self._skipped_with_loss += math.isfinite(loss)
        self._skipped_without_loss += not math.isfinite(loss)
        skipped = self._skipped_before + self._skipped_with_loss + self._skipped_without_loss
        early = min(EARLY_STEPS, num_steps)
        too_many = step <= early and skipped > max(FINDING_THE_SCALE, MOST_SKIPPED * early)
        if too_many or self.scaler.get_scale() < 1:
            raise RunError(f"step {step}: {skipped} steps were skipped. {self._diagnosis(learning_rate)}")
        return True

    def _diagnosis(self, learning_rate: float) -> str:
        if self._skipped_without_loss > self._skipped_with_loss:
            return f"The loss itself is no number in most of them. {OVERFLOWING}"
        return (
            f"Their gradients overflow in float16, also with the loss scaled by {self.scaler.get_scale():g}. Lower "
            f"training.learning_rate (now {learning_rate:g}; that begins another run), or go on with "
            "training.precision=float32; what was handed on stays good."
        )
