"""What stages are made from, by the names that stand in their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from relaytune.core.errors import RelaytuneError
from relaytune.core.files import sha256_of_file, sha256_of_value
from relaytune.core.quarantine import read_quarantine
from relaytune.core.records import read_examples
from relaytune.core.results import Plan, read_result
from relaytune.core.run_folder import ADAPTER_WEIGHTS
from relaytune.pipeline.job import Job

Input = Callable[[Job], Any]


def _section(name: str) -> Input:
    return lambda job: job.sections[name]


def _data_file(split: str) -> Input:
    def value(job: Job) -> str:
        path: Path = job.recipe_path.parent / getattr(job.recipe.data, split)
        return sha256_of_file(path) if path.is_file() else "missing"

    return value


def _contract(job: Job) -> dict[str, Any]:
    # without a kind that is not used: what was made before that kind was thought of stays up to date
    return {name: value for name, value in job.sections["contract"].items() if name != "number" or value is not None}


def _training(job: Job) -> dict[str, Any]:
    # without a choice that is not made, for the same reason as in `_contract`
    return {name: value for name, value in job.sections["training"].items() if (name, value) != ("keep", "best")}


def _data(job: Job) -> dict[str, Any]:
    # the audit bears on the frozen rows through the quarantine alone
    return {name: value for name, value in job.sections["data"].items() if name != "facts"}


def _sources(job: Job) -> str:
    from relaytune.facts.reading import hash_documents

    facts = job.recipe.data.facts
    return "none" if facts is None else hash_documents(job.recipe_path.parent / facts.sources)


def _fact_labels(job: Job) -> str:
    facts = job.recipe.data.facts
    if facts is None or facts.human_labels is None:
        return "none"
    path = job.recipe_path.parent / facts.human_labels
    return sha256_of_file(path) if path.is_file() else "missing"


def _stratify_by(job: Job) -> str:
    facts = job.recipe.data.facts
    return (facts.stratify_by if facts else None) or "none"


def _audited_rows(job: Job) -> list[list[str]]:
    # before any is left out, so that what the audit takes out does not call for another audit
    files = [job.found(job.run.train, "check"), job.found(job.run.validation, "check")]
    files += [job.run.excluded] if job.run.excluded.exists() else []
    return sorted([row.id, row.source] for path in files for row in read_examples(path))


def taken_out_otherwise(job: Job) -> set[str]:
    """Ids of the rows that a trace or a person took out."""
    return {id for id, row in read_quarantine(job.run.quarantine).items() if row.by != "audit"}


def _witnesses(job: Job) -> dict[str, Any] | None:
    facts = job.recipe.data.facts
    return None if facts is None else facts.model_dump(mode="json", include={"passages", "entailment", "judge"})


def _human_labels(job: Job) -> str:
    judging = job.recipe.judging
    if judging is None or judging.human_labels is None:
        return "none"
    path = job.recipe_path.parent / judging.human_labels
    return sha256_of_file(path) if path.is_file() else "missing"


def _imported_files(job: Job) -> dict[str, str]:
    files = {name: job.recipe_path.parent / file for name, file in job.recipe.evaluation.imported.items()}
    return {name: sha256_of_file(path) if path.is_file() else "missing" for name, path in files.items()}


def _answers(contender: str) -> Input:
    return lambda job: job.file_hash(job.run.generation(contender), "evaluate")


def _record(stage: str) -> Input:
    return lambda job: job.file_hash(job.run.provenance(stage), "run")


def _adapter(job: Job) -> str:
    return job.file_hash(job.run.adapter / ADAPTER_WEIGHTS, "train")


# stages whose records the report and the package depend on
GENERATIONS = ("base", "few_shot", "tuned", "tuned_on_train", "base_on_general", "tuned_on_general")
RECORDED = (
    *("check", "audit", "plan", "base", "few_shot", "imported", "train", "tuned", "judge", "factuality", "score"),
    *("method_or_data", "decide"),
)

_INPUTS: Mapping[str, Input] = {
    **{name: _section(name) for name in ("task", "lora", "evaluation")},
    "data": _data,
    "facts": lambda job: job.sections["data"]["facts"],
    "sources": _sources,
    "witnesses": _witnesses,
    "audited answers": lambda job: job.file_hash(job.run.audit, "audit"),
    "checked answers": lambda job: job.file_hash(job.run.facts, "evaluate"),
    "scores": lambda job: job.file_hash(job.run.scores, "evaluate"),
    "method or data": lambda job: sha256_of_file(path) if (path := job.run.method_or_data).exists() else "not tested",
    "fact labels": _fact_labels,
    "stratify_by": _stratify_by,
    "audited rows": _audited_rows,
    "quarantine": lambda job: sha256_of_file(job.run.quarantine) if job.run.quarantine.exists() else "none",
    "rows taken out otherwise": lambda job: sorted(taken_out_otherwise(job)),
    "audit result": lambda job: job.file_hash(job.run.audit_result, "audit"),
    "training": _training,
    "contract": _contract,
    "few_shot settings": lambda job: job.sections["evaluation"]["few_shot"],
    "max_length": lambda job: str(job.recipe.training.max_length),
    "max_new_tokens": lambda job: str(job.recipe.evaluation.max_new_tokens),
    "seed": lambda job: str(job.recipe.training.seed),
    "judging": lambda job: job.sections["judging"],
    "human labels": _human_labels,
    "judgements": lambda job: job.file_hash(job.run.judgements, "judge"),
    "ratings": lambda job: job.file_hash(job.run.ratings, "judge"),
    "decoding": lambda job: [getattr(job.recipe.evaluation, name) for name in ("temperature", "top_p", "seed")],
    "saved with answers": lambda job: [
        "reference_nats" in job.recipe.evaluation.scorers_for(job.recipe.contract),
        job.recipe.evaluation.forgetting,
    ],
    "scorers": lambda job: [
        *job.recipe.criteria.metrics,
        job.recipe.evaluation.exclude_truncated,
        job.recipe.evaluation.bertscore_encoder,
        job.recipe.evaluation.bertscore_layer,
    ],
    "imported contenders": lambda job: list(job.recipe.evaluation.imported),
    "relatives": lambda job: [job.recipe.base_model.name, job.recipe.data.generator],
    "labels": lambda job: list(job.recipe.contract.allowed_labels),
    "rule": lambda job: job.recipe.decision.hash,
    "main metric": lambda job: job.recipe.criteria.main_metric,
    "recipe": lambda job: job.recipe.hash,
    "training file": _data_file("train"),
    "held-out file": _data_file("held_out"),
    "training rows": lambda job: job.rows_hash(job.run.train),
    "validation rows": lambda job: job.rows_hash(job.run.validation),
    "held-out rows": lambda job: job.rows_hash(job.run.held_out),
    "precision": lambda job: read_result(job.found(job.run.plan, "plan"), Plan).precision,
    "adapter": _adapter,
    "few_shot choice": lambda job: job.file_hash(job.run.few_shot_choice, "evaluate"),
    **{f"{name} answers": _answers(name) for name in GENERATIONS},
    "imported files": _imported_files,
    "evaluation result": lambda job: job.file_hash(job.run.evaluation, "evaluate"),
    "training result": lambda job: job.file_hash(job.run.training, "train"),
    "rule history": lambda job: job.file_hash(job.run.rule, "evaluate"),
    **{stage: _record(stage) for stage in RECORDED},
}


def inputs(job: Job, *names: str) -> dict[str, Any]:
    """The present values of these inputs.

    Raises:
        RunError: one of them has not been made yet; says by which command it is.
    """
    return {name: _input(name)(job) for name in names}


def _input(name: str) -> Input:
    # answers of contenders that the recipe imports have names of their own
    return _INPUTS.get(name) or _answers(name.removesuffix(" answers"))


def changed_inputs(job: Job, recorded: Mapping[str, str]) -> list[str]:
    """Which recorded inputs are others by now. The machine and the base model, are not asked."""
    return [name for name, value in recorded.items() if _is_known(name) and _present(job, name) != value]


def _is_known(name: str) -> bool:
    return name in _INPUTS or name.endswith(" answers")


def _present(job: Job, name: str) -> str:
    try:
        value = _input(name)(job)
    except RelaytuneError:
        return ""
    return value if isinstance(value, str) else sha256_of_value(value)
