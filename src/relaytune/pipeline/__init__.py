"""The stages in order, each skipped while it is up to date."""

from relaytune.pipeline.auditing import audit_stage, audited_text, check_and_audit, write_rows_to_label
from relaytune.pipeline.concluding import decide_stage, package_stage, report_stage
from relaytune.pipeline.continuing import write_next_session
from relaytune.pipeline.evaluating import evaluate_prompts_stage, evaluate_tuned_stage, judge_and_score
from relaytune.pipeline.job import Job, open_job
from relaytune.pipeline.preparing import check_stage, plan_stage
from relaytune.pipeline.running import run_all
from relaytune.pipeline.standing import StageStanding, StoreStanding, lineage, standing, store_standing
from relaytune.pipeline.tracing import quarantine_traced, trace_stage
from relaytune.pipeline.training import train_stage

__all__ = [
    "Job",
    "StageStanding",
    "StoreStanding",
    "audit_stage",
    "audited_text",
    "check_and_audit",
    "check_stage",
    "decide_stage",
    "evaluate_prompts_stage",
    "evaluate_tuned_stage",
    "judge_and_score",
    "lineage",
    "open_job",
    "package_stage",
    "plan_stage",
    "quarantine_traced",
    "report_stage",
    "run_all",
    "standing",
    "store_standing",
    "trace_stage",
    "train_stage",
    "write_next_session",
    "write_rows_to_label",
]
