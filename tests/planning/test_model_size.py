from __future__ import annotations

from typing import Any

import pytest
from planning_facts import LORA, MISTRAL, MISTRAL_7B_V3, SMOLLM2, SMOLLM2_135M

from relaytune.core.errors import ModelError
from relaytune.planning import read_model_size
from relaytune.planning.model_size import layer_matrix_parameters

QWEN25_05B: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}


def test_mistral_7b_has_the_parameters_that_the_study_reports() -> None:
    assert MISTRAL.num_parameters == 7_248_023_552
    assert MISTRAL.num_lora_parameters == 41_943_040


def test_smollm2_counts_its_tied_embeddings_once() -> None:
    assert SMOLLM2.num_parameters == 134_515_008
    untied = read_model_size({**SMOLLM2_135M, "tie_word_embeddings": False}, LORA)
    assert untied.num_parameters - SMOLLM2.num_parameters == 49152 * 576


def test_qwen2_has_biases_that_its_configuration_does_not_name() -> None:
    assert read_model_size(QWEN25_05B, LORA).num_parameters == 494_032_768


def test_the_matrices_of_the_layers_are_what_embeddings_and_norms_leave() -> None:
    assert layer_matrix_parameters(SMOLLM2) == 134_515_008 - 49152 * 576 - 61 * 576


def test_the_adapter_grows_with_the_rank_and_shrinks_with_fewer_targets() -> None:
    of_rank_8 = read_model_size(MISTRAL_7B_V3, LORA.model_copy(update={"rank": 8}))
    assert 2 * of_rank_8.num_lora_parameters == MISTRAL.num_lora_parameters
    queries_and_values = read_model_size(
        MISTRAL_7B_V3, LORA.model_copy(update={"target_modules": ("q_proj", "v_proj", "q_proj")})
    )
    assert queries_and_values.num_lora_parameters == 32 * 16 * (4096 + 4096 + 4096 + 1024)


def test_keys_that_transformers_leaves_out_get_its_defaults() -> None:
    config = {key: value for key, value in SMOLLM2_135M.items() if key != "num_key_value_heads"}
    size = read_model_size({**config, "head_dim": None}, LORA)
    assert (size.num_kv_heads, size.head_dim) == (9, 64)
    assert read_model_size({**config, "head_dim": 128}, LORA).head_dim == 128


def test_an_unknown_target_module_is_refused_with_the_known_ones() -> None:
    lora = LORA.model_copy(update={"target_modules": ("query_key_value", "q_proj", "w1")})
    with pytest.raises(ModelError, match=r"query_key_value, w1 .*q_proj, k_proj, v_proj, o_proj, gate_proj"):
        read_model_size(SMOLLM2_135M, lora)


def test_a_model_that_is_not_like_llama_is_refused_with_everything_that_is_missing() -> None:
    with pytest.raises(ModelError, match=r"'gpt2'.*hidden_size, intermediate_size, num_hidden_layers"):
        read_model_size({"model_type": "gpt2", "n_embd": 768, "vocab_size": 50257}, LORA)


def test_a_model_with_experts_is_refused_instead_of_counted_wrongly() -> None:
    with pytest.raises(ModelError, match="num_local_experts"):
        read_model_size({**MISTRAL_7B_V3, "num_local_experts": 8}, LORA)
