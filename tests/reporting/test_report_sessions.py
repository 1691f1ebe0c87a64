from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from report_page import section

from finished_run import build_run
from relaytune.core.files import write_json, write_jsonl
from relaytune.core.lineage import SessionRecord, read_metrics
from relaytune.reporting import write_report


def test_the_sessions_of_a_run_stand_with_losses_on_both_sides_of_each_seam(tmp_path: Path) -> None:
    run = build_run(tmp_path / "tickets")
    steps = read_metrics(run)
    seam, last = 60, steps[-1].step
    for number, (first, end) in enumerate(((0, seam), (seam, last)), start=1):
        record = SessionRecord(
            id=f"{number}", number=number, start="continue" if first else "new", machine=f"machine {number}",
            device="cpu", precision="float32", libraries={}, first_step=first, last_step=end,
            lost_steps=4 * (number - 1), began_at="2026-11-21T09:00:00+00:00",
            saved_at="2026-11-21T10:00:00+00:00", seconds=3600.0,
            ended="finished" if first else "limit",
        )  # fmt: skip
        write_json(run.session(number) / "session.json", record.model_dump(mode="json"))
        own = [asdict(step) for step in steps if first < step.step <= end]
        write_jsonl(run.session(number) / "metrics.jsonl", own)
    sessions = section(run, "sessions")
    before, after = (
        sum(step.train_loss or 0 for step in around) / 5 for around in (steps[seam - 5 : seam], steps[seam : seam + 5])
    )
    assert "The run was trained in 2 sessions" in sessions
    assert f"2 continue {seam + 1} to {last} 1 h 0 min {before:.3f} {after:.3f} → " in sessions
    assert "4 machine 2 cpu, float32 finished 2026-11-21 10:00 UTC" in sessions
    assert write_report(run).read_text(encoding="utf-8").count('class="seam"') == 2  # losses and learning rate
