"""Which precision of products a machine deserves: decided by measurement, not by the name of its processor."""

from __future__ import annotations

from typing import Literal

from relaytune.core.precision import Precision
from relaytune.core.results import Hardware

WORTHWHILE_SPEEDUP = 1.5  # of products alone; below it the more exact ones are preferred
INEXACT: tuple[Precision, ...] = ("bfloat16_products", "bfloat16", "float16")  # float16 last: it can overflow


def choose_precision(asked: Literal["auto"] | Precision, hardware: Hardware) -> tuple[Precision, str]:
    """The precision to train in, and the reason in words. What the recipe asks for is never overruled."""
    if asked != "auto":
        return asked, f"the recipe says so (training.precision: {asked})"
    speeds = hardware.product_gflops
    offered: list[Precision] = ["float32", *(name for name in INEXACT if name in speeds)]
    if len(offered) == 1:
        return "float32", "faster products than float32's are not offered on this machine"
    chosen = offered[0]
    for name in offered[1:]:
        if speeds[name] >= WORTHWHILE_SPEEDUP * speeds[chosen]:
            chosen = name
    measured = ", ".join(f"{name} {speeds[name]:,.0f}" for name in offered)
    if chosen == "float32":
        why = f"below {WORTHWHILE_SPEEDUP:g} times its speed, others are not worth their rounding"
    else:
        why = f"{speeds[chosen] / speeds['float32']:.1f} times as fast as float32"
    return chosen, f"{why} (products, GFLOP/s: {measured})"


def product_gflops(hardware: Hardware, precision: Precision) -> float:
    """Measured speed of products in a precision; that of float32 where this machine does not offer it."""
    return hardware.product_gflops.get(precision, hardware.product_gflops.get("float32", 0.0))
