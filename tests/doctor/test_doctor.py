"""The whole examination, as the command line makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from command_line import files_below, recipe_values, refusal, relaytune, write_task

SOURCE = Path(__file__).parents[2] / "src"
needs_torch = pytest.mark.skipif(find_spec("torch") is None or find_spec("peft") is None, reason="no torch")


@needs_torch
def test_a_machine_that_can_train_passes_and_a_program_can_read_why(tmp_path: Path) -> None:
    done = relaytune(tmp_path, "doctor", "--json", RELAYTUNE_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    checks = {row["check"]: row for row in json.loads(done.stdout)}
    assert all(set(row) == {"check", "state", "seen", "advice"} for row in checks.values())
    assert {"python", "torch", "peft", "LoRA step", "4-bit step", "memory", "disk, runs"} <= set(checks)
    assert checks["LoRA step"]["state"] == "ok"
    assert all((row["state"] == "ok") == (not row["advice"]) for row in checks.values())
    assert files_below(tmp_path) == set()


@needs_torch
def test_with_a_recipe_its_model_and_store_are_tried_and_a_failure_is_exit_1(tmp_path: Path) -> None:
    values = {**recipe_values(), "base_model": {"name": "package:no_such_package/x.gguf"}}
    values["session"] = {"store": "recipe.yaml/below-a-file"}
    write_task(tmp_path, values)
    before = files_below(tmp_path)
    done = relaytune(tmp_path, "doctor", "recipe.yaml")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("ok       LoRA step       float32 on ") for line in lines)
    assert any(line.startswith("failed   base model      package:no_such_package/x.gguf") for line in lines)
    assert any(line.startswith("failed   store           ") for line in lines)
    assert lines[-1].startswith("This machine is not ready: ")
    assert files_below(tmp_path) == before


def test_a_recipe_that_is_wrong_is_refused_before_anything_is_tried(tmp_path: Path) -> None:
    write_task(tmp_path, {**recipe_values(), "lora": {"rank": 0}})
    done = relaytune(tmp_path, "doctor", "recipe.yaml")
    assert "lora.rank" in refusal(done, exit_code=2)
    assert done.stdout == ""


def test_without_torch_that_is_one_failed_line(tmp_path: Path) -> None:
    # an environment with everything but torch: -S leaves the real one off the path
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().startswith(("torch", "_", "distutils")) and entry.suffix != ".pth":
            (tmp_path / entry.name).symlink_to(entry)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "relaytune", "doctor", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    checks = {row["check"]: row for row in json.loads(done.stdout)}
    failed = {name: row for name, row in checks.items() if row["state"] == "failed"}
    assert list(failed) == ["torch"]
    assert failed["torch"]["seen"] == "not installed"
    assert "--torch-backend=" in failed["torch"]["advice"]
    assert "LoRA step" not in checks
