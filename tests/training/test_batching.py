from __future__ import annotations

from relaytune.training.batching import cut
from small_model import random_examples


def test_every_example_lands_in_exactly_one_micro_batch() -> None:
    examples = random_examples(20, prefix=10)
    batches = cut(examples, 10, 100)
    assert sorted(example.id for batch in batches for example in batch) == sorted(example.id for example in examples)


def test_no_micro_batch_exceeds_the_budget_unless_one_example_alone_does() -> None:
    examples = random_examples(20, prefix=10)
    for budget in (30, 64, 100, 400):
        for batch in cut(examples, 10, budget):
            tokens = 10 + sum(len(example.ids) - 10 for example in batch)
            assert tokens <= budget or len(batch) == 1


def test_a_large_budget_leaves_the_step_whole() -> None:
    assert len(cut(random_examples(20, prefix=10), 10, 10_000)) == 1
