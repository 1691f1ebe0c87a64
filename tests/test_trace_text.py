"""What `relaytune trace` prints: the first of what was found, and how much more there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from command_line import write_task
from relaytune.cli_text import trace_text
from relaytune.core.screen import Screen
from relaytune.core.traces import Method, Standing, Trace, TracedAnswer, TracedRow
from relaytune.pipeline import Job, open_job

FEE = "The fee is 85 EUR."


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return open_job(write_task(tmp_path), tmp_path / "runs", (), Screen.silent())


def row(line: int, taught: bool = False, gradient: float = 0.5) -> TracedRow:
    by: dict[Method, Standing] = {"words": Standing(9.0 - line, line), "gradients": Standing(gradient, line)}
    shows = {"states": ("85 EUR",), "claims": (), "shares": (), "speaks_of": ()}
    return TracedRow(
        f"row-{line}", f"train.jsonl:{line}", "Fee?", FEE, by, **shows, audit=None, taught=taught, alike=()
    )


def answer(line: int, *rows: TracedRow) -> TracedAnswer:
    return TracedAnswer(
        f"held-{line}", f"held_out.jsonl:{line}", "tuned", "Fee?", FEE, "70 EUR", "85, not 70", ("85 EUR",), 50, rows
    )


def trace(*answers: TracedAnswer) -> Trace:
    return Trace(answers, 100, ("words", "gradients"), {})


def test_of_an_answer_the_first_three_rows_and_all_that_taught_it_are_shown_and_the_rest_counted(job: Job) -> None:
    rows = [row(line, taught=line in (2, 7)) for line in range(1, 21)]
    shown = trace_text(job, trace(answer(1, *rows)))
    places = [line.split()[:2] for line in shown.splitlines() if "train.jsonl:" in line]
    assert places == [
        ["1.", "train.jsonl:1"],
        ["2.", "train.jsonl:2"],
        ["3.", "train.jsonl:3"],
        ["7.", "train.jsonl:7"],
    ]
    assert "  16 more rows in trace.json" in shown
    assert "more row" not in trace_text(job, trace(answer(1, *rows[:3])))


def test_ten_answers_are_shown_and_the_rest_counted_with_the_rows_that_taught_them(job: Job) -> None:
    answers = [answer(line, row(line, taught=True)) for line in range(1, 14)]
    shown = trace_text(job, trace(*answers))
    assert "held_out.jsonl:10" in shown
    assert "held_out.jsonl:11" not in shown
    assert "In trace.json only: 3 more wrong answers with the rows behind them." in shown
    assert "Take the 13 marked rows out of training" in shown
    assert "more wrong answer" not in trace_text(job, trace(*answers[:10]))


def test_what_a_gradient_means_is_said_once_and_only_where_there_are_gradients(job: Job) -> None:
    found = trace(answer(1, row(1), row(2, gradient=-0.25)), answer(2, row(3)))
    shown = " ".join(trace_text(job, found).split())
    assert shown.count("training on the row makes the wrong answer likelier") == 1
    assert "gradient +0.50, rank 1 of 50" in shown
    assert "gradient -0.25, rank 2 of 50" in shown
    assert "likelier" not in trace_text(job, replace(found, methods=("words",)))
