"""Log-probabilities of given completions: of references behind their prompts, and of plain texts.

As in decoding, the prefix that all prompts share runs once, and nothing is padded. Logits exist for a few positions at
a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from relaytune.core.attention import Packing, attend_packed
from relaytune.core.counts import LOGIT_POSITIONS_AT_ONCE
from relaytune.core.decoding import known_prefix
from relaytune.core.template import shared_prefix_length

TOKENS_AT_ONCE = 4096  # of one forward pass, the prefix not counted


@dataclass(frozen=True)
class _BehindPrefix:
    """Packed rows behind a prefix whose keys and values are known, layer by layer."""

    prefix: list[tuple[Tensor, Tensor]]
    packing: Packing

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attend_packed(self.packing, query[0], key[0], value[0], self.prefix[layer]).unsqueeze(0)


@torch.no_grad()
def completion_log_probs(
    model: Any,
    prompts: Sequence[list[int]],
    completions: Sequence[list[int]],
    on_finished: Callable[[int], None] = lambda _: None,
) -> list[float]:
    """The summed log-probability, in nats, of each completion's tokens behind its prompt.

    Args:
        model: a causal language model with our attention.
        prompts: token ids; each at least 1.
        completions: token ids; a reference with the end of turn as its last.
        on_finished: hears how many are done.
    """
    if not prompts:
        return []
    device = model.get_output_embeddings().weight.device
    P = shared_prefix_length(prompts)
    prefix = known_prefix(model, list(prompts[0][:P]))
    totals = [0.0] * len(prompts)
    done = 0
    for batch in _batches([len(p) - P + len(c) for p, c in zip(prompts, completions, strict=True)]):
        ids: list[int] = []
        positions: list[int] = []
        predicting: list[int] = []
        for at in batch:
            own = [*prompts[at][P:], *completions[at][:-1]]
            first = len(ids) + len(prompts[at]) - P - 1
            predicting += range(first, first + len(completions[at]))
            positions += range(P, P + len(own))
            ids += own
        lengths = [len(prompts[at]) - P + max(0, len(completions[at]) - 1) for at in batch]
        hidden_TC = model.get_decoder()(
            input_ids=torch.tensor([ids], device=device),
            position_ids=torch.tensor([positions], device=device),
            use_cache=False,
            layout=_BehindPrefix(prefix, Packing.of(lengths, device)),
        ).last_hidden_state[0]
        targets = [token for at in batch for token in completions[at]]
        log_probs = iter(_log_probs(model, hidden_TC[torch.tensor(predicting, dtype=torch.long)], targets))
        for at in batch:
            totals[at] = math.fsum(next(log_probs) for _ in completions[at])
        done += len(batch)
        on_finished(done)
    return totals


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows (by index) of at most `TOKENS_AT_ONCE` tokens together, those of like length side by side."""
    batch: list[int] = []
    tokens = 0
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and tokens + lengths[at] > TOKENS_AT_ONCE:
            yield batch
            batch, tokens = [], 0
        batch.append(at)
        tokens += lengths[at]
    if batch:
        yield batch


def _log_probs(model: Any, hidden_MC: Tensor, targets: list[int]) -> list[float]:
    head_VC = model.get_output_embeddings().weight
    found: list[float] = []
    for begin in range(0, len(targets), LOGIT_POSITIONS_AT_ONCE):
        chunk = slice(begin, begin + LOGIT_POSITIONS_AT_ONCE)
        logits = torch.nn.functional.linear(hidden_MC[chunk], head_VC).float()
        wanted = torch.tensor(targets[chunk], device=logits.device)
        found += (-torch.nn.functional.cross_entropy(logits, wanted, reduction="none")).tolist()
    return found
