from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from relaytune.core.counts import LOGIT_POSITIONS_AT_ONCE
from relaytune.core.errors import ModelError, RunError
from relaytune.core.precision import products
from relaytune.core.results import TrainingStep
from relaytune.core.sections import Lora, Training
from relaytune.training.handoff import write_adapter
from relaytune.training.loop import mean_loss, train_adapter
from relaytune.training.lora import add_lora, trainable
from small_model import random_examples, small_llama

LORA = Lora(rank=4, alpha=8)


def settings(**changes: Any) -> Training:
    values = {"num_epochs": 4, "examples_per_step": 4, "learning_rate": 5e-3, "warmup_steps": 2, "max_length": 99}
    return Training.model_validate(values | changes)


def adapted() -> Any:
    return add_lora(small_llama(), LORA, "a-base-model", seed=0)


def test_training_lowers_the_validation_loss_and_keeps_the_best_weights() -> None:
    model = adapted()
    examples = random_examples(16, prefix=12)
    trained = train_adapter(model, examples[:12], examples[:4], settings(num_epochs=12), 10_000)
    best = trained.progress
    assert best.first_validation_loss is not None
    assert best.best_validation_loss < best.first_validation_loss
    losses = {step.step: step.validation_loss for step in trained.steps if step.validation_loss is not None}
    assert best.best_validation_loss == min(losses.values()) == losses[best.best_step]
    with torch.no_grad():
        for name, weight in trainable(model).items():
            weight.copy_(best.best_weights[name])
    assert mean_loss(model, examples[:4], 12, 10_000) == pytest.approx(best.best_validation_loss, rel=1e-6)


def test_the_last_weights_are_kept_where_the_recipe_says_so_and_nothing_stops_early() -> None:
    # random answers: validation gets worse soon
    model, examples = adapted(), random_examples(24, prefix=12)
    lasting = settings(num_epochs=20, early_stopping_patience=1, learning_rate=5e-2, keep="last")
    trained = train_adapter(model, examples[:8], examples[8:], lasting, 10_000)
    kept, losses = trained.progress, [step.validation_loss for step in trained.steps if step.validation_loss]
    assert not trained.stopped_early
    assert kept.best_step == kept.step == 40
    assert kept.best_validation_loss == losses[-1] > min(losses)
    for name, weight in trainable(model).items():
        assert torch.equal(weight.detach(), kept.best_weights[name]), name


@pytest.mark.parametrize("max_tokens", [1, 90])
def test_the_update_does_not_depend_on_the_size_of_micro_batches(max_tokens: int) -> None:
    examples = random_examples(12, prefix=12)

    def weights(budget: int) -> dict[str, Tensor]:
        model = adapted()
        train_adapter(model, examples[:8], examples[8:], settings(num_epochs=2), budget)
        return {name: weight.detach() for name, weight in trainable(model).items()}

    whole, pieces = weights(10_000), weights(max_tokens)
    for name, weight in whole.items():
        assert torch.allclose(weight, pieces[name], atol=2e-4), name


def test_the_same_seed_gives_the_same_run_to_the_bit() -> None:
    examples = random_examples(12, prefix=12)

    def losses() -> list[float | None]:
        return [step.train_loss for step in train_adapter(adapted(), examples[:8], examples[8:], settings(), 200).steps]

    assert losses() == losses()


def test_training_stops_early_when_validation_no_longer_improves_and_says_so() -> None:
    # random answers: what is learned of the training rows does not carry over to the others
    examples = random_examples(24, prefix=12)
    shortened = settings(num_epochs=60, early_stopping_patience=2, learning_rate=5e-2)
    trained = train_adapter(adapted(), examples[:8], examples[8:], shortened, 10_000)
    assert trained.stopped_early
    assert trained.steps[-1].step < 120
    assert trained.progress.best_step < trained.steps[-1].step


def test_a_loss_that_is_no_longer_a_number_stops_the_run_with_advice() -> None:
    model = adapted()
    with torch.no_grad():
        next(iter(trainable(model).values())).fill_(float("nan"))
    examples = random_examples(6, prefix=3)
    with pytest.raises(RunError, match=r"step 0: the validation loss is nan.* gives no number"):
        train_adapter(model, examples[:4], examples[4:], settings(), 10_000)


def test_every_step_is_reported_with_what_was_seen_so_far() -> None:
    heard: list[TrainingStep] = []
    examples = random_examples(14, prefix=5)
    trained = train_adapter(
        adapted(), examples[:10], examples[10:], settings(num_epochs=1), 10_000, lambda step, *_: heard.append(step)
    )
    assert tuple(heard) == trained.steps
    assert [step.num_examples for step in heard] == [4, 8, 10]
    assert trained.progress.num_supervised_tokens == sum(len(example.completion_ids) for example in examples[:10])


def test_the_loss_of_many_positions_is_summed_over_all_chunks() -> None:
    examples = random_examples(80, prefix=4)
    assert sum(len(example.completion_ids) for example in examples) > LOGIT_POSITIONS_AT_ONCE
    model = adapted()
    together = mean_loss(model, examples, 4, 100_000)
    assert together == pytest.approx(mean_loss(model, examples, 4, 60), rel=1e-6)


def test_target_modules_that_the_model_lacks_are_named_with_those_it_has() -> None:
    lora = Lora.model_validate({"rank": 4, "target_modules": ["q_proj", "query"]})
    with pytest.raises(ModelError, match=r"no query; it has .*down_proj.*v_proj"):
        add_lora(small_llama(), lora, "a-base-model", 0)


def test_the_adapter_loads_in_plain_peft_and_gives_the_same_outputs(tmp_path: Path) -> None:
    from peft import PeftModel

    model = adapted()
    examples = random_examples(12, prefix=6)
    train_adapter(model, examples[:8], examples[8:], settings(), 10_000)
    write_adapter(tmp_path / "adapter", model, trainable(model))
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    loaded = PeftModel.from_pretrained(small_llama("eager"), tmp_path / "adapter")
    ids = torch.tensor([examples[0].ids])
    logits = loaded(input_ids=ids, use_cache=False).logits[0]
    start = len(examples[0].prompt_ids) - 1
    targets = torch.tensor(examples[0].completion_ids)
    expected = torch.nn.functional.cross_entropy(logits[start:-1], targets).item()
    assert mean_loss(model, examples[:1], 6, 10_000) == pytest.approx(expected, rel=1e-5)


def test_the_precision_of_products_is_put_back_even_after_an_error() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    with products("bfloat16_products"):
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"  # type: ignore[attr-defined]
    assert torch.backends.mkldnn.matmul.fp32_precision == before  # type: ignore[attr-defined]
    with contextlib.suppress(ZeroDivisionError), products("bfloat16_products"):
        _ = 1 / 0
    assert torch.backends.mkldnn.matmul.fp32_precision == before  # type: ignore[attr-defined]
