"""How much memory a training step takes at its peak, and how large a micro-batch therefore may be."""

from __future__ import annotations

from relaytune.core.counts import LOGIT_POSITIONS_AT_ONCE
from relaytune.core.precision import Precision
from relaytune.core.results import Hardware, ModelSize
from relaytune.planning.model_size import layer_matrix_parameters

GIB = 2**30
# Python, torch, transformers and a tokenizer; on a GPU the CUDA context and the libraries' workspaces (of an H100)
RUNTIME_GIB = {"cpu": 0.5, "cuda": 1.5}
LORA_BYTES = 16  # float32: weight, gradient, two moments of Adam
LOGIT_COPIES = 2  # logits and their log-softmax, float32; the gradient is written over the latter
# what the allocator holds, per byte of live tensors (benchmarks/plan_against_measured.py)
ALLOCATOR_OVERHEAD = {"cpu": 1.95, "cuda": 1.15}
SAFE_SHARE = 0.7  # of available memory; predictions are within 25%
MAX_TOKENS = {"cpu": 4096, "cuda": 16384}  # larger products are no faster


def peak_training_memory_gib(
    model: ModelSize,
    hardware_device: str,
    precision: Precision,
    tokens_per_micro_batch: int,
    prefix_tokens: int,
    longest_own_tokens: int,
    supervised_tokens_per_micro_batch: int,
) -> float:
    """Predict the peak memory of training LoRA on all seven projections: one packed row, nothing recomputed.

    What autograd keeps per layer, in floats of 4 bytes, or of 2 where the precision is one of 16 bits (h hidden,
    i intermediate, q = heads × head_dim, k = kv_heads × head_dim; seen with torch's saved-tensor hooks):

        per token        2 h      inputs of the two norms, always of 4 bytes
                         2 h      their outputs
                         2 q      queries after rotation, output of the attention
                         2 k      keys after rotation, values
                         4 i      gate, silu(gate), up, their product
        attention        on a GPU: heads × (own tokens × (prefix + longest own) + prefix²) probabilities, and those
                         of own tokens a second time, in the order in which they are multiplied;
                         on a CPU none, as they are made anew (core/flash_attention.py)

    Left out, each about 1%: rotation tables, norm statistics, the adapter's rank-r products, padding of
    attention rows on a GPU (examples of like length go together).

    On a CPU the live tensors are about half of the peak: where tensors that live on lie between tensors that do not,
    the C library's heap keeps the holes. Tensors above 32 MiB lie outside that heap, so that large models will need
    less than is predicted.

    Args:
        model: the base model's shape.
        hardware_device: "cpu" or "cuda".
        precision: of the frozen matrices and of what the layers compute; embeddings and the head are float32.
        tokens_per_micro_batch: tokens of one packed row, the shared prefix counted once.
        prefix_tokens: tokens of the shared prefix.
        longest_own_tokens: tokens of the longest example after the prefix.
        supervised_tokens_per_micro_batch: tokens on which the loss is computed.
    """
    own_tokens = max(0, tokens_per_micro_batch - prefix_tokens)
    width = 2 if precision in ("bfloat16", "float16") else 4
    per_token = 4 * 2 * model.hidden_size + width * (
        2 * model.hidden_size
        + 2 * model.num_heads * model.head_dim
        + 2 * model.num_kv_heads * model.head_dim
        + 4 * model.intermediate_size
    )
    probabilities = 0
    if hardware_device != "cpu":
        probabilities = model.num_heads * (own_tokens * (prefix_tokens + 2 * longest_own_tokens) + prefix_tokens**2)
    activations = model.num_layers * (per_token * tokens_per_micro_batch + width * probabilities)
    matrices = layer_matrix_parameters(model)
    logit_positions = min(supervised_tokens_per_micro_batch, LOGIT_POSITIONS_AT_ONCE)
    return (
        RUNTIME_GIB[hardware_device]
        + (
            width * matrices
            + 4 * (model.num_parameters - matrices)
            + LORA_BYTES * model.num_lora_parameters
            + ALLOCATOR_OVERHEAD[hardware_device] * activations
            + 4 * LOGIT_COPIES * model.vocab_size * logit_positions
        )
        / GIB
    )


def available_memory_gib(hardware: Hardware) -> float:
    """The memory in which training takes place: the first GPU's, else what is free of the machine's."""
    return hardware.gpu_memory_gib if hardware.device == "cuda" else hardware.free_memory_gib


def safe_memory_gib(hardware: Hardware) -> float:
    """As much of it as a predicted peak may take."""
    return SAFE_SHARE * available_memory_gib(hardware)


def largest_micro_batch_tokens(
    model: ModelSize,
    hardware: Hardware,
    precision: Precision,
    prefix_tokens: int,
    longest_own_tokens: int,
    supervised_share: float,
) -> int:
    """The largest number of tokens (a multiple of 64) whose predicted peak is below 70% of available memory.

    Never less than the longest example with the prefix, even where that does not fit: the plan then warns.
    Never more than MAX_TOKENS, unless one example alone is longer.

    Args:
        model: the base model's shape.
        hardware: this machine.
        precision: in which it trains.
        prefix_tokens: tokens of the shared prefix.
        longest_own_tokens: tokens of the longest example after the prefix.
        supervised_share: supervised tokens per own token.
    """
    smallest = 64 * -(-(prefix_tokens + longest_own_tokens) // 64)
    for tokens in range(MAX_TOKENS[hardware.device], smallest, -64):
        peak = peak_training_memory_gib(
            model,
            hardware.device,
            precision,
            tokens,
            prefix_tokens,
            longest_own_tokens,
            round(supervised_share * (tokens - prefix_tokens)),
        )
        if peak < safe_memory_gib(hardware):
            return tokens
    return smallest
