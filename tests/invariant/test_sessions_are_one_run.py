"""However a run is cut into sessions, it walks the same rows; resumed with its moments, it ends in the same bits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from relaytune.core.counts import num_examples, num_steps
from relaytune.core.packing import PackedRow, pack
from relaytune.core.precision import Precision, computing, hold_base
from relaytune.core.results import TrainingStep
from relaytune.core.sections import Lora, Training
from relaytune.core.template import EncodedExample
from relaytune.training import loop, scaling
from relaytune.training.loop import Progress, copied, moments_of, train_adapter
from relaytune.training.lora import add_lora, trainable
from small_model import random_examples, small_llama

EXAMPLES = random_examples(26, prefix=9)
TRAIN, VALIDATION = EXAMPLES[:20], EXAMPLES[20:]
SETTINGS = Training.model_validate(
    {"num_epochs": 3, "examples_per_step": 4, "learning_rate": 5e-3, "warmup_steps": 3, "schedule": "cosine"}
    | {"early_stopping_patience": 100, "max_length": 99}
)  # 15 steps


def fresh_model(precision: Precision = "float32") -> Any:
    return hold_base(add_lora(small_llama(), Lora(rank=4, alpha=8), "a-base-model", seed=0), precision)


def run_in_sessions(
    ends: Sequence[int], resume: bool, precision: Precision = "float32"
) -> tuple[list[TrainingStep], Progress, dict[str, Tensor]]:
    """Train to each of these steps in a session of its own, then to the end; each session has a new model."""
    steps: list[TrainingStep] = []
    progress, moments = None, None
    weights: dict[str, Tensor] = {}
    for end in (*ends, 10_000):
        model = fresh_model(precision)
        with torch.no_grad():
            for name, weight in weights.items():
                trainable(model)[name].copy_(weight)
        kept: dict[str, dict[str, dict[str, Tensor]]] = {}

        def stop(
            step: TrainingStep,
            _: Progress,
            optimizer: torch.optim.AdamW,
            end: int = end,
            kept: Any = kept,
            model: Any = model,
        ) -> bool:
            kept["moments"] = moments_of(optimizer, trainable(model))
            return step.step == end

        with computing(precision, "cpu"):
            trained = train_adapter(
                model, TRAIN, VALIDATION, SETTINGS, 200, stop, progress, moments, precision=precision
            )
        steps += trained.steps
        progress, weights = replace(trained.progress), copied(trainable(model))
        moments = kept["moments"] if resume else None
    assert trained.finished
    return steps, trained.progress, weights


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("ends", [[7], [1, 4, 14], [1, 2, 3, 5, 8, 9, 10, 11, 13]])
def test_a_resumed_run_ends_in_the_same_bits_as_one_that_was_never_interrupted(
    ends: list[int], precision: Precision
) -> None:
    steps, progress, weights = run_in_sessions([], True, precision)
    again, its_progress, its_weights = run_in_sessions(ends, True, precision)
    assert [replace(step, seconds=0) for step in again] == [replace(step, seconds=0) for step in steps]
    assert all(torch.equal(weight, its_weights[name]) for name, weight in weights.items())
    assert all(torch.equal(weight, its_progress.best_weights[name]) for name, weight in progress.best_weights.items())
    assert replace(its_progress, best_weights={}) == replace(progress, best_weights={})


def test_seams_among_steps_that_float16_skips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "FIRST_SCALE", 2.0**22)
    steps, progress, weights = run_in_sessions([], True, "float16")
    again, its_progress, its_weights = run_in_sessions([1, 2, 7], True, "float16")
    assert steps[1].skipped
    assert progress.num_skipped_steps == sum(step.skipped for step in steps) < 6
    assert [replace(step, seconds=0) for step in again] == [replace(step, seconds=0) for step in steps]
    assert all(torch.equal(weight, its_weights[name]) for name, weight in weights.items())
    assert its_progress.scale == progress.scale


def test_without_the_moments_the_bits_differ_and_the_rows_do_not() -> None:
    steps, _, weights = run_in_sessions([], resume=True)
    again, _, its_weights = run_in_sessions([7], resume=False)
    assert not all(torch.equal(weight, its_weights[name]) for name, weight in weights.items())
    assert [(step.step, step.num_examples, step.num_tokens) for step in again] == [
        (step.step, step.num_examples, step.num_tokens) for step in steps
    ]


def test_after_a_continue_the_learning_rate_climbs_back_to_the_schedule_of_the_run() -> None:
    whole = [step.learning_rate for step in run_in_sessions([], resume=True)[0]]
    model = fresh_model()
    trained = train_adapter(model, TRAIN, VALIDATION, SETTINGS, 200, lambda step, *_: step.step == 6)
    rewarmed = train_adapter(
        model, TRAIN, VALIDATION, SETTINGS, 200, progress=replace(trained.progress, rewarmed_from=6), rewarm_steps=3
    )
    factors = [step.learning_rate / whole[step.step - 1] for step in rewarmed.steps]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1])


@pytest.mark.parametrize("seed", range(200))
def test_any_sessions_and_any_micro_batches_walk_the_rows_of_the_uninterrupted_run(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    rows, epochs, per_step = draw.randrange(2, 13), draw.choice([0.5, 1, 1.7, 2]), draw.randrange(3, 8)
    settings = SETTINGS.model_copy(update={"num_epochs": epochs, "examples_per_step": per_step})
    total = num_steps(rows, epochs, per_step)
    walked: list[list[str]] = []

    def seen(batch: Sequence[EncodedExample], prefix: int, device: torch.device) -> PackedRow:
        if torch.is_grad_enabled():  # not in a validation
            walked[-1] += sorted(example.id for example in batch)
        return pack(batch, prefix, device)

    def walk(ends: Sequence[int]) -> list[list[str]]:
        walked.clear()
        progress = None
        for end in (*ends, total):
            walked.append([])

            def stop(step: TrainingStep, *_: object, end: int = end) -> bool:
                walked[-1].sort()
                if step.step < end:
                    walked.append([])
                return step.step == end

            max_tokens = draw.randrange(1, 400)  # another machine, another micro-batch
            trained = train_adapter(fresh_model(), TRAIN[:rows], VALIDATION[:1], settings, max_tokens, stop, progress)
            progress = trained.progress
        return [list(step) for step in walked]

    monkeypatch.setattr(loop, "pack", seen)
    ends = sorted(draw.sample(range(1, total), draw.randrange(total)))
    cut = walk(ends)
    assert cut == walk([])
    assert sum(map(len, cut)) == num_examples(rows, epochs)
