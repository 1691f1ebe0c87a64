"""How likely a contender found the references: a pure function of what was saved with its answers.

Perplexity compares contenders that share a tokenizer, and no others. `evaluation/likelihood.py` makes what is saved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from relaytune.core.declining import Value
from relaytune.core.records import Generation


def reference_nats_per_token(generation: Generation) -> Value:
    """-log p of the reference behind its prompt, in nats, over its tokens (the end of turn is one of them)."""
    total, count = generation.reference_log_prob, generation.reference_tokens
    if total is None or not count:
        return None, "no probability of the reference saved"
    if not math.isfinite(total):
        return None, "the probability of the reference that was saved is no number above 0"
    return -total / count, ""


def reference_perplexity(generations: Iterable[Generation]) -> float | None:
    """exp of the mean of -log p over all tokens of all references; None where none is scored (Jelinek et al. 1977).

    Unscored references are left out; `reference_nats_per_token` names them.
    """
    scored = [each for each in generations if reference_nats_per_token(each)[0] is not None]
    tokens = sum(each.reference_tokens or 0 for each in scored)
    if not tokens:
        return None
    return math.exp(-sum(each.reference_log_prob or 0.0 for each in scored) / tokens)
