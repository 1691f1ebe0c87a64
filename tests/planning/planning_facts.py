"""Facts that the tests of planning share: published configurations, a small data set, an ordinary machine."""

from __future__ import annotations

from typing import Any

from relaytune.core.recipe import Recipe
from relaytune.core.results import DataSize, Hardware
from relaytune.core.sections import Lora
from relaytune.planning import read_model_size

SMOLLM2_135M: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
MISTRAL_7B_V3: dict[str, Any] = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32768,
    "tie_word_embeddings": False,
}
LORA = Lora.model_validate({})  # rank 16, all seven projections
SMOLLM2 = read_model_size(SMOLLM2_135M, LORA)
MISTRAL = read_model_size(MISTRAL_7B_V3, LORA)
LAPTOP = Hardware(
    device="cpu",
    name="a CPU",
    num_cores=4,
    num_gpus=0,
    memory_gib=16.0,
    free_memory_gib=12.0,
    gpu_memory_gib=0.0,
    free_disk_gib=50.0,
    product_gflops={"float32": 200.0},
)
TICKETS = DataSize(
    num_train=400,
    num_validation=40,
    num_held_out=160,
    shared_prefix_tokens=120,
    own_tokens_train=400 * 75,
    own_tokens_validation=40 * 75,
    own_prompt_tokens_held_out=160 * 50,
    supervised_tokens_train=400 * 22,
    longest_tokens=230,
)


def recipe_with(values: dict[str, Any], **training: Any) -> Recipe:
    """The recipe of conftest with other training settings."""
    return Recipe.model_validate({**values, "training": training})
