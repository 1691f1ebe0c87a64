"""The training stage."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from relaytune.core.results import Plan, read_result
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job


def train_stage(job: Job) -> bool:
    """Train one session, unless the adapter is up to date.

    Returns whether to go on: training is finished, and no signal asked to stop.
    """
    made_from = inputs(job, "training rows", "validation rows", "lora", "training")
    if job.recipe.training.label_weight != 1:  # which tokens weigh more follows from the contract
        made_from |= inputs(job, "contract")
    stage = job.stage("train", {**made_from, **job.model_identity})
    # what was trained from something else makes room; what was stopped, or lost a file, goes on from its handoff
    anew, stopped = stage.inputs_changed(), False

    def work() -> Sequence[Path] | None:
        from relaytune.training.session import train

        nonlocal stopped
        job.loaded.answerer = None  # the memory is needed
        if anew:
            for path in (job.run.handoffs, job.run.sessions, job.run.adapter):
                shutil.rmtree(path, ignore_errors=True)
            job.run.training.unlink(missing_ok=True)
        files, stopped = train(job.recipe, job.run, job.screen, job.began)
        return files

    device = read_result(job.run.plan, Plan).hardware.device
    finished = job.make(stage, work, device)
    if finished and stopped:
        job.screen.say("Asked to stop: training is finished, nothing after it was begun. The same command goes on.")
    return finished and not stopped
