"""The training loop, top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from relaytune.core.counts import num_steps
from relaytune.core.errors import RunError
from relaytune.core.packing import pack
from relaytune.core.recipe import Training
from relaytune.core.results import TrainingStep
from relaytune.core.template import EncodedExample, shared_prefix_length
from relaytune.training.batching import cut, examples_of_step
from relaytune.training.lora import trainable
from relaytune.training.loss import summed_loss
from relaytune.training.schedule import learning_rate


@dataclass(frozen=True)
class Trained:
    """What the loop brings home: every step, and the adapter with the best validation loss."""

    steps: tuple[TrainingStep, ...]
    num_supervised_tokens: int
    first_validation_loss: float
    best_step: int
    best_validation_loss: float
    best_weights: dict[str, Tensor]
    stopped_early: bool


def train_adapter(
    model: Any,
    train: Sequence[EncodedExample],
    validation: Sequence[EncodedExample],
    settings: Training,
    max_tokens: int,
    on_step: Callable[[TrainingStep], None] = lambda _: None,
) -> Trained:
    """Train the adapter of `model` in place.

    A step's loss is the sum over its supervised tokens divided by their number (by their weights, where they differ),
    so that the update does not depend on how `max_tokens` (tokens of one forward pass) cuts the step.

    Raises:
        RunError: the loss or the gradient is no longer a number.
    """
    device = next(model.parameters()).device
    weights = trainable(model)
    optimizer = torch.optim.AdamW(weights.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    prefix = shared_prefix_length([example.prompt_ids for example in (*train, *validation)])
    total = num_steps(len(train), settings.num_epochs, settings.examples_per_step)
    every = max(1, round(len(train) / settings.examples_per_step / settings.validations_per_epoch))

    first = best = mean_loss(model, validation, prefix, max_tokens)
    best_step, best_weights, without_better = 0, _copy(weights), 0
    steps: list[TrainingStep] = []
    num_examples = num_tokens = num_supervised = 0
    stopped_early = False
    begun = time.perf_counter()
    model.train()

    for step in range(total):
        indices = examples_of_step(step, len(train), settings.num_epochs, settings.examples_per_step, settings.seed)
        examples = [train[index] for index in indices]
        supervised = sum(len(example.completion_ids) for example in examples)
        weight = sum(sum(example.weights) for example in examples)
        loss = 0.0
        for batch in cut(examples, prefix, max_tokens):
            row = pack(batch, prefix, device)
            summed = summed_loss(model, row)
            (summed / weight).backward()  # type: ignore[no-untyped-call]
            loss += summed.item() / weight
            num_tokens += row.num_tokens

        norm = torch.nn.utils.clip_grad_norm_(weights.values(), settings.max_grad_norm).item()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise RunError(
                f"step {step + 1}: loss {loss}, gradient norm {norm}: no longer numbers, training stopped. "
                f"Lower training.learning_rate (now {settings.learning_rate:g})."
            )
        rate = learning_rate(step, total, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()

        num_examples += len(examples)
        num_supervised += supervised
        validation_loss = None
        if (step + 1) % every == 0 or step + 1 == total:
            validation_loss = mean_loss(model, validation, prefix, max_tokens)
            without_better += 1
            if validation_loss < best:
                best, best_step, best_weights, without_better = validation_loss, step + 1, _copy(weights), 0
        seconds = time.perf_counter() - begun
        steps.append(TrainingStep(step + 1, num_examples, num_tokens, loss, rate, norm, seconds, validation_loss))
        on_step(steps[-1])
        if without_better >= settings.early_stopping_patience:
            stopped_early = step + 1 < total
            break

    return Trained(tuple(steps), num_supervised, first, best_step, best, best_weights, stopped_early)


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


def _copy(weights: dict[str, torch.nn.Parameter]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}
