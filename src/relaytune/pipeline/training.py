"""The training stage."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from relaytune.core.results import Plan, read_result
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job


def train_stage(job: Job) -> bool:
    """Train one session, unless the adapter is up to date; returns whether the run's training is finished."""
    made_from = inputs(job, "training rows", "validation rows", "lora", "training", "precision")
    # a training that was finished and is stale by now begins anew; one that was stopped goes on
    anew = job.run.provenance("train").exists()

    def work() -> Sequence[Path] | None:
        from relaytune.training.session import train

        if anew:
            for path in (job.run.handoffs, job.run.sessions, job.run.adapter):
                shutil.rmtree(path, ignore_errors=True)
            job.run.training.unlink(missing_ok=True)
        return train(job.recipe, job.run, job.screen)

    device = read_result(job.run.plan, Plan).hardware.device
    return job.make(job.stage("train", {**made_from, **job.model_identity}), work, device)
