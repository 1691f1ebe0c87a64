"""Training in 16 bits, on a CPU: as on a GPU, but for the kernel of the attention (tests/core/test_attention.py)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from relaytune.core.errors import RunError
from relaytune.core.precision import LossScale, Precision, computing, hold_base
from relaytune.core.results import TrainingStep
from relaytune.core.sections import Lora, Training
from relaytune.training.loop import Progress, Trained, copied, train_adapter
from relaytune.training.lora import add_lora, trainable
from small_model import random_examples, small_llama

EXAMPLES = random_examples(20, prefix=9)
TRAIN, VALIDATION = EXAMPLES[:16], EXAMPLES[16:]
SETTINGS = Training.model_validate(
    {"num_epochs": 4, "examples_per_step": 4, "learning_rate": 5e-3, "warmup_steps": 2, "early_stopping_patience": 99}
)  # 16 steps
NEVER_OVERFLOWS, ALWAYS_OVERFLOWS = LossScale(256.0, 0), LossScale(2.0**127, 0)


def adapted(precision: Precision, outlier: float = 1.0) -> Any:
    base = small_llama()
    base.model.layers[1].mlp.down_proj.weight.data *= outlier
    return hold_base(add_lora(base, Lora(rank=4, alpha=8), "a-base-model", seed=0), precision)


def train(
    model: Any, precision: Precision, progress: Progress | None = None, until: int = 99, settings: Training = SETTINGS
) -> Trained:
    def stop(step: TrainingStep, *_: object) -> bool:
        return step.step == until

    with computing(precision, next(model.parameters()).device.type):
        return train_adapter(model, TRAIN, VALIDATION, settings, 300, stop, progress, precision=precision)


@pytest.mark.parametrize(("precision", "apart"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_losses_in_sixteen_bits_are_those_of_float32_but_for_rounding(precision: Precision, apart: float) -> None:
    exact = train(adapted("float32"), "float32").steps
    rounded = train(adapted(precision), precision).steps
    assert [step.train_loss for step in rounded] == pytest.approx([step.train_loss for step in exact], rel=apart)
    assert [step.train_loss for step in rounded] != [step.train_loss for step in exact]
    assert not any(step.skipped for step in rounded)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_only_the_frozen_matrices_are_held_in_sixteen_bits(precision: Precision) -> None:
    model = adapted(precision)
    assert {weight.dtype for weight in trainable(model).values()} == {torch.float32}
    layer = model.get_base_model().model.layers[0]
    assert layer.self_attn.q_proj.base_layer.weight.element_size() == 2
    for kept in (layer.input_layernorm, model.get_base_model().model.embed_tokens, model.get_base_model().lm_head):
        assert kept.weight.dtype == torch.float32


def test_the_adapter_starts_from_the_same_numbers_in_every_precision() -> None:
    start = copied(trainable(adapted("float32")))
    assert all(torch.equal(weight, start[name]) for name, weight in trainable(adapted("float16")).items())


def test_a_step_that_overflows_changes_nothing_is_counted_and_halves_the_scale() -> None:
    model = adapted("float16")
    before = copied(trainable(model))
    trained = train(model, "float16", Progress(scale=ALWAYS_OVERFLOWS), until=1)
    assert all(torch.equal(weight, before[name]) for name, weight in trainable(model).items())
    assert trained.steps[0].skipped
    assert trained.steps[0].grad_norm is None
    assert (trained.progress.step, trained.progress.num_skipped_steps) == (1, 1)
    assert trained.progress.scale == LossScale(2.0**126, 0)
    # the next step goes on with the next rows, and learns
    trained = train(model, "float16", Progress(**{**vars(trained.progress), "scale": NEVER_OVERFLOWS}), until=2)
    assert not trained.steps[0].skipped
    assert not all(torch.equal(weight, before[name]) for name, weight in trainable(model).items())
    assert trained.progress.num_skipped_steps == 1


def test_more_than_a_tenth_skipped_early_stops_with_the_gradients_named() -> None:
    with pytest.raises(
        RunError, match=r"step 6: 6 steps were skipped. Their gradients overflow .*Lower training.learning_rate"
    ):
        train(adapted("float16"), "float16", Progress(scale=ALWAYS_OVERFLOWS))


def test_a_base_model_that_float16_cannot_hold_is_named_before_the_first_step() -> None:
    with pytest.raises(RunError, match=r"step 0: the validation loss is (nan|inf).* exceeds the largest value"):
        train(adapted("float16", outlier=1e8), "float16")
    assert train(adapted("bfloat16", outlier=1e8), "bfloat16", until=1).steps[0].train_loss is not None


def test_in_the_middle_of_a_run_losses_that_are_no_numbers_are_skipped_and_named() -> None:
    model = adapted("float16", outlier=1e8)
    rarely = SETTINGS.model_copy(update={"examples_per_step": 2, "validations_per_epoch": 1})
    with pytest.raises(RunError, match=r"The loss itself is no number in most of them.*training.precision=bfloat16"):
        train(model, "float16", Progress(first_validation_loss=4.0), settings=rarely)


def test_float32_skips_nothing() -> None:
    with pytest.raises(RunError, match=r"step 1: loss nan.* no longer numbers"):
        train(adapted("float32", outlier=float("inf")), "float32", Progress(first_validation_loss=4.0))


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "apart"), [("float32", 1e-4), ("float16", 2e-3), ("bfloat16", 2e-2)])
def test_a_gpu_trains_as_the_cpu_does_in_every_precision(precision: Precision, apart: float) -> None:
    exact = train(adapted("float32"), "float32").steps
    on_gpu = train(adapted(precision).to("cuda"), precision).steps
    assert [step.train_loss for step in on_gpu] == pytest.approx([step.train_loss for step in exact], rel=apart)
