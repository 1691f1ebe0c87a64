"""One step of LoRA, really made: forward, backward, AdamW, and held against float64."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relaytune.doctor.cards import BFLOAT16_FROM
from relaytune.doctor.check import Check, attempt
from relaytune.doctor.gpu import TOLERANCES, relative_error

WIDTH, ROWS, RANK = 256, 64, 8
LEARNING_RATE = 1e-3
NF4_TOLERANCE = 0.15  # relative; 16 levels a block of 64 weights from a normal distribution give 0.09
NAMES = {False: "LoRA step", True: "4-bit step"}


@dataclass(frozen=True)
class Step:
    """What one step gave: the largest relative error of output and gradients, and the loss on the same rows."""

    error: float
    loss_before: float
    loss_after: float
    quantization_error: float = 0.0


def check_lora_step(device: str) -> Check:
    """A layer in float32 with a LoRA pair, on a GPU or the CPU."""
    return attempt(
        NAMES[False],
        lambda: judge_step(NAMES[False], device, "float32", make_step(device, _float32_layer)),
        "Training would fail alike. Look at the lines above first; else install torch and peft anew.",
    )


def check_four_bit_step(device: str) -> Check:
    """A layer in 4 bits (NF4) with a LoRA pair, on a GPU."""
    name = NAMES[True]
    if device == "cpu":
        return Check(
            name,
            "warning",
            "not tried: there is no GPU that works",
            "Train small models in float32 here; for a large one in 4 bits use a machine with a GPU.",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        advice = "`pip install bitsandbytes` (only for training in 4 bits)"
        return Check(name, "warning", "not tried: bitsandbytes is not installed", advice)

    def trial() -> Check:
        import torch

        compute = "bfloat16" if torch.cuda.get_device_capability(device) >= BFLOAT16_FROM else "float16"
        return judge_step(name, device, compute, make_step(device, four_bit_layer(compute)))

    return attempt(name, trial, "Training in 4 bits would fail alike. `pip install --upgrade bitsandbytes`")


def judge_step(name: str, device: str, compute: str, step: Step) -> Check:
    """Whether a step computed in the type `compute` is right, and lowered the loss."""
    tolerance = TOLERANCES[compute]
    seen = (
        f"{compute} on {'the CPU' if device == 'cpu' else device}: output and gradients within {step.error:.0e} of "
        f"float64 (at most {tolerance:.0e})"
    )
    if step.quantization_error:
        seen += f", NF4 weights within {step.quantization_error:.0%} of the given ones (at most {NF4_TOLERANCE:.0%})"
    seen += f"; AdamW took the loss from {step.loss_before:.4f} to {step.loss_after:.4f}"
    # written so that a NaN is wrong too
    if not (step.error <= tolerance and step.quantization_error <= NF4_TOLERANCE):
        return Check(name, "failed", seen, "It computes wrongly: do not train on it. Install the libraries anew.")
    if not step.loss_after < step.loss_before:
        return Check(name, "failed", seen, "A step does not learn: do not train on it. Install the libraries anew.")
    return Check(name, "ok", seen)


Layer = Callable[[Any, str], tuple[Any, Any]]  # (weights, device) -> (layer, the weights it stands for, on the CPU)


def _float32_layer(weight: Any, device: str) -> tuple[Any, Any]:
    import torch

    layer = torch.nn.Linear(WIDTH, WIDTH, bias=False)
    layer.weight = torch.nn.Parameter(weight.clone(), requires_grad=False)
    return layer.to(device), weight


def four_bit_layer(compute: str) -> Layer:
    """How a layer in NF4 that multiplies in the type `compute` is made."""

    def make(weight: Any, device: str) -> tuple[Any, Any]:
        import bitsandbytes
        import torch

        layer = bitsandbytes.nn.Linear4bit(
            WIDTH, WIDTH, bias=False, compute_dtype=getattr(torch, compute), quant_type="nf4"
        )
        layer.weight.data = weight.clone()
        layer = layer.to(device)  # quantizes
        stored = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        return layer, stored.detach().cpu()

    return make


def make_step(device: str, make_layer: Layer) -> Step:
    """Wrap a layer with PEFT's LoRA, take one step with AdamW on it, and compute the same in float64 on the CPU."""
    import torch
    from peft import LoraConfig, get_peft_model

    random = torch.Generator().manual_seed(0)
    given = torch.randn(WIDTH, WIDTH, generator=random) / WIDTH**0.5
    rows, target = (torch.randn(ROWS, WIDTH, generator=random) for _ in range(2))
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["projection"], init_lora_weights=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer, weight = make_layer(given, device)
        model: Any = torch.nn.Sequential()
        model.add_module("projection", layer)
        model.is_loaded_in_4bit = layer.weight.dtype == torch.uint8  # PEFT asks the model for it
        # not inject_adapter_in_model: that leaves a pair on a float16 layer in float16, where AdamW divides by zero
        model = get_peft_model(model, config)
    pair = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def loss_of(output: Any, wanted: Any) -> Any:
        return (output - wanted).square().mean()

    x, wanted = rows.to(device).requires_grad_(), target.to(device)
    output = model(x)
    loss = loss_of(output, wanted)
    loss.backward()

    a, b = (parameter.detach().cpu().double().requires_grad_() for parameter in pair)
    x_64 = rows.detach().double().requires_grad_()
    output_64 = x_64 @ weight.double().T + 2 * (x_64 @ a.T) @ b.T
    loss_of(output_64, target.double()).backward()
    compared = [(output, output_64.detach()), (x.grad, x_64.grad), (pair[0].grad, a.grad), (pair[1].grad, b.grad)]
    error = max(relative_error(found, expected) for found, expected in compared)

    torch.optim.AdamW(pair, lr=LEARNING_RATE).step()
    with torch.no_grad():
        after = loss_of(model(x), wanted)
    return Step(error, loss.item(), after.item(), relative_error(weight, given.double()))
