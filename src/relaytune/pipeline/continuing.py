"""The next session of a run, on a machine that is lent."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from relaytune.core.audit import AuditResult
from relaytune.core.errors import MachineError, RunError, StoreError, UsageError
from relaytune.core.records import data_hash, read_examples
from relaytune.core.results import Plan, read_result
from relaytune.notebooks.notebook import NextSession, Notebook, write_notebook
from relaytune.notebooks.platforms import Platform, survives
from relaytune.pipeline.auditing import refuse_at_gate
from relaytune.pipeline.job import Job
from relaytune.pipeline.standing import DONE, NOT_MADE, refuse_outdated, standing
from relaytune.training.manifest import Manifest, handoffs_in, read_manifest, refuse_foreign, training_settings

PATIENCE_SECONDS = 5.0  # with a store that is only asked where the run stands


def write_next_session(job: Job, platform: Platform) -> Notebook:
    """Write the run's next session as a notebook, into `notebook/` of the run folder.

    Raises:
        UsageError: the recipe names no store, or a base model that only this machine has.
        RunError: the run is finished, or the data have changed since it began.
        HandoffError: the last handoff is damaged, or was made with other settings.
        DataError: a data file cannot be read.
    """
    _refuse_what_stays_here(job, platform)
    states = {row.stage: row.state for row in standing(job)}
    if states["check"] not in (DONE, NOT_MADE):
        raise RunError(
            f"{job.run.path}: the frozen rows are not up to date ({states['check']}). Run `{job.command('check')}`, "
            "then this again."
        )
    if states["check"] == NOT_MADE:
        job.screen.say(
            f"The data are not checked yet; `{job.command('check')}` finds their faults before a session does."
        )
    manifest = _last_handoff(job, rows_are_frozen=states["check"] == DONE)
    if states["train"] == DONE or (manifest is not None and manifest.finished):
        raise RunError(
            f"{job.run.path}: this run is finished, it has no next session. `{job.command('run')}` evaluates and "
            "decides; another `name` in the recipe begins a new run."
        )
    session = NextSession(len(manifest.lineage) + 1 if manifest else 1, _stands(job, manifest), _command(job, platform))
    return write_notebook(job.run.notebook, job.recipe, job.recipe_path.parent, session, platform, _carried(job))


def _carried(job: Job) -> list[Path]:
    """Files of the run folder that the next machine needs to train on the same rows: it has no sources to audit with.

    Raises:
        RunError: the recipe names sources, and the audit is not up to date.
        DataError: the gate refuses the data.
    """
    if job.recipe.data.facts is not None:
        refuse_outdated(job, "audit")
        refuse_at_gate(job, read_result(job.run.audit_result, AuditResult))
    files = [job.run.quarantine, job.run.audit_result, job.run.provenance("audit")]
    return [path.relative_to(job.run.path) for path in files if path.is_file()]


def _refuse_what_stays_here(job: Job, platform: Platform) -> None:
    store, model = job.recipe.session.store, job.recipe.base_model.name
    if store is None:
        raise UsageError(
            f"{job.recipe_path}: session.store is not set, and a handoff that lies only on the notebook's machine is "
            "gone with it. Name a place that outlives it: --set session.store=s3://bucket/path (or gs://, hf://, for "
            "Colab a folder in /content/drive/MyDrive), here and in every later command, or once in the recipe."
        )
    if not survives(store, platform):
        job.screen.say(
            f"session.store is the folder {store}: unless the notebook's machine mounts something there that stays, "
            "the handoff is gone when the session ends."
        )
    if Path(model).expanduser().exists():
        raise UsageError(
            f"base_model.name: {model} lies on this machine; the notebook's has no such file. Name a hub id or a "
            "package, or attach the files there and name their place: --set base_model.name=/kaggle/input/…"
        )


def _last_handoff(job: Job, rows_are_frozen: bool) -> Manifest | None:
    """The manifest of the run's last handoff, if it belongs to this recipe and these rows."""
    last = _last_place(job)
    if last is None:
        return None
    where, manifest = last
    # weights and template are compared where the base model is
    ours: dict[str, Any] = {
        "lora": job.recipe.lora.model_dump(mode="json"),
        "training": training_settings(job.recipe),
    }
    if rows_are_frozen:
        ours |= {
            "training_rows": data_hash(read_examples(job.run.train)),
            "validation_rows": data_hash(read_examples(job.run.validation)),
        }
    refuse_foreign(where, manifest, manifest.identity.model_copy(update=ours))
    return manifest


def _last_place(job: Job) -> tuple[str, Manifest] | None:
    """The last handoff in the store, where the notebook will look for it; where the store cannot be read from here (it
    need not be within reach of this machine), the last one of this folder.
    """
    from relaytune.training.lease import last_manifest
    from relaytune.training.store import Store

    assert job.recipe.session.store is not None
    here = next(((str(folder), read_manifest(folder)) for folder in handoffs_in(job.run.handoffs)[-1:]), None)
    try:
        store = Store.of_run(job.recipe.session.store, job.run.path.name)
        store.patience_seconds = PATIENCE_SECONDS
        published = last_manifest(store)
    except (StoreError, MachineError) as error:
        job.screen.say(
            f"The store cannot be read from here, so the notebook tells where {job.run.path} stands. {error}"
        )
        return here
    if here and here[1].step > (published[1].step if published else 0):
        job.screen.say(
            f"{here[0]} lies only on this machine, and the notebook will not find it: `{job.command('train')}` "
            "publishes it, if no other session has gone on meanwhile."
        )
    return published


def _stands(job: Job, manifest: Manifest | None) -> str:
    if manifest is None:
        planned = f"{read_result(job.run.plan, Plan).num_steps} steps" if job.run.plan.exists() else "not planned yet"
        return f"The run begins with it ({planned})."
    last = manifest.lineage[-1]
    end = "was still running" if last.ended == "not yet" else f"ended ({last.ended})"
    return (
        f"The run stands at step {manifest.step} of {manifest.planned_steps}. Session {last.number} ({last.start}) on "
        f"{last.machine} ({last.device}) saved it at {last.saved_at} and {end}. The adapter to keep so far "
        f"is that of step {manifest.best_step}, with a validation loss of {manifest.best_validation_loss:.3f}."
    )


def _command(job: Job, platform: Platform) -> str:
    """As typed, but without the folders of this machine."""
    words = ["relaytune", "notebook", job.recipe_path.name, "--for", platform.value]
    return shlex.join([*words, *(word for override in job.overrides for word in ("--set", override))])
