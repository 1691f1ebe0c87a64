"""How exactly a machine computes. Whatever is chosen, the adapter's weights, sums, norms and the loss are float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

# bfloat16_products: float32 tensors, which a CPU multiplies in bfloat16 (what TF32 is to an NVIDIA card)
# bfloat16, float16: the matrices of the frozen base model are held and multiplied in 16 bits
Precision = Literal["float32", "bfloat16_products", "bfloat16", "float16"]


@dataclass(frozen=True)
class LossScale:
    """By how much the loss is scaled in float16, and for how many steps no gradient has overflowed with it."""

    value: float
    steps_without_overflow: int


def sixteen_bits(precision: Precision) -> torch.dtype | None:
    """The type in which frozen matrices are held; None where it is float32."""
    import torch

    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)


@contextmanager
def computing(precision: Precision, device: str) -> Iterator[None]:
    """Compute in this precision for a while, with a model that `hold_base` has prepared for it."""
    import torch

    dtype = sixteen_bits(precision)
    # no cache: it would keep copies of the adapter's weights beyond the step that changes them
    with products(precision), torch.autocast(device, dtype=dtype, enabled=dtype is not None, cache_enabled=False):
        yield


@contextmanager
def products(precision: Precision) -> Iterator[None]:
    """Set the precision of float32 matrix products on a CPU for a while. It pays where the CPU has AMX."""
    import torch

    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16" if precision == "bfloat16_products" else "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def hold_base(model: Any, precision: Precision) -> Any:
    """Hold the frozen matrices of a model's layers as the precision says, in place.

    Embeddings and the head stay in float32, and with them the residual stream, which outgrows float16 first.
    """
    import torch

    dtype, head = sixteen_bits(precision), model.get_output_embeddings()
    if dtype is None:
        return model
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module is not head and not module.weight.requires_grad:
            module.to(dtype)
        elif ".layers." in name and "Norm" in type(module).__name__:
            # rounded once, instead of by each projection that reads it
            module.register_forward_hook(lambda _module, _arguments, normed: normed.to(dtype))
    return model
