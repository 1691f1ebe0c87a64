from __future__ import annotations

from dataclasses import replace

import pytest
from planning_facts import LAPTOP, MISTRAL, SMOLLM2

from relaytune.planning.memory import largest_micro_batch_tokens, peak_training_memory_gib


@pytest.mark.parametrize(
    ("tokens", "longest_own", "supervised", "measured_gib"),
    [(769, 95, 176, 3.05), (808, 103, 176, 3.32), (1457, 101, 352, 5.39), (700, 299, 66, 3.75)],
)
def test_the_prediction_is_within_a_quarter_of_what_was_measured(
    tokens: int, longest_own: int, supervised: int, measured_gib: float
) -> None:
    predicted = peak_training_memory_gib(SMOLLM2, "cpu", tokens, 120, longest_own, supervised)
    assert predicted == pytest.approx(measured_gib, rel=0.25)


def test_more_tokens_longer_examples_and_more_supervision_take_more_memory() -> None:
    least = peak_training_memory_gib(SMOLLM2, "cpu", 700, 120, 100, 50)
    assert peak_training_memory_gib(SMOLLM2, "cpu", 764, 120, 100, 50) > least
    assert peak_training_memory_gib(SMOLLM2, "cpu", 700, 120, 200, 50) > least
    assert peak_training_memory_gib(SMOLLM2, "cpu", 700, 120, 100, 100) > least
    assert peak_training_memory_gib(MISTRAL, "cpu", 700, 120, 100, 50) > least


def test_logits_stop_growing_because_the_loss_makes_them_in_chunks() -> None:
    at_once = peak_training_memory_gib(SMOLLM2, "cpu", 4000, 120, 100, 256)
    assert peak_training_memory_gib(SMOLLM2, "cpu", 4000, 120, 100, 3000) == at_once


def test_base_weights_in_half_precision_take_half() -> None:
    whole = peak_training_memory_gib(MISTRAL, "cuda", 700, 120, 100, 50, bytes_per_weight=4)
    half = peak_training_memory_gib(MISTRAL, "cuda", 700, 120, 100, 50, bytes_per_weight=2)
    assert whole - half == pytest.approx(2 * 7_248_023_552 / 2**30)


def test_the_micro_batch_is_the_largest_that_fits_into_the_safe_share() -> None:
    machine = replace(LAPTOP, free_memory_gib=8.0)
    tokens = largest_micro_batch_tokens(SMOLLM2, machine, 120, 100, supervised_share=0.3)

    def peak(tokens: int) -> float:
        return peak_training_memory_gib(SMOLLM2, "cpu", tokens, 120, 100, round(0.3 * (tokens - 120)))

    assert tokens % 64 == 0
    assert 256 < tokens < 4096
    assert peak(tokens) < 0.7 * 8.0 <= peak(tokens + 64)


def test_more_memory_gives_a_larger_micro_batch_up_to_the_cap() -> None:
    budgets = [
        largest_micro_batch_tokens(SMOLLM2, replace(LAPTOP, free_memory_gib=gib), 120, 100, 0.3)
        for gib in (4.0, 8.0, 12.0, 500.0)
    ]
    assert budgets == sorted(set(budgets))
    assert budgets[-1] == 4096


def test_the_longest_example_always_gets_room_even_where_memory_is_short() -> None:
    poor = replace(LAPTOP, free_memory_gib=0.5)
    assert largest_micro_batch_tokens(SMOLLM2, poor, 120, 100, 0.3) == 256
    assert largest_micro_batch_tokens(SMOLLM2, LAPTOP, 120, 7000, 0.3) == 7168


def test_on_a_gpu_the_gpus_memory_decides() -> None:
    card = replace(LAPTOP, device="cuda", num_gpus=1, gpu_memory_gib=4.0, free_memory_gib=500.0)
    larger = replace(card, gpu_memory_gib=6.0)
    assert largest_micro_batch_tokens(SMOLLM2, card, 120, 100, 0.3) < largest_micro_batch_tokens(
        SMOLLM2, larger, 120, 100, 0.3
    )
