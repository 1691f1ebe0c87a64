"""Attention over examples that share a prefix and are packed into one row without padding.

Shapes in names: H query heads, K key-value heads, G = H/K, D head size, P shared prefix tokens, T tokens of a packed
row (prefix first), B examples, L longest example's own tokens, S cached tokens.

A forward pass runs over `[shared prefix | own tokens of example 1 | own tokens of example 2 | …]`. The tokens of an
example see the prefix and, causally, themselves. That is what each example sees alone, so outputs and gradients are
those of separate rows; the prefix is computed once. On a CPU nothing is padded (core/flash_attention.py); on a GPU
examples are padded inside the attention alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from relaytune.core import flash_attention
from relaytune.core.errors import ModelError

ATTENTION = "relaytune_shared_prefix"


class Layout(Protocol):
    """Which token of a forward pass sees which."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of one layer: (N, H, T, D) scaled queries, (N, K, T, D) keys and values → (N, T, H, D)."""
        ...


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Any,
    *,
    scaling: float,
    layout: Layout,
    **_: Any,
) -> tuple[Tensor, None]:
    # rotated in float32, whatever the projections compute in
    query, key = (query * scaling).to(value.dtype), key.to(value.dtype)
    with torch.autocast(query.device.type, enabled=False):  # it would keep the softmax in float32 as well
        return layout.attend(module.layer_idx, query, key, value), None


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, lambda *_, **__: None)


def refuse_uncovered(config: Any) -> None:
    """Refuse models whose attention is more than scaled dot products with a causal mask.

    Raises:
        ModelError: sliding windows, soft-capped scores, or layers without attention.
    """
    layer_types = set(getattr(config, "layer_types", None) or ["full_attention"])
    uses_window = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    faults = [
        what
        for what, found in (
            ("a sliding window", bool(uses_window) or "sliding_attention" in layer_types),
            ("soft-capped attention scores", bool(getattr(config, "attn_logit_softcapping", None))),
            (
                "scaled or soft-capped logits",
                any(
                    getattr(config, name, None) for name in ("final_logit_softcapping", "logit_scale", "logits_scaling")
                ),
            ),
            ("layers other than full attention", bool(layer_types - {"full_attention", "sliding_attention"})),
        )
        if found
    ]
    if faults:
        raise ModelError(
            f"{config.model_type} uses {' and '.join(faults)}, which relaytune's packed forward pass does not compute. "
            "Choose one with plain causal attention (Llama, Mistral from v0.2, Qwen, SmolLM2).",
            "base_model.name",
        )


def joint_attention(
    query_KBGLD: Tensor, key_BKSD: Tensor, value_BKSD: Tensor, prefix_KPD: tuple[Tensor, Tensor], bias: Tensor
) -> Tensor:
    """Softmax over prefix keys and own keys together; neither prefix nor cached keys are copied per example.

    Args:
        query_KBGLD: scaled queries.
        key_BKSD: own keys.
        value_BKSD: own values.
        prefix_KPD: keys and values of the shared prefix; P may be 0.
        bias: 0 where a query sees an own key, -inf elsewhere; broadcasts to (B, K, G, L, S).

    Returns:
        (K, B, G, L, D)
    """
    K, B, G, L, D = query_KBGLD.shape
    S = key_BKSD.shape[2]
    prefix_key, prefix_value = prefix_KPD
    P = prefix_key.shape[1]
    by_head = query_KBGLD.reshape(K, B * G * L, D)
    by_example = query_KBGLD.transpose(0, 1).reshape(B, K, G * L, D)
    on_prefix = (by_head @ prefix_key.transpose(1, 2)).view(K, B, G, L, P)
    on_own = (by_example @ key_BKSD.transpose(2, 3)).view(B, K, G, L, S) + bias
    weights = torch.cat([on_prefix, on_own.transpose(0, 1)], dim=-1).softmax(dim=-1)  # sums in float32 by itself
    from_prefix = (weights[..., :P].reshape(K, B * G * L, P) @ prefix_value).view(K, B, G, L, D)
    own_weights = weights[..., P:].transpose(0, 1).reshape(B, K, G * L, S)
    from_own = (own_weights @ value_BKSD).view(B, K, G, L, D)
    return from_prefix + from_own.transpose(0, 1)


