"""The verdict, the report and the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relaytune.core.audit import AuditResult
from relaytune.core.files import read_json, write_text
from relaytune.core.lineage import read_metrics
from relaytune.core.method_or_data import MethodOrData
from relaytune.core.records import Finding, read_examples
from relaytune.core.results import (
    EvaluationResult,
    TrainingResult,
    Verdict,
    read_result,
    write_result,
)
from relaytune.core.run_folder import Stage
from relaytune.pipeline.evaluating import rule_changed_after_evaluation, rule_history, store_rule
from relaytune.pipeline.inputs import RECORDED, inputs
from relaytune.pipeline.job import Job
from relaytune.pipeline.standing import refuse_outdated

EVIDENCE = ("check", "audit", "base", "few_shot", "imported", "train", "tuned", "judge", "factuality", "score")


def decide_stage(job: Job) -> Verdict:
    """Apply the recipe's rule to the evaluation; writes verdict.json and verdict.md.

    Raises:
        RunError: training or evaluation is missing, or out of date.
    """
    evidence = inputs(job, "training result", "evaluation result", "training rows")
    if job.recipe.data.facts:
        evidence |= inputs(job, "audit result")
    refuse_outdated(job, *EVIDENCE)
    refuse_outdated(job, "method_or_data", so_far=True)
    store_rule(job)
    stage = job.stage("decide", {**evidence, **inputs(job, "rule", "rule history", "recipe", "method or data")})
    job.make(stage, lambda: _decide(job))
    return read_result(job.run.verdict, Verdict)


def _decide(job: Job) -> Sequence[Path]:
    from relaytune.decision import decide
    from relaytune.note import verdict_markdown

    run = job.run
    evaluation = read_result(run.evaluation, EvaluationResult)
    training = read_result(run.training, TrainingResult)
    steps = read_metrics(run)
    verdict = decide(
        job.recipe,
        evaluation,
        training,
        steps,
        tuple(rule_history(job)),
        rule_changed_after_evaluation(job),
        _contradictions(job),
    )
    # looks of an earlier version do not name their adapter: each counts as another
    adapters = {look.get("adapter", look["at"]) for look in read_json(run.looks) if look["contender"] == "tuned"}
    if len(adapters) > 1:
        risk = (
            f"the held-out rows have been answered by {len(adapters)} tuned adapters of this run; each further look "
            "makes the best result look better than it is"
        )
        verdict = replace(verdict, remaining_risks=(*verdict.remaining_risks, risk))
    write_result(run.verdict, verdict)
    audited = read_result(run.audit_result, AuditResult) if job.recipe.data.facts else None
    tested = read_result(run.method_or_data, MethodOrData) if run.method_or_data.exists() else None
    write_text(run.verdict_text, verdict_markdown(verdict, evaluation, job.recipe, audited, tested))
    return [run.verdict, run.verdict_text]


def _contradictions(job: Job) -> list[Finding]:
    """Training rows that are nearly alike and answered differently, which a model cannot learn."""
    from relaytune.core.contract import read_answer
    from relaytune.data.duplicates import near_contradictions
    from relaytune.data.rendering import literal_ends

    train, contract = read_examples(job.run.train), job.recipe.contract
    answers = {example.id: read_answer(contract, example.completion) for example in train}
    return near_contradictions(train, answers, contract, literal_ends(job.recipe.task.input or ""))


def report_stage(job: Job) -> Path:
    """Write report.html from what the run folder holds by now.

    Raises:
        RunError: there are no data yet, or something in the folder is out of date.
    """
    inputs(job, "held-out rows")
    refuse_outdated(job, *EVIDENCE, so_far=not job.run.evaluation.exists())
    refuse_outdated(job, "score_prompts", "method_or_data", "decide", so_far=True)

    def work() -> Sequence[Path]:
        from relaytune.reporting import write_report

        return [write_report(job.run)]

    job.make(_closing_stage(job, "report"), work)
    return job.run.report


def package_stage(job: Job) -> Path:
    """Write package/: the adapter with everything that says what it is.

    Raises:
        RunError: there is no verdict yet, or something in the folder is out of date.
    """
    job.found(job.run.verdict, "decide")
    refuse_outdated(job, *EVIDENCE, "decide")

    def work() -> Sequence[Path]:
        from relaytune.packaging import write_package

        return sorted(path for path in write_package(job.run).rglob("*") if path.is_file())

    job.make(_closing_stage(job, "package"), work)
    return job.run.package


def _closing_stage(job: Job, name: str) -> Stage:
    """A stage that depends on whatever the earlier stages have recorded."""
    earlier = [stage for stage in RECORDED if job.run.provenance(stage).exists()]
    return job.stage(name, inputs(job, *earlier, "recipe"))
