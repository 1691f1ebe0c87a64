"""Examples as one packed row: tokens, positions, supervised places, and the layout for the attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from relaytune.core.attention import PackedLayout, Packing
from relaytune.core.template import EncodedExample


@dataclass(frozen=True)
class PackedRow:
    """What one forward pass of training needs. T tokens in all, M of them supervised."""

    input_ids_1T: Tensor
    position_ids_1T: Tensor
    predicting_M: Tensor  # places whose output predicts a supervised token
    targets_M: Tensor
    weights_M: Tensor
    layout: PackedLayout

    @property
    def num_tokens(self) -> int:
        """Tokens that run through the model."""
        return self.input_ids_1T.shape[1]


def pack(examples: Sequence[EncodedExample], prefix_length: int, device: torch.device) -> PackedRow:
    """Pack examples that all begin with the same `prefix_length` tokens (0: nothing is shared)."""
    prefix = examples[0].prompt_ids[:prefix_length]
    ids, positions = list(prefix), list(range(prefix_length))
    predicting: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    for example in examples:
        first = len(ids) + len(example.prompt_ids) - prefix_length
        ids += example.ids[prefix_length:]
        positions += range(prefix_length, len(example.ids))
        predicting += range(first - 1, first - 1 + len(example.completion_ids))
        targets += example.completion_ids
        weights += example.weights
    lengths = [len(example.ids) - prefix_length for example in examples]
    return PackedRow(
        torch.tensor([ids], device=device),
        torch.tensor([positions], device=device),
        torch.tensor(predicting, device=device),
        torch.tensor(targets, device=device),
        torch.tensor(weights, device=device),
        PackedLayout(prefix_length, Packing.of(lengths, device)),
    )
