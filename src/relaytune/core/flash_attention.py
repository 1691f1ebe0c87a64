"""The attention of packed examples on a CPU, by PyTorch's flash kernel. Shapes as in core/attention.py.

Each example attends causally to itself and, apart from that, to the prefix; the two results are merged by their
log-sum-exp, as blocks are in flash attention (arXiv 2205.14135, section 3.1). No example is padded and no probability
is kept for the backward pass, which computes both parts anew from the merged result: with it and the merged
log-sum-exp, the gradient of each part is the kernel's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from relaytune.core.precision import products

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def attend(query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor, prefix_length: int, lengths: Sequence[int]) -> Tensor:
    """Attention of `[prefix | example 1 | example 2 | …]` with scaled queries; `lengths` without the prefix.

    Returns (T, H, D).
    """
    return _PackedAttention.apply(query_HTD, key_KTD, value_KTD, prefix_length, tuple(lengths))  # type: ignore[no-any-return, no-untyped-call]


@torch.no_grad()
def attend_behind(
    query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor, prefix_KPD: tuple[Tensor, Tensor], lengths: Sequence[int]
) -> Tensor:
    """Attention of `[example 1 | example 2 | …]` behind a prefix whose keys and values are known. Returns (T, H, D)."""
    out_THD, lse_KGT = _attend_to_themselves(query_HTD, key_KTD, value_KTD, lengths)
    if prefix_KPD[0].shape[1]:
        _add_prefix(out_THD, lse_KGT, query_HTD, *prefix_KPD)
    return out_THD


class _PackedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor, prefix_length: int, lengths: tuple[int, ...]
    ) -> Tensor:
        P = prefix_length
        ctx.parts = (P, *lengths) if P else lengths
        ctx.prefix_length = P
        out_THD, lse_KGT = _attend_to_themselves(query_HTD, key_KTD, value_KTD, ctx.parts)
        if P and lengths:
            _add_prefix(out_THD[P:], lse_KGT[..., P:], query_HTD[:, P:], key_KTD[:, :P], value_KTD[:, :P])
        ctx.save_for_backward(query_HTD, key_KTD, value_KTD, out_THD, lse_KGT)
        return out_THD

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query_HTD, key_KTD, value_KTD, out_THD, lse = ctx.saved_tensors
        grad_query_THD = torch.empty_like(out_THD)
        grad_key, grad_value = torch.empty_like(key_KTD), torch.empty_like(value_KTD)
        groups = len(key_KTD), len(query_HTD) // len(key_KTD)
        grad, out, grad_query = (
            _by_group(tensor, *groups) for tensor in (grads[0].contiguous(), out_THD, grad_query_THD)
        )
        query = query_HTD.view(*groups, *query_HTD.shape[1:])
        key, value = _for_group(key_KTD, groups[1]), _for_group(value_KTD, groups[1])

        def gradients(rows: slice, seen: slice, causal: bool) -> tuple[Tensor, Tensor, Tensor]:
            of_query, of_key, of_value = _backward(
                grad[:, :, rows],
                query[:, :, rows],
                key[:, :, seen],
                value[:, :, seen],
                out[:, :, rows],
                lse[:, :, rows],
                0.0,
                causal,
                scale=1.0,
            )
            return of_query, of_key.sum(1), of_value.sum(1)

        with products("float32"):
            for part in _spans(ctx.parts):
                grad_query[:, :, part], grad_key[:, part], grad_value[:, part] = gradients(part, part, causal=True)
            if 0 < ctx.prefix_length < len(out_THD):
                own, prefix = slice(ctx.prefix_length, None), slice(ctx.prefix_length)
                of_query, of_key, of_value = gradients(own, prefix, causal=False)
                grad_query[:, :, own] += of_query
                grad_key[:, prefix] += of_key
                grad_value[:, prefix] += of_value
        return grad_query_THD.transpose(0, 1), grad_key, grad_value, None, None


def _attend_to_themselves(
    query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor, lengths: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Causal attention within each part: (T, H, D), and the log-sum-exp of the scores (K, G, T)."""
    H, T, D = query_HTD.shape
    K = len(key_KTD)
    out_THD = query_HTD.new_empty(T, H, D)
    lse_KGT = query_HTD.new_empty((K, H // K, T), dtype=torch.float32)
    out, query = _by_group(out_THD, K, H // K), query_HTD.view(K, H // K, T, D)
    key, value = _for_group(key_KTD, H // K), _for_group(value_KTD, H // K)
    # the kernel multiplies small blocks; turning these into bfloat16 costs more than it saves
    with products("float32"):
        for part in _spans(lengths):
            out[:, :, part], lse_KGT[:, :, part] = _forward(
                query[:, :, part], key[:, :, part], value[:, :, part], 0.0, True, scale=1.0
            )
    return out_THD, lse_KGT


def _add_prefix(out_THD: Tensor, lse_KGT: Tensor, query_HTD: Tensor, key_KPD: Tensor, value_KPD: Tensor) -> None:
    """Merge attention to the prefix into `out_THD` and `lse_KGT`, in place."""
    K, G, _ = lse_KGT.shape
    with products("float32"):
        on_prefix, lse = _forward(
            query_HTD.view(K, G, *query_HTD.shape[1:]),
            _for_group(key_KPD, G),
            _for_group(value_KPD, G),
            0.0,
            False,
            scale=1.0,
        )
    share = torch.sigmoid(lse - lse_KGT).to(out_THD.dtype).unsqueeze(-1)
    _by_group(out_THD, K, G).lerp_(on_prefix, share)
    torch.logaddexp(lse_KGT, lse, out=lse_KGT)


def _by_group(tensor_THD: Tensor, num_groups: int, group_size: int) -> Tensor:
    """(T, H, D) seen as (K, G, T, D)"""
    T, _, D = tensor_THD.shape
    return tensor_THD.view(T, num_groups, group_size, D).permute(1, 2, 0, 3)


def _for_group(tensor_KTD: Tensor, group_size: int) -> Tensor:
    """(K, T, D) seen as (K, G, T, D), without a copy"""
    return tensor_KTD.unsqueeze(1).expand(-1, group_size, -1, -1)


def _spans(lengths: Sequence[int]) -> Iterator[slice]:
    begin = 0
    for length in lengths:
        yield slice(begin, begin + length)
        begin += length
