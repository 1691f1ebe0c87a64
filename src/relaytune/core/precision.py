"""Products in bfloat16 while weights, activations and sums stay in float32 (what TF32 is to an NVIDIA card)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


@contextmanager
def products(precision: Literal["float32", "bfloat16_products"]) -> Iterator[None]:
    """Set the precision of float32 matrix products on a CPU for a while. It pays where the CPU has AMX."""
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16" if precision == "bfloat16_products" else "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before
