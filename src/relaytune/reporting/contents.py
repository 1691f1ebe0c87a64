"""What a run folder holds, read for the report. A part that is not there yet is None, never an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from relaytune.core.audit import AuditedAnswer, AuditResult
from relaytune.core.catalog import read_catalog
from relaytune.core.errors import RunError
from relaytune.core.files import read_json, read_jsonl, sha256_of_file
from relaytune.core.lineage import Stretch, read_metrics, read_sessions, stretches
from relaytune.core.method_or_data import MethodOrData
from relaytune.core.recipe import Recipe, load_recipe
from relaytune.core.records import (
    Example,
    Finding,
    Generation,
    Judgement,
    Score,
    read_examples,
    read_generations,
    read_judgements,
)
from relaytune.core.results import (
    EvaluationResult,
    Plan,
    TrainingResult,
    TrainingStep,
    Verdict,
    read_result,
)
from relaytune.core.run_folder import Provenance, RunFolder

Record = TypeVar("Record")


@dataclass(frozen=True)
class CheckedData:
    """The findings of the check, and how many training rows it left out."""

    findings: tuple[Finding, ...]
    num_dropped: int


@dataclass(frozen=True)
class RunContents:
    """Everything that the report is made of."""

    recipe: Recipe
    checked: CheckedData | None
    splits: Mapping[str, list[Example] | None]  # train, validation, held_out
    split_hashes: Mapping[str, str]  # sha256 of each split's file, where there is one
    plan: Plan | None
    training: TrainingResult | None
    steps: tuple[TrainingStep, ...]
    sessions: tuple[Stretch, ...]
    environment: Any
    generations: Mapping[str, Mapping[str, Generation]]  # contender → example id → its answer
    scores: Mapping[tuple[str, str, str], Score]  # (contender, scorer, example id) → its score
    judgements: tuple[Judgement, ...]
    evaluation: EvaluationResult | None  # of base and few_shot only, until the tuned answers are scored
    looks: Mapping[str, int]  # contender → how often its kind has answered the held-out rows
    verdict: Verdict | None
    method_or_data: MethodOrData | None  # what the stratified test found
    audit: AuditResult | None  # of the training answers
    audited: tuple[AuditedAnswer, ...]  # in the order in which they were drawn
    provenance: tuple[Provenance, ...]  # in the order in which the stages finished; not of report and package


def read_contents(run: RunFolder) -> RunContents:
    """Read a run folder.

    Raises:
        RunError: there is no recipe in it, or a file is of another version of relaytune.
        DataError: a file in it is damaged.
    """
    if not run.recipe.is_file():
        raise RunError(
            f"{run.recipe}: not there, so {run.path} is not a run folder. Name a folder that `relaytune run` made."
        )
    splits = {"train": run.train, "validation": run.validation, "held_out": run.held_out}
    records = [
        read_result(path, Provenance)
        for path in sorted(run.provenance("check").parent.glob("*.json"))
        if path.stem not in ("report", "package")
    ]
    steps, recipe = tuple(read_metrics(run)), load_recipe(run.recipe)
    environment = run.last_session / "environment.json"
    return RunContents(
        recipe=recipe,
        checked=_read_if_there(run.findings, CheckedData),
        splits={name: read_examples(path) if path.is_file() else None for name, path in splits.items()},
        split_hashes={name: sha256_of_file(path) for name, path in splits.items() if path.is_file()},
        plan=_read_if_there(run.plan, Plan),
        training=_read_if_there(run.training, TrainingResult),
        steps=steps,
        sessions=tuple(stretches(read_sessions(run), steps)),
        environment=read_json(environment) if environment.is_file() else None,
        generations=_read_generations(run.generations),
        scores=_read_scores(run.scores),
        judgements=tuple(read_judgements(run.judgements)) if run.judgements.is_file() else (),
        evaluation=_read_if_there(run.evaluation, EvaluationResult)
        or _read_if_there(run.prompts_evaluation, EvaluationResult),
        looks=Counter(look["contender"] for look in read_json(run.looks)) if run.looks.is_file() else {},
        verdict=_read_if_there(run.verdict, Verdict),
        method_or_data=_read_if_there(run.method_or_data, MethodOrData),
        audit=_read_if_there(run.audit_result, AuditResult) if recipe.data.facts else None,
        audited=tuple(read_catalog(run.audit)) if recipe.data.facts and run.audit.is_file() else (),
        provenance=tuple(sorted(records, key=lambda record: record.finished_at)),
    )


def _read_if_there(path: Path, kind: type[Record]) -> Record | None:
    return read_result(path, kind) if path.is_file() else None


def _read_generations(folder: Path) -> dict[str, dict[str, Generation]]:
    return {
        path.stem: {generation.id: generation for generation in read_generations(path)}
        for path in sorted(folder.glob("*.jsonl"))
    }


def _read_scores(path: Path) -> dict[tuple[str, str, str], Score]:
    if not path.is_file():
        return {}
    scores = TypeAdapter(list[Score]).validate_python(read_jsonl(path))
    return {(score.contender, score.scorer, score.id): score for score in scores}
