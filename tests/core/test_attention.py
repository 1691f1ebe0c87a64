"""What a CPU computes with the flash kernel, a GPU computes on padded examples: both must agree with plain softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from relaytune.core import attention, flash_attention
from relaytune.core.attention import Packing
from relaytune.core.precision import products

HEADS, KEY_HEADS, SIZE = 6, 2, 8


def random_row(num_tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(num_tokens, heads, SIZE, generator=generator).transpose(0, 1).requires_grad_()
        for heads in (HEADS, KEY_HEADS, KEY_HEADS)
    )
    return query, key, value


def by_definition(query: Tensor, key: Tensor, value: Tensor, prefix: int, lengths: Sequence[int]) -> Tensor:
    """Softmax over all tokens of the row, with everything but prefix and own earlier tokens masked."""
    owner = torch.tensor([0] * prefix + [i + 1 for i, length in enumerate(lengths) for _ in range(length)])
    place = torch.arange(len(owner))
    sees = (place[:, None] >= place) & ((owner[:, None] == owner) | (owner == 0))
    key, value = (tensor.repeat_interleave(HEADS // KEY_HEADS, 0) for tensor in (key, value))
    scores = (query @ key.transpose(1, 2)).masked_fill(~sees, float("-inf"))
    return (scores.softmax(-1) @ value).transpose(0, 1)


def padded(query: Tensor, key: Tensor, value: Tensor, prefix: int, lengths: Sequence[int]) -> Tensor:
    """The GPU's way, run on this CPU."""
    known = (key[:, :prefix], value[:, :prefix])
    packing = Packing.of(lengths, query.device)
    own = attention._attend_padded(packing, query[:, prefix:], key[:, prefix:], value[:, prefix:], known)
    first = attention._attend_causally(query[:, :prefix], *known)
    return torch.cat([first, own], dim=1).transpose(0, 1)


@pytest.mark.parametrize("compute", [flash_attention.attend, padded])
@pytest.mark.parametrize("prefix", [0, 1, 19])
@pytest.mark.parametrize("lengths", [(1,), (5,), (3, 1, 30, 7)])
def test_outputs_and_gradients_are_those_of_masked_softmax(
    compute: Callable[..., Tensor], prefix: int, lengths: Sequence[int]
) -> None:
    row = random_row(prefix + sum(lengths))
    weights = torch.randn(prefix + sum(lengths), HEADS, SIZE, generator=torch.Generator().manual_seed(1))
    expected, out = by_definition(*row, prefix, lengths), compute(*row, prefix, lengths)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)
    for gradient, of in zip(
        torch.autograd.grad((out * weights).sum(), row),
        torch.autograd.grad((expected * weights).sum(), row),
        strict=True,
    ):
        torch.testing.assert_close(gradient, of, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float16, 5e-3), (torch.bfloat16, 4e-2)])
def test_in_sixteen_bits_a_gpu_computes_the_same_but_for_rounding(dtype: torch.dtype, apart: float) -> None:
    lengths, row = (3, 1, 30, 7), random_row(60)
    query, key, value = half = [tensor.detach().to(dtype).requires_grad_() for tensor in row]
    expected, out = by_definition(*row, 19, lengths), padded(query, key, value, 19, lengths)
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), expected, rtol=apart, atol=apart)
    for gradient, of in zip(
        torch.autograd.grad(out.float().sum(), half), torch.autograd.grad(expected.sum(), row), strict=True
    ):
        torch.testing.assert_close(gradient.float(), of, rtol=4 * apart, atol=4 * apart)


def test_a_prefix_whose_keys_are_known_gives_what_it_gives_inside_the_row() -> None:
    query, key, value = random_row(40)
    inside = flash_attention.attend(query, key, value, 12, (20, 8))[12:]
    known = (key[:, :12], value[:, :12])
    behind = flash_attention.attend_behind(query[:, 12:], key[:, 12:], value[:, 12:], known, (20, 8))
    torch.testing.assert_close(behind, inside, rtol=1e-6, atol=1e-6)


def test_attention_stays_exact_where_products_are_in_bfloat16() -> None:
    row = random_row(40)
    exact = flash_attention.attend(*row, 12, (20, 8))
    with products("bfloat16_products"):
        again = flash_attention.attend(*row, 12, (20, 8))
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"  # type: ignore[attr-defined]
    assert torch.equal(again, exact)
