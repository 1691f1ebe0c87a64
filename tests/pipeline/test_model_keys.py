"""A model that is no base model and cannot be had is told by the key of the recipe that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import SMOLLM2, refusal, relaytune, write_rows
from relaytune.core.criteria import Criteria
from relaytune.core.errors import ModelError
from relaytune.core.judging import Judging
from relaytune.core.model import find_model, load_model, named_by
from relaytune.core.records import Example, Generation
from relaytune.core.screen import Screen
from relaytune.core.sections import BaseModelChoice, Evaluation
from relaytune.evaluation.closeness import with_closeness
from relaytune.evaluation.judging.hearing import Hearing, hear
from relaytune.evaluation.summary import Evidence

pytest.importorskip("torch")

ROW = Example("row", ({"role": "user", "content": "What is the fee?"},), "70 EUR", "held_out.jsonl:1")
NOWHERE = {"model": "./nowhere", "family": "unheard-of"}


def write_audited_task(folder: Path, facts: dict[str, Any]) -> None:
    (folder / "handbook").mkdir()
    (folder / "handbook" / "fees.md").write_text("# Fees\n\nThe fee of Botany is 70 EUR.\n", encoding="utf-8")
    rows = [{"question": f"What is the fee, {number}?", "answer": f"It is {number} EUR."} for number in range(60, 76)]
    write_rows(folder / "train.jsonl", rows)
    write_rows(folder / "held_out.jsonl", [{"question": "Is there a fee?", "answer": "Yes."}])
    values = {
        "name": "fees",
        "task": {"input": "{question}", "completion": "{answer}"},
        "contract": {"free_text": "true"},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl", "facts": {"sources": "handbook", **facts}},
        "base_model": {"name": SMOLLM2},
        "decision": {"keep_when": ["tuned contract_pass at least 0.9"]},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.mark.model
@pytest.mark.parametrize(
    ("facts", "key"),
    [({"entailment": "./nowhere"}, "data.facts.entailment"), ({"judge": NOWHERE}, "data.facts.judge")],
)
def test_a_verifier_that_cannot_be_had_is_named_by_its_own_key(tmp_path: Path, facts: dict[str, Any], key: str) -> None:
    write_audited_task(tmp_path, facts)
    message = refusal(relaytune(tmp_path, "audit", "recipe.yaml"), exit_code=2)
    assert message.startswith(f"relaytune: {key}: './nowhere' is not a folder here")
    assert "base_model" not in message


def test_the_encoder_of_bertscore_that_cannot_be_had_is_named_by_its_own_key() -> None:
    settings = {"scorers": ["bertscore"], "bertscore_encoder": "./nowhere", "bertscore_layer": 1}
    evaluation = Evaluation.model_validate(settings)
    answers = {"base": [Generation("row", ROW.messages, "70 EUR", "stop", 4)]}
    with pytest.raises(ModelError, match=r"^evaluation\.bertscore_encoder: './nowhere' is not a folder here"):
        with_closeness(Criteria(None, evaluation, None, None), Evidence([ROW], answers, []), Screen.silent())


def test_a_local_judge_that_cannot_be_had_is_named_by_its_own_key(tmp_path: Path) -> None:
    judging = Judging.model_validate({"judges": [NOWHERE], "rubric": "is right"})
    hearing = Hearing(judging, "is right", [("base", "tuned")], tmp_path, tmp_path, Screen.silent())
    with pytest.raises(ModelError, match=r"^judging\.judges: './nowhere' is not a folder here"):
        hear(hearing, [ROW], {"base": {"row": "70 EUR"}, "tuned": {"row": "80 EUR"}})


def test_weights_that_cannot_be_loaded_are_told_by_the_key_of_their_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError) as caught, named_by("judging.judges"):
        load_model(find_model(BaseModelChoice(name=str(tmp_path), sha256=None)), "cpu")
    assert str(caught.value).startswith(f"judging.judges: {tmp_path} cannot be loaded")
