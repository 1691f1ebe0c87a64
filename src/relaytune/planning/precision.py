"""Which precision of products a machine deserves: decided by measurement, not by the name of its processor."""

from __future__ import annotations

from typing import Literal

from relaytune.core.results import Hardware

Precision = Literal["float32", "bfloat16_products"]
WORTHWHILE_SPEEDUP = 1.5  # of products alone; below it the exact ones are preferred


def choose_precision(asked: Literal["auto"] | Precision, hardware: Hardware) -> tuple[Precision, str]:
    """The precision to train in, and the reason in words. What the recipe asks for is never overruled."""
    if asked != "auto":
        return asked, f"the recipe says so (training.precision: {asked})"
    exact, fast = hardware.float32_gflops, hardware.bfloat16_products_gflops
    if fast <= 0:
        return "float32", "products in bfloat16 are not offered on this machine"
    measured = (
        f"products in bfloat16 run {fast / exact:.1f} times as fast as in float32 "
        f"({fast:,.0f} against {exact:,.0f} GFLOP/s)"
    )
    if fast >= WORTHWHILE_SPEEDUP * exact:
        return "bfloat16_products", measured
    return "float32", f"{measured}; below {WORTHWHILE_SPEEDUP:g} times they are not worth their rounding"


def product_gflops(hardware: Hardware, precision: Precision) -> float:
    """Measured speed of products in a precision; that of float32 where bfloat16 is not offered."""
    if precision == "bfloat16_products" and hardware.bfloat16_products_gflops > 0:
        return hardware.bfloat16_products_gflops
    return hardware.float32_gflops
