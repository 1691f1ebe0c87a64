"""A small task for the tests of data/: a recipe, its files, and a stand-in for the chat template."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaytune.core.errors import ModelError
from relaytune.core.recipe import Recipe, validate_recipe
from relaytune.core.records import Example, Finding

PLACES = ["kitchen", "garden", "office", "cellar", "attic", "garage", "hall", "porch", "studio", "library"]
THINGS = ["printer", "lamp", "door", "kettle", "window", "router", "heater", "chair"]


def recipe_of(**changes: Any) -> Recipe:
    """The recipe of the label task; `data__on_error="drop"` changes data.on_error."""
    values: dict[str, Any] = {
        "name": "tickets",
        "task": {"instruction": "Sort the ticket.", "input": "{text}", "completion": "{label}"},
        "contract": {"labels": ["low", "high"]},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl"},
        "base_model": {"name": "none"},
        "decision": {"keep_when": ["tuned contract_pass at least 0.5"]},
    }
    for path, value in changes.items():
        part, _, key = path.partition("__")
        if key:
            values.setdefault(part, {})[key] = value
        else:
            values[part] = value
    return validate_recipe(values, "recipe.yaml")


def good_rows(count: int, offset: int = 0) -> list[dict[str, str]]:
    """Rows without a fault: all inputs differ by more than a few words, and the labels are balanced."""
    rows = []
    for number in range(offset, offset + count):
        place, thing = PLACES[number % len(PLACES)], THINGS[number // len(PLACES) % len(THINGS)]
        text = f"{thing} number {number} in the {place} has been broken since week {number * 7}"
        rows.append({"text": text, "label": "low" if number % 2 else "high"})
    return rows


def write_rows(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_good_data(folder: Path, train: int = 60, held_out: int = 30) -> None:
    write_rows(folder / "train.jsonl", good_rows(train))
    write_rows(folder / "held_out.jsonl", good_rows(held_out, offset=1000))


def found(findings: list[Finding], check: str) -> Finding:
    """The one finding of a check."""
    matching = [finding for finding in findings if finding.check == check]
    assert len(matching) == 1, f"{check}: {[finding.check for finding in findings]}"
    return matching[0]


def errors_of(findings: list[Finding]) -> list[str]:
    return [finding.check for finding in findings if finding.severity == "error"]


@dataclass(frozen=True)
class Ids:
    prompt_ids: list[int]
    completion_ids: list[int]


class WordTemplate:
    """A template in which every word is a token."""

    special_tokens: tuple[str, ...] = ("<|end|>",)

    def encode(self, example: Example) -> Ids:
        words = [word for message in example.messages for word in message["content"].split()]
        if "untemplatable" in words:
            raise ModelError("the template cannot render this")
        answer = [] if "silent" in words else example.completion.split()
        return Ids(list(range(len(words))), list(range(len(answer))))
