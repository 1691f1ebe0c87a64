"""What the run folder tells of its sessions is what the handoff tells, whoever was killed here before."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from relaytune.core.files import write_json, write_jsonl
from relaytune.core.lineage import SessionRecord, read_metrics, read_sessions
from relaytune.core.results import TrainingStep
from relaytune.core.run_folder import METRICS, RunFolder
from relaytune.training.manifest import Manifest
from relaytune.training.relay import unpack_sessions
from small_handoff import small_manifest


def record(number: int, first: int, last: int, its_id: str = "") -> SessionRecord:
    return SessionRecord(
        id=its_id or f"session {number}",
        number=number,
        start="resume",
        machine="",
        device="cpu",
        precision="float32",
        libraries={},
        first_step=first,
        lost_steps=0,
        last_step=last,
        began_at="",
        saved_at="",
        seconds=1.0,
        ended="not yet",
    )


def steps(first: int, last: int, loss: float) -> list[TrainingStep]:
    return [TrainingStep(step, step, step, loss, 0.1, 1.0, 1.0) for step in range(first + 1, last + 1)]


def handed_on(folder: Path, *records: SessionRecord) -> Manifest:
    write_jsonl(folder / METRICS, (asdict(step) for step in steps(0, records[-1].last_step, loss=1.0)))
    return small_manifest(records[-1].last_step, lineage=records)


def told_here(run: RunFolder, its: SessionRecord, up_to: int) -> None:
    write_jsonl(run.session(its.number) / METRICS, (asdict(step) for step in steps(its.first_step, up_to, loss=2.0)))
    write_json(run.session(its.number) / "session.json", its.model_dump(mode="json"))
    write_json(run.session(its.number) / "environment.json", {})


def test_a_session_given_up_here_makes_room_for_the_one_of_its_number_elsewhere(tmp_path: Path) -> None:
    run, first = RunFolder(tmp_path / "run"), record(1, 0, 3)
    told_here(run, first, up_to=3)
    told_here(run, record(2, 3, 5, its_id="given up"), up_to=6)
    elsewhere = record(2, 3, 9)
    manifest = handed_on(tmp_path / "handoff", first, elsewhere)
    unpack_sessions(run, tmp_path / "handoff", manifest)
    assert read_sessions(run) == [first, elsewhere]
    assert [step.step for step in read_metrics(run)] == list(range(1, 10))
    assert [step.train_loss for step in read_metrics(run)] == [2.0] * 3 + [1.0] * 6
    assert not (run.session(2) / "environment.json").exists()  # of another machine
    assert (run.session(1) / "environment.json").exists()


def test_a_session_killed_between_its_handoff_and_its_record_gets_the_record(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    told_here(run, record(1, 0, 3), up_to=6)
    unpack_sessions(run, tmp_path / "handoff", handed_on(tmp_path / "handoff", record(1, 0, 5)))
    assert read_sessions(run) == [record(1, 0, 5)]
    assert [step.step for step in read_metrics(run)] == list(range(1, 6))
    assert (run.session(1) / "environment.json").exists()
