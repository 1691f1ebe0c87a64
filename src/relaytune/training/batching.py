"""Which examples a step sees, and how a step is cut to fit the machine. Both are pure functions."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from relaytune.core.counts import num_examples
from relaytune.core.template import EncodedExample


def example_at(position: int, num_rows: int, seed: int) -> int:
    """Index of the example at a position of the run: every epoch is a permutation made of seed and epoch."""
    epoch, place = divmod(position, num_rows)
    return _permutation(num_rows, seed, epoch)[place]


def examples_of_step(step: int, num_rows: int, num_epochs: float, examples_per_step: int, seed: int) -> list[int]:
    """Indices of the examples of one step (counted from 0). Only the run's last step may be smaller."""
    end = min((step + 1) * examples_per_step, num_examples(num_rows, num_epochs))
    return [example_at(position, num_rows, seed) for position in range(step * examples_per_step, end)]


_permutations: dict[tuple[int, int, int], list[int]] = {}


def _permutation(num_rows: int, seed: int, epoch: int) -> list[int]:
    key = (num_rows, seed, epoch)
    if key not in _permutations:
        _permutations.clear()
        order = list(range(num_rows))
        digest = hashlib.sha256(f"relaytune order {seed} {epoch}".encode()).digest()
        random.Random(int.from_bytes(digest)).shuffle(order)
        _permutations[key] = order
    return _permutations[key]


def cut(examples: Sequence[EncodedExample], prefix_length: int, max_tokens: int) -> list[list[EncodedExample]]:
    """Cut the examples of a step into micro-batches of at most `max_tokens` tokens, the shared prefix counted once.

    Examples of like length go together, since attention pads to the longest. An example that alone is larger than
    `max_tokens` gets a micro-batch of its own. The result's update does not depend on the cut.
    """
    batches: list[list[EncodedExample]] = []
    used = max_tokens
    for example in sorted(examples, key=lambda example: len(example.ids)):
        own = len(example.ids) - prefix_length
        if not batches or used + own > max_tokens:
            batches.append([])
            used = prefix_length
        batches[-1].append(example)
        used += own
    return batches
