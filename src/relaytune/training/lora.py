"""The adapter: PEFT's LoRA, with its forward pass fused."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor

from relaytune.core.model import refuse_missing_modules
from relaytune.core.sections import Lora

ADAPTER = "default"


class _FusedLoraLinear(torch.autograd.Function):
    """x Wᵀ + s (x Aᵀ) Bᵀ with W frozen, added in place: as PEFT computes it, in fewer passes over memory.

    Computed in the type of W, as autocast would.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, a: Tensor, b: Tensor, scaling: float) -> Tensor:
        ctx.scaling, ctx.shape, ctx.types = scaling, x.shape, (x.dtype, a.dtype)
        flat, a, b = x.reshape(-1, x.shape[-1]).to(weight.dtype), a.to(weight.dtype), b.to(weight.dtype)
        low = flat @ a.t()
        out = (flat @ weight.t()).addmm_(low, b.t(), alpha=scaling)
        ctx.save_for_backward(flat, low, weight, a, b)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, Tensor, Tensor, None]:
        flat, low, weight, a, b = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        grad_low = (grad @ b).mul_(ctx.scaling)
        grad_x = (grad @ weight).addmm_(grad_low, a)
        of_x, of_weights = ctx.types
        grad_a, grad_b = (grad_low.t() @ flat).to(of_weights), (grad.t() @ low).to(of_weights).mul_(ctx.scaling)
        return grad_x.view(ctx.shape).to(of_x), None, grad_a, grad_b, None


def _fused_forward(layer: Any, x: Tensor) -> Tensor:
    a, b = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    return _FusedLoraLinear.apply(x, layer.base_layer.weight, a, b, layer.scaling[ADAPTER])  # type: ignore[no-any-return, no-untyped-call]


def add_lora(model: Any, lora: Lora, base_model_name: str, seed: int) -> Any:
    """Wrap a frozen base model with a trainable adapter in float32; its start is made of the seed.

    Raises:
        ModelError: the model lacks a target module.
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import Linear

    refuse_missing_modules(model, lora)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=list(lora.target_modules),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base_model_name,
    )
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        # peft warns that it writes this machine's folder as the base model's name; the next line puts it right
        warnings.simplefilter("ignore")
        wrapped = get_peft_model(model, config)
    wrapped.peft_config[ADAPTER].base_model_name_or_path = base_model_name
    for module in wrapped.modules():
        if isinstance(module, Linear) and module.base_layer.bias is None:
            module.forward = partial(_fused_forward, module)
    return wrapped


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The adapter's weights by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
