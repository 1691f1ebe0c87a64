"""Where a run stands, read from its folder alone."""

from __future__ import annotations

from dataclasses import dataclass

from relaytune.core.errors import RunError
from relaytune.core.files import read_json, sha256_of_file
from relaytune.pipeline.job import Job

# stage → the command that makes it
STAGES = {
    "check": "check",
    "plan": "plan",
    "base": "evaluate",
    "few_shot": "evaluate",
    "score_prompts": "evaluate",
    "train": "train",
    "tuned": "evaluate",
    "score": "evaluate",
    "decide": "decide",
    "report": "report",
    "package": "package",
}


@dataclass(frozen=True)
class StageStanding:
    """One stage: done, made from another recipe, damaged, or not made yet."""

    stage: str
    command: str
    state: str
    finished_at: str = ""
    wall_seconds: float = 0.0


def standing(job: Job) -> list[StageStanding]:
    """The state of every stage. Whether its inputs changed is judged by `relaytune run`, which looks at them all."""
    rows = []
    for stage, command in STAGES.items():
        path = job.run.provenance(stage)
        if not path.exists():
            rows.append(StageStanding(stage, command, "not made yet"))
            continue
        try:
            record = read_json(path)
        except RunError:
            rows.append(StageStanding(stage, command, "record unreadable"))
            continue
        damaged = [
            name
            for name, sha256 in record["outputs"].items()
            if not (file := job.run.path / name).is_file() or sha256_of_file(file) != sha256
        ]
        state = f"altered or missing: {', '.join(damaged)}" if damaged else "done"
        if state == "done" and record["recipe_hash"] != job.recipe.hash:
            state = "done, under an earlier recipe"
        rows.append(StageStanding(stage, command, state, record["finished_at"], record["wall_seconds"]))
    return rows
