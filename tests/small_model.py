"""A Llama of a few thousand random weights with our attention, for tests where only arithmetic matters."""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from relaytune.core.attention import ATTENTION
from relaytune.core.template import EncodedExample

VOCABULARY = 97


def small_llama(attention: str = ATTENTION) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=256,
        eos_token_id=2,
        attn_implementation=attention,
    )
    return LlamaForCausalLM(config).requires_grad_(False).eval()


def random_examples(count: int, prefix: int, seed: int = 0, weighted: bool = False) -> list[EncodedExample]:
    """Examples of very different lengths that begin with the same `prefix` tokens."""
    rng = random.Random(seed)

    def tokens(length: int) -> list[int]:
        return [rng.randrange(5, VOCABULARY) for _ in range(length)]

    shared = tokens(prefix)
    # a first own token that differs, so that no more than `prefix` is shared
    examples = []
    for i in range(count):
        completion = [*tokens(rng.randrange(1, 12)), 2]
        weights = [rng.choice((1.0, 5.0)) for _ in completion] if weighted else [1.0] * len(completion)
        examples.append(EncodedExample(str(i), [*shared, 5 + i, *tokens(rng.randrange(1, 30))], completion, weights))
    return examples
