from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from relaytune.core.errors import RunError
from relaytune.core.files import write_jsonl
from relaytune.core.lineage import read_metrics
from relaytune.core.results import TrainingStep
from relaytune.core.run_folder import METRICS, RunFolder

STEP = TrainingStep(1, 8, 512, 1.25, 2e-5, 0.7, 3.5)


def write_steps(run: RunFolder, session: int, *steps: TrainingStep) -> None:
    write_jsonl(run.session(session) / METRICS, [asdict(step) for step in steps])


def test_metrics_are_read_step_by_step(tmp_path: Path) -> None:
    run, steps = RunFolder(tmp_path), [STEP, replace(STEP, step=2, validation_loss=1.125)]
    assert read_metrics(run) == []
    write_steps(run, 1, *steps)
    run.session(2).mkdir()  # of a session that has not made a step
    assert read_metrics(run) == steps


def test_steps_that_a_session_lost_count_as_the_next_one_made_them(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    first = [replace(STEP, step=number) for number in (1, 2, 3, 4)]
    second = [replace(STEP, step=number, train_loss=0.5) for number in (3, 4, 5)]
    write_steps(run, 1, *first)
    write_steps(run, 2, *second)
    write_steps(run, 3)
    assert read_metrics(run) == [*first[:2], *second]


def test_a_line_that_a_killed_session_left_half_written_does_not_count(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_steps(run, 1, STEP)
    with (run.session(1) / METRICS).open("a") as file:
        file.write('{"step": 2, "num_ex')
    assert read_metrics(run) == [STEP]


def test_foreign_metrics_are_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_jsonl(run.session(1) / METRICS, [asdict(STEP), {"loss": 1.0}])
    with pytest.raises(RunError, match=r"metrics\.jsonl: not rows of TrainingStep .*1\.step: Field required"):
        read_metrics(run)
