from __future__ import annotations

from dataclasses import replace

import pytest
from planning_facts import LAPTOP, MISTRAL, SMOLLM2

from relaytune.planning.memory import largest_micro_batch_tokens, peak_training_memory_gib


# measured by benchmarks/plan_against_measured.py, in float32, on two cores
@pytest.mark.parametrize(
    ("prefix", "tokens", "longest_own", "supervised", "measured_gib"),
    [(168, 608, 55, 176, 2.38), (168, 748, 300, 176, 2.91), (0, 1784, 223, 176, 5.03), (20, 2900, 240, 1440, 8.31)],
)
def test_the_prediction_is_within_a_sixth_of_what_was_measured(
    prefix: int, tokens: int, longest_own: int, supervised: int, measured_gib: float
) -> None:
    predicted = peak_training_memory_gib(SMOLLM2, "cpu", "float32", tokens, prefix, longest_own, supervised)
    assert predicted == pytest.approx(measured_gib, rel=0.16)


def test_more_tokens_and_more_supervision_take_more_memory() -> None:
    least = peak_training_memory_gib(SMOLLM2, "cpu", "float32", 700, 120, 100, 50)
    assert peak_training_memory_gib(SMOLLM2, "cpu", "float32", 764, 120, 100, 50) > least
    assert peak_training_memory_gib(SMOLLM2, "cpu", "float32", 700, 120, 100, 100) > least
    assert peak_training_memory_gib(MISTRAL, "cpu", "float32", 700, 120, 100, 50) > least


def test_longer_examples_take_more_memory_where_attention_keeps_its_probabilities() -> None:
    def peak(device: str, longest_own: int) -> float:
        return peak_training_memory_gib(SMOLLM2, device, "float32", 700, 120, longest_own, 50)

    assert peak("cuda", 200) > peak("cuda", 100)
    assert peak("cpu", 200) == peak("cpu", 100)


def test_logits_stop_growing_because_the_loss_makes_them_in_chunks() -> None:
    at_once = peak_training_memory_gib(SMOLLM2, "cpu", "float32", 4000, 120, 100, 256)
    assert peak_training_memory_gib(SMOLLM2, "cpu", "float32", 4000, 120, 100, 3000) == at_once


def test_sixteen_bits_halve_the_matrices_and_most_of_what_the_layers_keep() -> None:
    whole, half = (peak_training_memory_gib(MISTRAL, "cuda", p, 700, 120, 100, 50) for p in ("float32", "bfloat16"))
    assert 2 * 6_979_321_856 / 2**30 < whole - half < 0.5 * whole
    assert peak_training_memory_gib(MISTRAL, "cuda", "float16", 700, 120, 100, 50) == half


def test_the_micro_batch_is_the_largest_that_fits_into_the_safe_share() -> None:
    machine = replace(LAPTOP, free_memory_gib=8.0)
    tokens = largest_micro_batch_tokens(SMOLLM2, machine, "float32", 120, 100, supervised_share=0.3)

    def peak(tokens: int) -> float:
        return peak_training_memory_gib(SMOLLM2, "cpu", "float32", tokens, 120, 100, round(0.3 * (tokens - 120)))

    assert tokens % 64 == 0
    assert 256 < tokens < 4096
    assert peak(tokens) < 0.7 * 8.0 <= peak(tokens + 64)


def test_more_memory_gives_a_larger_micro_batch_up_to_the_cap() -> None:
    budgets = [
        largest_micro_batch_tokens(SMOLLM2, replace(LAPTOP, free_memory_gib=gib), "float32", 120, 100, 0.3)
        for gib in (4.0, 8.0, 12.0, 500.0)
    ]
    assert budgets == sorted(set(budgets))
    assert budgets[-1] == 4096


def test_the_longest_example_always_gets_room_even_where_memory_is_short() -> None:
    poor = replace(LAPTOP, free_memory_gib=0.5)
    assert largest_micro_batch_tokens(SMOLLM2, poor, "float32", 120, 100, 0.3) == 256
    assert largest_micro_batch_tokens(SMOLLM2, LAPTOP, "float32", 120, 7000, 0.3) == 7168


def test_on_a_gpu_the_gpus_memory_decides() -> None:
    card = replace(LAPTOP, device="cuda", num_gpus=1, gpu_memory_gib=4.0, free_memory_gib=500.0)
    larger = replace(card, gpu_memory_gib=6.0)
    assert largest_micro_batch_tokens(SMOLLM2, card, "float32", 120, 100, 0.3) < largest_micro_batch_tokens(
        SMOLLM2, larger, "float32", 120, 100, 0.3
    )
