"""How much memory a training step takes at its peak, and how large a micro-batch therefore may be."""

from __future__ import annotations

from relaytune.core.counts import LOGIT_POSITIONS_AT_ONCE
from relaytune.core.results import Hardware, ModelSize

GIB = 2**30
RUNTIME_GIB = 0.5  # Python, torch, transformers and a tokenizer; on a GPU the CUDA context
LORA_BYTES = 16  # float32: weight, gradient, two moments of Adam
LOGIT_COPIES = 2  # logits and their log-softmax, float32; the gradient is written over the latter
# What the allocator holds, per byte of live tensors. CPU: benchmarks/plan_against_measured.py. GPU: not measured.
ALLOCATOR_OVERHEAD = {"cpu": 1.95, "cuda": 1.2}
SAFE_SHARE = 0.7  # of available memory; predictions are within 25%
MAX_TOKENS = {"cpu": 4096, "cuda": 16384}  # larger products are no faster


def peak_training_memory_gib(
    model: ModelSize,
    hardware_device: str,
    tokens_per_micro_batch: int,
    prefix_tokens: int,
    longest_own_tokens: int,
    supervised_tokens_per_micro_batch: int,
    bytes_per_weight: int = 4,
) -> float:
    """Predict the peak memory of training LoRA on all seven projections: one packed row, nothing recomputed.

    What autograd keeps per layer, in floats of 4 bytes (h hidden, i intermediate, q = heads × head_dim,
    k = kv_heads × head_dim; seen with torch's saved-tensor hooks):

        per token        4 h      inputs and outputs of the two norms
                         2 q      queries after rotation, output of the attention
                         2 k      keys after rotation, values
                         4 i      gate, silu(gate), up, their product
        attention        on a GPU: heads × (own tokens × (prefix + longest own) + prefix²) probabilities;
                         on a CPU none, as they are made anew (core/flash_attention.py)

    Left out, each about 1%: rotation tables, norm statistics, the adapter's rank-r products, padding of
    attention rows on a GPU (examples of like length go together).

    On a CPU the live tensors are about half of the peak: where tensors that live on lie between tensors that do not,
    the C library's heap keeps the holes. Tensors above 32 MiB lie outside that heap, so that large models will need
    less than is predicted.

    Args:
        model: the base model's shape.
        hardware_device: "cpu" or "cuda".
        tokens_per_micro_batch: tokens of one packed row, the shared prefix counted once.
        prefix_tokens: tokens of the shared prefix.
        longest_own_tokens: tokens of the longest example after the prefix.
        supervised_tokens_per_micro_batch: tokens on which the loss is computed.
        bytes_per_weight: of the frozen base weights.
    """
    own_tokens = max(0, tokens_per_micro_batch - prefix_tokens)
    per_token = (
        4 * model.hidden_size
        + 2 * model.num_heads * model.head_dim
        + 2 * model.num_kv_heads * model.head_dim
        + 4 * model.intermediate_size
    )
    probabilities = 0
    if hardware_device != "cpu":
        probabilities = model.num_heads * (own_tokens * (prefix_tokens + longest_own_tokens) + prefix_tokens**2)
    activations = 4 * model.num_layers * (per_token * tokens_per_micro_batch + probabilities)
    logit_positions = min(supervised_tokens_per_micro_batch, LOGIT_POSITIONS_AT_ONCE)
    return (
        RUNTIME_GIB
        + (
            bytes_per_weight * model.num_parameters
            + LORA_BYTES * model.num_lora_parameters
            + ALLOCATOR_OVERHEAD[hardware_device] * activations
            + 4 * LOGIT_COPIES * model.vocab_size * logit_positions
        )
        / GIB
    )


def available_memory_gib(hardware: Hardware) -> float:
    """The memory in which training takes place: the first GPU's, else what is free of the machine's."""
    return hardware.gpu_memory_gib if hardware.device == "cuda" else hardware.free_memory_gib


def largest_micro_batch_tokens(
    model: ModelSize,
    hardware: Hardware,
    prefix_tokens: int,
    longest_own_tokens: int,
    supervised_share: float,
    bytes_per_weight: int = 4,
) -> int:
    """The largest number of tokens (a multiple of 64) whose predicted peak is below 70% of available memory.

    Never less than the longest example with the prefix, even where that does not fit: the plan then warns.
    Never more than MAX_TOKENS, unless one example alone is longer.

    Args:
        model: the base model's shape.
        hardware: this machine.
        prefix_tokens: tokens of the shared prefix.
        longest_own_tokens: tokens of the longest example after the prefix.
        supervised_share: supervised tokens per own token.
        bytes_per_weight: of the frozen base weights.
    """
    smallest = 64 * -(-(prefix_tokens + longest_own_tokens) // 64)
    for tokens in range(MAX_TOKENS[hardware.device], smallest, -64):
        peak = peak_training_memory_gib(
            model,
            hardware.device,
            tokens,
            prefix_tokens,
            longest_own_tokens,
            round(supervised_share * (tokens - prefix_tokens)),
            bytes_per_weight,
        )
        if peak < SAFE_SHARE * available_memory_gib(hardware):
            return tokens
    return smallest
