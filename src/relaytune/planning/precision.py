"""Which precision of products a machine deserves: decided by measurement, not by the name of its processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from relaytune.core.precision import Precision
from relaytune.core.results import Hardware

WORTHWHILE_SPEEDUP = 1.5  # below it the more exact ones are preferred
INEXACT: tuple[Precision, ...] = ("bfloat16_products", "bfloat16", "float16")  # float16 last: it can overflow


def choose_precision(
    asked: Literal["auto", Precision],
    hardware: Hardware,
    training_seconds: Callable[[Precision], float],
    fits: Callable[[Precision], bool],
) -> tuple[Precision, str]:
    """The precision to train in, and the reason in words. What the recipe asks for is never overruled.

    Args:
        asked: training.precision of the recipe.
        hardware: this machine.
        training_seconds: predicted for a precision.
        fits: whether a step fits into memory in a precision.
    """
    if asked != "auto":
        return asked, f"the recipe says so (training.precision: {asked})"
    products = hardware.product_gflops

    def speedup(precision: Precision) -> float:
        # a small model on a GPU waits for its kernels to be started, however fast they are
        if hardware.device == "cuda":
            return training_seconds("float32") / training_seconds(precision)
        return products[precision] / products["float32"]

    offered: list[Precision] = ["float32", *(name for name in INEXACT if name in products)]
    if len(offered) == 1:
        return "float32", "no other one is offered on this machine"
    fitting = [name for name in offered if fits(name)] or offered
    chosen = fitting[0]
    for name in fitting[1:]:
        if speedup(name) >= WORTHWHILE_SPEEDUP * speedup(chosen):
            chosen = name
    how = "training, predicted" if hardware.device == "cuda" else "products, measured"
    if "float32" not in fitting:
        return chosen, "float32 does not fit into memory"
    if chosen == "float32":
        fastest = max(speedup(name) for name in offered[1:])
        return chosen, f"others are at most {fastest:.1f} times as fast ({how}), not worth their rounding"
    return chosen, f"{speedup(chosen):.1f} times as fast as float32 ({how})"


def product_gflops(hardware: Hardware, precision: Precision) -> float:
    """Measured speed of products in a precision; that of float32 where this machine does not offer it."""
    return hardware.product_gflops.get(precision, hardware.product_gflops.get("float32", 0.0))
