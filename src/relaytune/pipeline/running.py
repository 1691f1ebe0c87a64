"""`relaytune run`: everything, in order."""

from __future__ import annotations

from relaytune.core.results import Verdict
from relaytune.pipeline.auditing import check_and_audit
from relaytune.pipeline.concluding import decide_stage, package_stage, report_stage
from relaytune.pipeline.evaluating import evaluate_prompts_stage, evaluate_tuned_stage
from relaytune.pipeline.job import Job
from relaytune.pipeline.preparing import plan_stage
from relaytune.pipeline.training import train_stage


def run_all(job: Job) -> Verdict | None:
    """From rows to verdict, report and package; what is up to date is skipped.

    None where the session ended before training did.
    """
    from relaytune.decision import prompt_suffices

    check_and_audit(job)
    plan_stage(job)
    prompts = evaluate_prompts_stage(job)
    enough = prompt_suffices(job.recipe, prompts)
    job.screen.say(enough or "No prompt alone meets the rule: training has something to win.")
    if not train_stage(job):
        return None
    evaluate_tuned_stage(job)
    verdict = decide_stage(job)
    report_stage(job)
    package_stage(job)
    return verdict
