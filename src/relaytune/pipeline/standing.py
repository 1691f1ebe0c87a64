"""Where a run stands, read from its folder, the recipe and the data files; the base model is not needed."""

from __future__ import annotations

from dataclasses import dataclass

from relaytune.core.errors import RelaytuneError, RunError
from relaytune.core.files import sha256_of_file
from relaytune.core.lineage import Stretch, read_metrics, read_sessions, stretches
from relaytune.core.results import read_result
from relaytune.core.run_folder import Provenance
from relaytune.pipeline.inputs import changed_inputs
from relaytune.pipeline.job import Job

# stage → the command that makes it
STAGES = {
    "check": "check",
    "audit": "audit",
    "plan": "plan",
    "base": "evaluate",
    "few_shot": "evaluate",
    "imported": "evaluate",
    "score_prompts": "evaluate",
    "train": "train",
    "tuned": "evaluate",
    "judge": "judge",
    "factuality": "evaluate",
    "score": "evaluate",
    "method_or_data": "evaluate",
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


@dataclass(frozen=True)
class StoreStanding:
    """What a store holds of a run, and who holds the run there."""

    url: str
    last_step: int | None  # of the last handoff that is there; None where there is none
    published_at: str
    holder: str  # the machine of a session that began and has not ended; empty where there is none
    silent_seconds: float  # since the holder was heard of
    alive: bool  # whether its lease has not expired


def standing(job: Job) -> list[StageStanding]:
    """The state of every stage. Another base model or machine is noticed by `relaytune run` only."""
    return [_stage_standing(job, stage) for stage in stages_of(job)]


def stages_of(job: Job) -> list[str]:
    """The stages of this recipe: not every one imports answers, or has them judged."""
    absent = {
        **dict.fromkeys(("audit", "factuality", "method_or_data"), job.recipe.data.facts is None),
        "imported": not job.recipe.evaluation.imported,
        "judge": job.recipe.judging is None,
    }
    return [stage for stage in STAGES if not absent.get(stage)]


def lineage(job: Job) -> list[Stretch]:
    """The sessions of this run, as far as this folder knows them.

    Raises:
        RunError: another version of relaytune wrote them.
    """
    return stretches(read_sessions(job.run), read_metrics(job.run))


def store_standing(job: Job) -> StoreStanding | None:
    """What the run's store says; None where the recipe names none.

    Raises:
        StoreError: it does not answer.
    """
    from relaytune.training.lease import holder_of, latest_handoff, read_log
    from relaytune.training.store import Store

    if job.recipe.session.store is None:
        return None
    store = Store.of_run(job.recipe.session.store, job.run.path.name)
    _, entries = read_log(store)
    handoff, holder = latest_handoff(entries, store.names("handoffs")), holder_of(store, entries)
    return StoreStanding(
        store.url,
        handoff.step if handoff else None,
        handoff.at if handoff else "",
        holder.entry.machine if holder else "",
        holder.silent_seconds if holder else 0.0,
        holder.alive if holder else False,
    )


def refuse_outdated(job: Job, *stages: str, so_far: bool = False) -> None:
    """Refuse to conclude from files that were made from something else than what is there now.

    Raises:
        RunError: at least one of these stages is not up to date; `so_far` allows what was not made yet.
    """
    allowed = (DONE, NOT_MADE) if so_far else (DONE,)
    rows = [
        row for stage in stages if stage in stages_of(job) and (row := _stage_standing(job, stage)).state not in allowed
    ]
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
    if stage == "check" and "quarantine" not in record.inputs and job.run.quarantine.exists():
        changed.append("quarantine")
    state = "; ".join(
        [
            *([f"altered or missing: {', '.join(altered)}"] if altered else []),
            *([f"changed since: {', '.join(changed)}"] if changed else []),
        ]
    )
    return StageStanding(stage, command, state or DONE, record.finished_at, record.wall_seconds)
