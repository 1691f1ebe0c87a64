"""The shape of a base model, read from its config.json without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from relaytune.core.errors import ModelError
from relaytune.core.results import ModelSize
from relaytune.core.sections import Lora

_REQUIRED = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")


def read_model_size(config: Mapping[str, Any], lora: Lora) -> ModelSize:
    """Count the parameters of a Llama-like model (Llama, Mistral, Qwen2, SmolLM2) and of its adapter.

    A LoRA adapter of rank r adds r × (in + out) parameters to a projection (arXiv 2106.09685, section 4.1).

    Args:
        config: the content of config.json.
        lora: rank and target modules.

    Raises:
        ModelError: keys are missing, the model has experts, or a target module is not one of the seven.
    """
    _refuse_other_architectures(config)
    hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    heads = int(config["num_attention_heads"])
    size = ModelSize(
        num_parameters=0,
        num_layers=layers,
        hidden_size=hidden,
        intermediate_size=int(config["intermediate_size"]),
        num_heads=heads,
        num_kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or hidden // heads),
        vocab_size=int(config["vocab_size"]),
        num_lora_parameters=0,
    )
    shapes = projection_shapes(size)
    unknown = [name for name in lora.target_modules if name not in shapes]
    if unknown:
        raise ModelError(
            f"lora.target_modules: {', '.join(unknown)} cannot be planned for; known are {', '.join(shapes)}"
        )
    embeddings = size.vocab_size * hidden * (1 if config.get("tie_word_embeddings", False) else 2)
    norms = 2 * hidden * layers + hidden
    biases = _biases_per_layer(config, shapes) * layers
    num_parameters = embeddings + norms + biases + layer_matrix_parameters(size)
    num_lora_parameters = layers * lora.rank * sum(sum(shapes[name]) for name in set(lora.target_modules))
    return replace(size, num_parameters=num_parameters, num_lora_parameters=num_lora_parameters)


def projection_shapes(model: ModelSize) -> dict[str, tuple[int, int]]:
    """(in, out) of the seven projections of one Llama block, by name."""
    hidden, inner = model.hidden_size, model.intermediate_size
    queries, keys = model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim
    return {
        "q_proj": (hidden, queries),
        "k_proj": (hidden, keys),
        "v_proj": (hidden, keys),
        "o_proj": (queries, hidden),
        "gate_proj": (hidden, inner),
        "up_proj": (hidden, inner),
        "down_proj": (inner, hidden),
    }


def layer_matrix_parameters(model: ModelSize) -> int:
    """Parameters in the projections of all layers: what every token is multiplied with."""
    return model.num_layers * sum(rows * columns for rows, columns in projection_shapes(model).values())


def _refuse_other_architectures(config: Mapping[str, Any]) -> None:
    missing = [key for key in _REQUIRED if not config.get(key)]
    experts = [key for key in _EXPERTS if config.get(key)]
    faults = [
        *([f"has no {', '.join(missing)}"] if missing else []),
        *([f"has experts ({', '.join(experts)})"] if experts else []),
    ]
    if faults:
        raise ModelError(
            f"config.json of the base model (model_type {config.get('model_type')!r}) {' and '.join(faults)}. "
            "Plans are made for models like Llama, Mistral, Qwen2 and SmolLM2; choose one of these."
        )


def _biases_per_layer(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, int]]) -> int:
    """Qwen2 has biases on q, k and v and says so nowhere; Llama names them in its configuration."""
    biased: list[str] = []
    if config.get("attention_bias"):
        biased += ["q_proj", "k_proj", "v_proj", "o_proj"]
    elif config.get("model_type") == "qwen2":
        biased += ["q_proj", "k_proj", "v_proj"]
    if config.get("mlp_bias"):
        biased += ["gate_proj", "up_proj", "down_proj"]
    return sum(shapes[name][1] for name in biased)
