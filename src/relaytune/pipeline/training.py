"""The training stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relaytune.core.results import Plan, read_result
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job


def train_stage(job: Job) -> None:
    """Train one session, unless the adapter is up to date."""
    made_from = inputs(job, "training rows", "validation rows", "lora", "training", "precision")

    def work() -> Sequence[Path]:
        from relaytune.training.session import train

        return train(job.recipe, job.run, job.screen)

    device = read_result(job.run.plan, Plan).hardware.device
    job.make(job.stage("train", {**made_from, **job.model_identity}), work, device)
