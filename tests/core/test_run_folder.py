from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from relaytune.core.files import read_json, write_json, write_text
from relaytune.core.results import read_result
from relaytune.core.run_folder import Provenance, RunFolder, Stage, library_versions, source_commit

INPUTS: dict[str, Any] = {"data": "d" * 64, "training": {"seed": 0, "rank": 8}}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "tickets")


def _stage(run: RunFolder, **changes: Any) -> Stage:
    return Stage(run, "plan", {**INPUTS, **changes}, recipe_hash="r" * 64, seed=7)


def _made(run: RunFolder) -> None:
    stage = _stage(run)
    stage.forget()
    write_text(run.plan, "{}")
    write_text(run.train, "rows")
    stage.done([run.plan, run.train])


def test_a_stage_is_stale_until_it_was_made_and_then_up_to_date(run: RunFolder) -> None:
    assert _stage(run).stale_because() == "not made yet"
    _made(run)
    assert _stage(run).stale_because() == ""


def test_the_order_of_keys_in_an_input_makes_nothing_stale(run: RunFolder) -> None:
    _made(run)
    assert _stage(run, training={"rank": 8, "seed": 0}).stale_because() == ""


def test_a_changed_input_makes_a_stage_stale_and_is_named(run: RunFolder) -> None:
    _made(run)
    assert _stage(run, training={"seed": 1, "rank": 8}).stale_because() == "changed: training"
    assert _stage(run, data="e" * 64, training={}).stale_because() == "changed: data, training"


def test_an_added_or_removed_input_is_a_changed_input(run: RunFolder) -> None:
    _made(run)
    assert _stage(run, hardware="h" * 64).stale_because() == "changed: hardware"
    fewer = Stage(run, "plan", {"data": INPUTS["data"]}, recipe_hash="r" * 64, seed=7)
    assert fewer.stale_because() == "changed: training"


def test_a_missing_output_makes_a_stage_stale_and_is_named(run: RunFolder) -> None:
    _made(run)
    run.train.unlink()
    assert _stage(run).stale_because() == "data/train.jsonl is missing"


def test_an_altered_output_makes_a_stage_stale_and_is_named(run: RunFolder) -> None:
    _made(run)
    write_text(run.plan, '{"num_steps": 1}')
    assert _stage(run).stale_because() == "plan.json was altered"


def test_a_stage_cut_short_is_never_taken_for_a_finished_one(run: RunFolder) -> None:
    _made(run)
    _stage(run).forget()  # and then the power fails
    assert _stage(run).stale_because() == "not made yet"


def test_forgetting_a_stage_that_was_never_made_does_nothing(run: RunFolder) -> None:
    _stage(run).forget()
    assert not run.path.exists()


def test_stages_do_not_know_each_others_records(run: RunFolder) -> None:
    _made(run)
    assert Stage(run, "evaluate", INPUTS, "r" * 64, 7).stale_because() == "not made yet"


@pytest.mark.parametrize("record", ["not json", "[]", '{"stage": "plan"}'])
def test_a_stage_whose_record_cannot_be_read_is_made_anew(run: RunFolder, record: str) -> None:
    _made(run)
    write_text(run.provenance("plan"), record)
    assert _stage(run).stale_because() == "the record of its making cannot be read"


def test_the_record_says_how_the_files_came_to_be(run: RunFolder) -> None:
    stage = _stage(run)
    write_json(run.plan, {})
    stage.done([run.plan], device="cuda", gpu="H100")
    record = read_result(run.provenance("plan"), Provenance)
    assert (record.stage, record.recipe_hash, record.seed, record.device) == ("plan", "r" * 64, 7, "cuda")
    assert set(record.inputs) == {"data", "training"}
    assert list(record.outputs) == ["plan.json"]
    assert record.details == {"gpu": "H100"}
    assert record.libraries["pydantic"] == library_versions()["pydantic"]
    assert record.finished_at.endswith("+00:00")


def test_a_checkout_is_named_by_its_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = tmp_path / "package" / "run_folder.py"
    module.parent.mkdir()
    module.write_text("")
    monkeypatch.setattr("relaytune.core.run_folder.__file__", str(module))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message=first"], check=True)
    assert source_commit() == ""  # it lies in a checkout that does not hold it
    subprocess.run([*git, "add", "package"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=second"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert source_commit() == head
    module.write_text("changed\n")
    assert source_commit() == f"{head}-dirty"


def test_the_record_does_not_hold_where_the_run_lies(run: RunFolder) -> None:
    _made(run)
    assert str(run.path) not in str(read_json(run.provenance("plan")))


def test_a_run_moved_elsewhere_is_still_up_to_date(run: RunFolder) -> None:
    _made(run)
    moved = RunFolder(run.path.with_name("moved"))
    run.path.rename(moved.path)
    assert _stage(moved).stale_because() == ""
