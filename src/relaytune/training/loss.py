"""The loss at supervised tokens, without ever holding all their logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from relaytune.core.counts import LOGIT_POSITIONS_AT_ONCE
from relaytune.core.packing import PackedRow


class _HeadLoss(torch.autograd.Function):
    """Weighted sum of cross-entropies of a frozen head. The gradient is made in the forward pass, chunk by chunk, so
    that only one chunk of logits exists at a time (Liger's fused linear cross-entropy, arXiv 2410.10989, 3.2). All in
    float32: probabilities, made before the loss can be scaled, would vanish in float16.
    """

    @staticmethod
    def forward(ctx: Any, hidden_MC: Tensor, head_VC: Tensor, targets_M: Tensor, weights_M: Tensor) -> Tensor:
        grad = torch.empty_like(hidden_MC)
        total = hidden_MC.new_zeros(())
        for begin in range(0, len(targets_M), LOGIT_POSITIONS_AT_ONCE):
            chunk = slice(begin, begin + LOGIT_POSITIONS_AT_ONCE)
            targets = targets_M[chunk].unsqueeze(1)
            log_probs = F.linear(hidden_MC[chunk], head_VC).log_softmax(dim=-1)
            weights = weights_M[chunk].unsqueeze(1)
            total -= (log_probs.gather(1, targets) * weights).sum()
            grad_logits = log_probs.exp_()
            grad_logits.scatter_add_(1, targets, grad_logits.new_full(targets.shape, -1.0))
            grad[chunk] = grad_logits.mul_(weights) @ head_VC
        ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (grad,) = ctx.saved_tensors
        return grad * grads[0], None, None, None


def summed_loss(model: Any, row: PackedRow) -> Tensor:
    """Weighted sum of the cross-entropies, in nats, at the row's supervised tokens. `model`: PEFT's or a base model."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = causal.get_decoder()(
        input_ids=row.input_ids_1T, position_ids=row.position_ids_1T, use_cache=False, layout=row.layout
    ).last_hidden_state[0]
    head = causal.get_output_embeddings().weight
    with torch.autocast(hidden.device.type, enabled=False):
        return _HeadLoss.apply(hidden.index_select(0, row.predicting_M), head, row.targets_M, row.weights_M)  # type: ignore[no-any-return, no-untyped-call]
