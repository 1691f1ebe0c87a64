"""The training loop, top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from relaytune.core.counts import num_steps
from relaytune.core.packing import pack
from relaytune.core.precision import LossScale, Precision
from relaytune.core.results import TrainingStep
from relaytune.core.sections import Training
from relaytune.core.template import EncodedExample, shared_prefix_length
from relaytune.training.batching import cut, examples_of_step
from relaytune.training.lora import trainable
from relaytune.training.loss import summed_loss
from relaytune.training.scaling import LossScaling, finite_loss
from relaytune.training.schedule import learning_rate, rewarming


@dataclass
class Progress:
    """Where a run stands. With the adapter's weights and the optimizer's moments it is all that a session hands on;
    which examples come next follows from `step` and the recipe's seed.
    """

    step: int = 0
    num_tokens: int = 0
    num_supervised_tokens: int = 0
    num_skipped_steps: int = 0  # whose gradients overflowed in float16
    scale: LossScale | None = None  # of the loss in float16
    rewarmed_from: int | None = None  # the step after which the last `continue` began
    first_validation_loss: float | None = None
    best_step: int = 0
    best_validation_loss: float = math.inf
    validations_without_better: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def is_over(self, num_steps: int, patience: int) -> bool:
        """Whether the run has come to its end: all steps are done, or validation has not improved for too long."""
        return self.step >= num_steps or self.validations_without_better >= patience


@dataclass(frozen=True)
class Trained:
    """What the loop brings home. Not `finished`: the session was stopped and the next one goes on."""

    steps: tuple[TrainingStep, ...]  # of this session
    progress: Progress
    finished: bool
    stopped_early: bool


# hears of every step; True ends the session
AfterStep = Callable[[TrainingStep, Progress, torch.optim.AdamW], bool | None]


def train_adapter(
    model: Any,
    train: Sequence[EncodedExample],
    validation: Sequence[EncodedExample],
    settings: Training,
    max_tokens: int,
    after_step: AfterStep = lambda *_: False,
    progress: Progress | None = None,
    moments: dict[str, dict[str, Tensor]] | None = None,
    rewarm_steps: int = 0,
    precision: Precision = "float32",
) -> Trained:
    """Train the adapter of `model` in place, from where `progress` stands to the run's end or until told to stop.

    A step's loss is the sum over its supervised tokens divided by their number (by their weights, where they differ),
    so that the update does not depend on how `max_tokens` (tokens of one forward pass) cuts the step.

    Args:
        model: a base model with an adapter (training/lora.py) that holds the weights to go on from.
        train: all training examples, in the order of the frozen file.
        validation: examples whose loss chooses the step that is kept.
        settings: of the run, not of the session.
        max_tokens: the largest number of tokens of one forward pass.
        after_step: called after every step.
        progress: None begins a new run; it is changed in place.
        moments: the optimizer's, by weight name, to resume exactly; None begins with a fresh optimizer.
        rewarm_steps: after a `continue`, steps over which the learning rate climbs back to the run's schedule.
        precision: in which this is called (core/precision.py); in float16 the loss is scaled.

    Raises:
        RunError: the loss or the gradient is no longer a number; in float16: too often.
    """
    device = next(model.parameters()).device
    weights = trainable(model)
    optimizer = torch.optim.AdamW(weights.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    if moments is not None:
        restore(optimizer, weights, moments)
    prefix = shared_prefix_length([example.prompt_ids for example in (*train, *validation)])
    total = num_steps(len(train), settings.num_epochs, settings.examples_per_step)
    every = max(1, round(len(train) / settings.examples_per_step / settings.validations_per_epoch))

    def validated(step: int) -> float:
        return finite_loss(mean_loss(model, validation, prefix, max_tokens), step, precision)

    at = progress or Progress()
    scaling = LossScaling(precision, device.type, at.scale, at.num_skipped_steps)
    scaler = scaling.scaler
    if at.first_validation_loss is None:
        at.first_validation_loss = at.best_validation_loss = validated(0)
        at.best_weights = copied(weights)
    steps: list[TrainingStep] = []
    begun = time.perf_counter()
    model.train()

    patience = settings.early_stopping_patience
    while not at.is_over(total, patience):
        step = at.step
        indices = examples_of_step(step, len(train), settings.num_epochs, settings.examples_per_step, settings.seed)
        examples = [train[index] for index in indices]
        weight = sum(sum(example.weights) for example in examples)
        loss = 0.0
        for batch in cut(examples, prefix, max_tokens):
            row = pack(batch, prefix, device)
            summed = summed_loss(model, row)
            scaler.scale(summed / weight).backward()  # type: ignore[no-untyped-call]
            loss += summed.item() / weight
            at.num_tokens += row.num_tokens

        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(weights.values(), settings.max_grad_norm).item()
        skipped = scaling.skips(step + 1, total, loss, norm, settings.learning_rate)
        rate = learning_rate(step, total, settings) * rewarming(step, at.rewarmed_from, rewarm_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        scaler.step(optimizer)  # does nothing where the step is skipped
        scaler.update()
        optimizer.zero_grad()

        at.step, at.num_skipped_steps, at.scale = step + 1, at.num_skipped_steps + skipped, scaling.scale or at.scale
        at.num_supervised_tokens += sum(len(example.completion_ids) for example in examples)
        validation_loss = None
        if at.step % every == 0 or at.step == total:
            validation_loss = validated(at.step)
            at.validations_without_better += 1
            if settings.keep == "last" or validation_loss < at.best_validation_loss:
                at.best_validation_loss, at.best_step, at.best_weights = validation_loss, at.step, copied(weights)
                at.validations_without_better = 0
        num_examples = step * settings.examples_per_step + len(examples)
        seconds = time.perf_counter() - begun
        said = [value if math.isfinite(value) else None for value in (loss, norm)]
        steps.append(
            TrainingStep(
                at.step, num_examples, at.num_tokens, said[0], rate, said[1], seconds, validation_loss, skipped
            )
        )
        if after_step(steps[-1], at, optimizer):
            break

    finished = at.is_over(total, patience)
    return Trained(tuple(steps), at, finished, stopped_early=finished and at.step < total)


@torch.no_grad()
def mean_loss(model: Any, examples: Sequence[EncodedExample], prefix_length: int, max_tokens: int) -> float:
    """Mean cross-entropy over the supervised tokens of examples, by their weights, in nats."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total = sum(
        summed_loss(model, pack(batch, prefix_length, device)).item()
        for batch in cut(examples, prefix_length, max_tokens)
    )
    model.train(was_training)
    return total / sum(sum(example.weights) for example in examples)


def copied(weights: dict[str, torch.nn.Parameter]) -> dict[str, Tensor]:
    """The weights as they are now."""
    return {name: weight.detach().clone() for name, weight in weights.items()}


def moments_of(optimizer: torch.optim.AdamW, weights: dict[str, torch.nn.Parameter]) -> dict[str, dict[str, Tensor]]:
    """AdamW's state by weight name: the moments `exp_avg` and `exp_avg_sq`, and `step`."""
    return {
        name: {key: value.clone() for key, value in optimizer.state[weight].items()} for name, weight in weights.items()
    }


def restore(
    optimizer: torch.optim.AdamW, weights: dict[str, torch.nn.Parameter], moments: dict[str, dict[str, Tensor]]
) -> None:
    """Give the optimizer the state that `moments_of` took."""
    for name, weight in weights.items():
        optimizer.state[weight] = {
            key: value.clone() if key == "step" else value.to(weight) for key, value in moments[name].items()
        }
