"""The training stage."""

from __future__ import annotations

from relaytune.core.results import Plan, read_result
from relaytune.pipeline.job import Job


def train_stage(job: Job) -> None:
    """Train one session, unless the adapter is up to date."""
    plan = read_result(job.run.plan, Plan)
    sections = job.sections
    inputs = {
        "training rows": job.rows_hash(job.run.train),
        "validation rows": job.rows_hash(job.run.validation),
        "lora": sections["lora"],
        "training": sections["training"],
        "precision": plan.precision,
        **job.model_identity,
    }

    def work():  # type: ignore[no-untyped-def]
        from relaytune.training.session import train

        return train(job.recipe, job.run, job.screen)

    job.make(job.stage("train", inputs), work, plan.hardware.device)
