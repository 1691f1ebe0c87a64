from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from relaytune.core.errors import ModelError
from relaytune.core.model import ModelFolder, load_config, load_model, load_template, refuse_unfit
from relaytune.core.sections import Lora

_SMALL = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}


def _model_folder(folder: Path, **config: Any) -> ModelFolder:
    """A folder with a configuration and no weights."""
    (folder / "config.json").write_text(json.dumps({**_SMALL, **config}))
    return ModelFolder(folder, "")


def test_a_llama_with_the_seven_projections_can_be_trained_before_its_weights_are_there(tmp_path: Path) -> None:
    refuse_unfit(_model_folder(tmp_path, model_type="llama"), Lora.model_validate({}))


def test_target_modules_are_compared_with_those_that_the_architecture_really_has(tmp_path: Path) -> None:
    fused = _model_folder(tmp_path, model_type="phi3")
    with pytest.raises(
        ModelError, match=r"this model has no q_proj, v_proj; it has down_proj, gate_up_proj, o_proj, qkv"
    ):
        refuse_unfit(fused, Lora.model_validate({"target_modules": ["q_proj", "o_proj", "v_proj"]}))


def test_an_attention_that_is_not_covered_is_refused_before_the_weights_are_loaded(tmp_path: Path) -> None:
    sliding = _model_folder(tmp_path, model_type="mistral", sliding_window=8)
    with pytest.raises(ModelError, match="sliding window"):
        refuse_unfit(sliding, Lora.model_validate({}))


@pytest.mark.parametrize("content", [None, "{", '{"model_type": "from_the_future"}'])
def test_a_folder_without_a_usable_configuration_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    folder = ModelFolder(tmp_path, "")
    with pytest.raises(ModelError, match="cannot be loaded: it is incomplete, damaged, or of a kind"):
        refuse_unfit(folder, Lora.model_validate({}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_template(folder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder, "cpu")
    if content is None or content == "{":
        with pytest.raises(ModelError, match="cannot be loaded"):
            load_config(folder)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = _model_folder(tmp_path, model_type="llama")
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    with pytest.raises(ModelError, match=r"cannot be loaded.*SafetensorError"):
        load_model(folder, "cpu")
