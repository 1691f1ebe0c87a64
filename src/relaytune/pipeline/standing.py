"""Where a run stands, read from its folder, the recipe and the data files; the base model is not needed."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from relaytune.core.errors import RelaytuneError, RunError
from relaytune.core.files import read_json, sha256_of_file
from relaytune.core.results import read_result
from relaytune.core.run_folder import Provenance
from relaytune.pipeline.inputs import changed_inputs
from relaytune.pipeline.job import Job
from relaytune.training.manifest import SessionRecord

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
DONE, NOT_MADE = "done", "not made yet"


@dataclass(frozen=True)
class StageStanding:
    """One stage: done, not made yet, made from something that has changed since, or damaged."""

    stage: str
    command: str
    state: str
    finished_at: str = ""
    wall_seconds: float = 0.0


def standing(job: Job) -> list[StageStanding]:
    """The state of every stage. Another base model or machine is noticed by `relaytune run` only."""
    return [_stage_standing(job, stage) for stage in STAGES]


def sessions(job: Job) -> list[SessionRecord]:
    """What the sessions of this run did, as far as their last handoffs tell."""
    paths = [folder / "session.json" for folder in job.run.session_folders()]
    try:
        return [SessionRecord.model_validate(read_json(path)) for path in paths if path.is_file()]
    except ValidationError as error:
        raise RunError(
            f"{job.run.sessions}: not the sessions of this version of relaytune; another one trained this run. Use "
            "that one, or begin anew with another --runs."
        ) from error


def refuse_outdated(job: Job, *stages: str, so_far: bool = False) -> None:
    """Refuse to conclude from files that were made from something else than what is there now.

    Raises:
        RunError: at least one of these stages is not up to date; `so_far` allows what was not made yet.
    """
    allowed = (DONE, NOT_MADE) if so_far else (DONE,)
    rows = [row for stage in stages if (row := _stage_standing(job, stage)).state not in allowed]
    if rows:
        lines = [f"  - {row.stage} (made by `relaytune {row.command}`): {row.state}" for row in rows]
        advice = f"Run `{job.command('run')}`: it makes anew what has to be."
        raise RunError("\n".join([f"{job.run.path}: not up to date", *lines, advice]))


def _stage_standing(job: Job, stage: str) -> StageStanding:
    command, path = STAGES[stage], job.run.provenance(stage)
    if not path.exists():
        return StageStanding(stage, command, NOT_MADE)
    try:
        record = read_result(path, Provenance)
    except RelaytuneError:
        return StageStanding(stage, command, "the record of its making cannot be read")
    altered = [
        name
        for name, sha256 in record.outputs.items()
        if not (file := job.run.path / name).is_file() or sha256_of_file(file) != sha256
    ]
    changed = changed_inputs(job, record.inputs)
    state = "; ".join(
        [
            *([f"altered or missing: {', '.join(altered)}"] if altered else []),
            *([f"changed since: {', '.join(changed)}"] if changed else []),
        ]
    )
    return StageStanding(stage, command, state or DONE, record.finished_at, record.wall_seconds)
