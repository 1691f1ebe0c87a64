from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planning_facts import LAPTOP, MISTRAL, SMOLLM2, TICKETS, recipe_with

from relaytune.core.recipe import Recipe
from relaytune.core.results import DataSize
from relaytune.planning.duration import evaluation_seconds, training_seconds


def _training(recipe: Recipe, data: DataSize = TICKETS, max_tokens: int = 1024) -> float:
    return training_seconds(recipe, data, SMOLLM2, LAPTOP, "float32", max_tokens)


def test_training_time_follows_the_operations_of_frozen_weights(recipe_values: dict[str, Any]) -> None:
    # one example a step and no validation rows: 100 tokens, 10 of them supervised, 1000 times
    data = DataSize(1000, 0, 10, 0, 100_000, 0, 500, 10_000, 100)
    recipe = recipe_with(recipe_values, num_epochs=1, examples_per_step=1)
    flops = 100_000 * (4 * 106_168_320 + 6 * 4_884_480) + 10_000 * 4 * 49152 * 576
    assert _training(recipe, data) == pytest.approx(flops / (200e9 * 0.45))


def test_more_epochs_and_longer_rows_take_longer(recipe_values: dict[str, Any]) -> None:
    once = _training(recipe_with(recipe_values, num_epochs=1))
    assert 1.9 * once < _training(recipe_with(recipe_values, num_epochs=2)) < 2.1 * once
    longer = replace(TICKETS, own_tokens_train=2 * TICKETS.own_tokens_train)
    assert _training(recipe_with(recipe_values, num_epochs=1), longer) > once


def test_the_shared_prefix_is_paid_once_per_micro_batch(recipe_values: dict[str, Any]) -> None:
    recipe = recipe_with(recipe_values, num_epochs=1, examples_per_step=8)
    # 8 × 75 own tokens a step: one micro-batch of 720, or four of 270
    assert _training(recipe, max_tokens=720) < _training(recipe, max_tokens=270)
    assert _training(recipe, max_tokens=4096) <= _training(recipe, max_tokens=720)


def test_more_validations_take_longer(recipe_values: dict[str, Any]) -> None:
    rarely = _training(recipe_with(recipe_values, validations_per_epoch=1))
    assert _training(recipe_with(recipe_values, validations_per_epoch=10)) > rarely


def test_a_faster_machine_trains_and_answers_faster(recipe_values: dict[str, Any]) -> None:
    recipe = recipe_with(recipe_values)
    bfloat16 = replace(LAPTOP, product_gflops={"float32": 200.0, "bfloat16_products": 1000.0})
    float32 = replace(LAPTOP, product_gflops={"float32": 400.0})
    trained = [training_seconds(recipe, TICKETS, SMOLLM2, bfloat16, p, 1024) for p in ("float32", "bfloat16_products")]
    assert trained[1] < trained[0]
    answered = [evaluation_seconds(recipe, TICKETS, SMOLLM2, machine) for machine in (LAPTOP, bfloat16, float32)]
    assert answered[2] < answered[1] == answered[0]  # answers are computed in float32, whatever training does


def test_evaluation_grows_with_rows_trials_answers_and_the_model(recipe_values: dict[str, Any]) -> None:
    recipe = recipe_with(recipe_values)

    def seconds(recipe: Recipe = recipe, data: DataSize = TICKETS) -> float:
        return evaluation_seconds(recipe, data, SMOLLM2, LAPTOP)

    least = seconds()
    more_trials = Recipe.model_validate({**recipe_values, "evaluation": {"few_shot": {"draws": 3}}})
    longer_answers = Recipe.model_validate({**recipe_values, "evaluation": {"max_new_tokens": 256}})
    assert least > 0
    assert seconds(data=replace(TICKETS, num_held_out=320)) > least
    assert seconds(more_trials) > least
    assert seconds(longer_answers) > least
    assert evaluation_seconds(recipe, TICKETS, MISTRAL, LAPTOP) > 20 * least
