"""By gradients: would a step on this training row have made the wrong answer likelier?

The inner product of two gradients of the loss says how much a small step on one example lowers the loss of the other
(TracIn, Pruthi et al. 2020, arXiv 2002.08484, section 3.1). Here it is taken at the adapter that gave the answer, over
the LoRA weights alone, and as a cosine, because rows that are learnt well have short gradients (LESS, Xia et al. 2024,
arXiv 2402.04333, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from relaytune.core.packing import PackedRow, pack
from relaytune.core.records import Example
from relaytune.core.screen import Screen
from relaytune.core.template import ChatTemplate, EncodedExample
from relaytune.tracing.words import Part

HELD_GIB = 2.0  # of gradients of answers at once


@dataclass(frozen=True)
class Direction:
    """What the adapter learnt wrongly: to give this answer, above all its wrong parts."""

    answer: Example  # the held-out row with the wrong answer as its completion
    wrong: tuple[Part, ...]


@dataclass(frozen=True)
class Gradients:
    """A model with the adapter that gave the answers, and the loss that the adapter was trained on.

    `summed_loss` is the weighted sum of the cross-entropies of a packed row; `encode` makes a training row into tokens
    as training does.
    """

    model: Any
    template: ChatTemplate
    summed_loss: Callable[[Any, PackedRow], Tensor]
    encode: Callable[[Example], EncodedExample]
    screen: Screen

    def agreement(self, directions: Sequence[Direction], candidates: Sequence[Sequence[Example]]) -> list[list[float]]:
        """For each answer the cosine of its gradient with that of each of its candidates, -1 to 1.

        Each gradient takes a forward and a backward pass of one row. Those of as many answers as fit `HELD_GIB` are
        held at once; those of training rows one at a time.
        """
        size = sum(weight.numel() for weight in self._weights())
        held = max(1, int(HELD_GIB * 2**30 / (4 * size)))
        chunks = [range(begin, min(begin + held, len(directions))) for begin in range(0, len(directions), held)]
        rows = [{row.id: row for at in chunk for row in candidates[at]} for chunk in chunks]
        cosines: list[list[float]] = []
        done = 0
        with self.screen.bar("gradients", len(directions) + sum(map(len, rows))) as bar:
            for chunk, rows_of_chunk in zip(chunks, rows, strict=True):
                answers_QP = torch.empty(len(chunk), size, device=self._weights()[0].device)
                for place, at in enumerate(chunk):
                    answers_QP[place] = self._unit_gradient(self._encode_answer(directions[at]))
                found = {}
                for number, (id, row) in enumerate(rows_of_chunk.items(), start=done + len(chunk) + 1):
                    found[id] = (answers_QP @ self._unit_gradient(self.encode(row))).tolist()
                    bar.update(number)
                done += len(chunk) + len(rows_of_chunk)
                cosines += [[found[row.id][at - chunk.start] for row in candidates[at]] for at in chunk]
        return cosines

    def _weights(self) -> list[Tensor]:
        weights = [weight for name, weight in self.model.named_parameters() if ".lora_" in name]
        for weight in weights:
            weight.requires_grad_(True)
        return weights

    def _encode_answer(self, direction: Direction) -> EncodedExample:
        encoded = self.template.encode(direction.answer)
        if not direction.wrong:
            return encoded
        weights = [0.0] * len(encoded.weights)
        for part in direction.wrong:
            # a token that touches the part weighs 2, any other 1
            touched = self.template.encode(direction.answer, (part.begin, part.end), 2.0).weights
            weights = [max(weight, touch - 1) for weight, touch in zip(weights, touched, strict=True)]
        return EncodedExample(encoded.id, encoded.prompt_ids, encoded.completion_ids, weights)

    def _unit_gradient(self, example: EncodedExample) -> Tensor:
        weights = self._weights()
        loss = self.summed_loss(self.model, pack([example], 0, weights[0].device))
        flat = torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, weights)])
        unit: Tensor = flat / flat.norm().clamp_min(1e-30)
        return unit