def causal_bias(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(length, length): 0 on and below the diagonal, -inf above."""
    return torch.full((length, length), float("-inf"), device=device, dtype=dtype).triu(1)


class _Pad(torch.autograd.Function):
    """(N, T, D) → (N, B·L, D) by `index`. Padding repeats token 0: causality keeps real queries from seeing it."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, index: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return tokens.index_select(1, index)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return grads[0].index_select(1, places), None, None


class _Unpad(torch.autograd.Function):
    """(N, B·L, D) → (N, T, D): the real tokens, at `places`."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.padded_length = padded.shape[1]
        return padded.index_select(1, places)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        grad = grads[0]
        padded = grad.new_zeros(grad.shape[0], ctx.padded_length, grad.shape[2])
        return padded.index_copy_(1, places, grad), None


@dataclass(frozen=True)
class Packing:
    """Where the own tokens of B examples lie in a packed row, and where in a padded B × L block."""

    lengths: tuple[int, ...]
    index: Tensor = field(repr=False)  # (B·L,) of the block's places: which own token stands there
    places: Tensor = field(repr=False)  # (T - P,) of the own tokens: where in the block

    @staticmethod
    def of(lengths: Sequence[int], device: torch.device) -> Packing:
        """Packing of examples with these own lengths, all at least 1."""
        longest = max(lengths)
        places = torch.cat([torch.arange(n) + row * longest for row, n in enumerate(lengths)])
        index = torch.zeros(len(lengths) * longest, dtype=torch.long)
        index[places] = torch.arange(len(places))
        return Packing(tuple(lengths), index.to(device), places.to(device))

    def pad(self, own_NTD: Tensor) -> Tensor:
        """(N, own tokens, D) → (N, B, L, D)"""
        padded: Tensor = _Pad.apply(own_NTD, self.index, self.places)  # type: ignore[no-untyped-call]
        return padded.view(own_NTD.shape[0], len(self.lengths), max(self.lengths), own_NTD.shape[2])

    def unpad(self, padded_NBLD: Tensor) -> Tensor:
        """(N, B, L, D) → (N, own tokens, D)"""
        return _Unpad.apply(padded_NBLD.flatten(1, 2), self.places)  # type: ignore[no-any-return, no-untyped-call]


def attend_packed(
    packing: Packing, query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor, prefix_KPD: tuple[Tensor, Tensor]
) -> Tensor:
    """Attention of the own tokens of packed examples behind a prefix that is known. Returns (T, H, D)."""
    if query_HTD.device.type == "cpu":
        return flash_attention.attend_behind(query_HTD, key_KTD, value_KTD, prefix_KPD, packing.lengths)
    return _attend_padded(packing, query_HTD, key_KTD, value_KTD, prefix_KPD).transpose(0, 1)


def attend_causally(query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor) -> Tensor:
    """Causal attention of one sequence. Returns (T, H, D)."""
    if query_HTD.device.type == "cpu":
        return flash_attention.attend(query_HTD, key_KTD, value_KTD, 0, [query_HTD.shape[1]])
    return _attend_causally(query_HTD, key_KTD, value_KTD).transpose(0, 1)


@dataclass(frozen=True)
class PackedLayout:
    """`[shared prefix | example 1 | example 2 | …]` in one pass: training, validation."""

    prefix_length: int
    packing: Packing

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See Layout; N is 1."""
        del layer
        P = self.prefix_length
        query, key, value = query[0], key[0], value[0]
        if query.device.type == "cpu":
            return flash_attention.attend(query, key, value, P, self.packing.lengths).unsqueeze(0)
        prefix_key, prefix_value = key[:, :P].contiguous(), value[:, :P].contiguous()
        own = _attend_padded(self.packing, query[:, P:], key[:, P:], value[:, P:], (prefix_key, prefix_value))
        if P:
            own = torch.cat([_attend_causally(query[:, :P], prefix_key, prefix_value), own], dim=1)
        return own.transpose(0, 1).unsqueeze(0)


def _attend_padded(
    packing: Packing, query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor, prefix_KPD: tuple[Tensor, Tensor]
) -> Tensor:
    """Attention of the own tokens of packed examples, padded to the longest. Returns (H, T, D)."""
    H, _, D = query_HTD.shape
    K = key_KTD.shape[0]
    B, L = len(packing.lengths), max(packing.lengths)
    query = packing.pad(query_HTD).view(K, H // K, B, L, D).transpose(1, 2)
    bias = causal_bias(L, query.device, query.dtype)
    key_BKSD, value_BKSD = packing.pad(key_KTD).transpose(0, 1), packing.pad(value_KTD).transpose(0, 1)
    out = joint_attention(query, key_BKSD, value_BKSD, prefix_KPD, bias)
    return packing.unpad(out.transpose(1, 2).reshape(H, B, L, D))


def _attend_causally(query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor) -> Tensor:
    """Causal attention of one sequence. Returns (H, T, D)."""
    H, T, D = query_HTD.shape
    K = key_KTD.shape[0]
    empty = key_KTD[:, :0]
    out = joint_attention(
        query_HTD.view(K, 1, H // K, T, D),
        key_KTD.unsqueeze(0),
        value_KTD.unsqueeze(0),
        (empty, empty),
        causal_bias(T, query_HTD.device, query_HTD.dtype),
    )
    return out.view(H, T, D)
