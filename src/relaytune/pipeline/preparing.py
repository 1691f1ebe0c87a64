"""Before anything is trained: check the data and freeze the splits, measure the machine and plan."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from relaytune.core.counts import counted
from relaytune.core.csv_table import read_csv_table
from relaytune.core.errors import DataError
from relaytune.core.files import read_json, write_json
from relaytune.core.metrics import FACTUAL_ERRORS
from relaytune.core.model import load_config, load_template, refuse_unfit
from relaytune.core.quarantine import QuarantinedRow, read_quarantine
from relaytune.core.records import Example, Finding, Severity, read_examples, write_examples
from relaytune.core.results import DataSize, write_result
from relaytune.core.rule import guard_sentence
from relaytune.core.template import ChatTemplate, shared_prefix_length
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job
from relaytune.pipeline.judging import refuse_related_judges
from relaytune.pipeline.quarantining import undo_drops

ADVICE_INDENT = "      → "


def check_stage(job: Job) -> list[Finding]:
    """Check recipe and data, freeze the splits; prints and returns every finding.

    Raises:
        DataError: at least one finding is an error; nothing is frozen then.
    """
    # without torch the data are still checked, all but the lengths in tokens
    refuse_related_judges(job)
    with_model = importlib.util.find_spec("torch") is not None and importlib.util.find_spec("transformers") is not None
    undo_drops(job)
    absent = _absent(job)
    made_from = inputs(job, "task", "contract", "data", "max_length", "seed", "training file", "held-out file")
    if job.run.quarantine.exists():
        made_from |= inputs(job, "quarantine")
    if job.recipe.data.facts is not None and job.recipe.data.facts.stratify_by:
        made_from |= inputs(job, "stratify_by")
    if any(finding.severity == "error" for finding in absent):
        made_from["absent"] = [finding.message for finding in absent]  # so that all faults are told, never "up to date"
    tokenizer = job.model.tokenizer_hash if with_model else "not installed"
    job.make(
        job.stage("check", {**made_from, "tokenizer": tokenizer}),
        lambda: _check(job, load_template(job.model) if with_model else None, absent),
    )
    for finding in absent:
        job.screen.say(f"  {finding.severity}: {finding.message}")
    if job.recipe.data.facts is not None:
        on_facts = [clause.text for clause in job.recipe.decision.clauses if FACTUAL_ERRORS in clause.metrics]
        if on_facts == [guard_sentence()]:
            job.screen.say(f"As data.facts names sources, the rule also discards when {guard_sentence()}.")
    kept = [Finding(**{**row, "where": tuple(row["where"])}) for row in read_json(job.run.findings)["findings"]]
    return [*absent, *kept]


def _absent(job: Job) -> list[Finding]:
    """What data.facts names and is not here: errors, but for a run that came with its audit. No document is read."""
    facts, folder = job.recipe.data.facts, job.recipe_path.parent
    if facts is None:
        return []
    from relaytune.facts.reading import refuse_no_folder

    severity: Severity = "warning" if job.run.provenance("audit").exists() else "error"
    found = []
    try:
        refuse_no_folder(folder / facts.sources)
    except DataError as error:
        found.append(Finding(severity, "absent_sources", f"data.facts.sources: {error}"))
    if facts.human_labels:
        try:
            read_csv_table(folder / facts.human_labels, "data.facts.human_labels")
        except DataError as error:
            found.append(Finding(severity, "unreadable_labels", f"data.facts.human_labels: {error}"))
    return found


def _check(job: Job, template: ChatTemplate | None, absent: Sequence[Finding]) -> list[Path]:
    from relaytune.data import check, raise_on_errors

    checked = check(job.recipe, job.recipe_path.parent, template)
    raise_on_errors([*absent, *checked.findings])
    for finding in checked.findings:
        job.screen.say(f"  {finding.severity}: {finding.message}")
        if finding.severity != "note":
            _show_places(job, finding)
    run = job.run
    # after the split, so that the other rows stay where they are
    quarantine = read_quarantine(run.quarantine)
    train, validation = (
        [row for row in rows if row.id not in quarantine] for rows in (checked.train, checked.validation)
    )
    excluded = [row for row in (*checked.train, *checked.validation) if row.id in quarantine]
    if excluded:
        _refuse_empty(run.quarantine, train, validation)
        checked.findings.append(_left_out(excluded, quarantine, len(train), len(validation)))
        job.screen.say(f"  warning: {checked.findings[-1].message}")
    if strangers := sorted(quarantine.keys() - {row.id for row in (*checked.train, *checked.validation)}):
        count = counted(len(strangers), "row")
        message = f"{count} in {run.quarantine.name} stand among no rows to train or validate on (any more)"
        checked.findings.append(Finding("note", "quarantined_unknown", message, tuple(strangers)))
        job.screen.say(f"  note: {message}: {strangers[0]}{' …' if len(strangers) > 1 else ''}")
    files = {run.train: train, run.validation: validation, run.held_out: checked.held_out}
    if excluded:
        files[run.excluded] = excluded
    else:
        run.excluded.unlink(missing_ok=True)
    for path, rows in files.items():
        write_examples(path, rows)
    write_json(run.findings, {"findings": [asdict(f) for f in checked.findings], "num_dropped": checked.num_dropped})
    job.screen.say(
        f"{len(train)} training, {len(validation)} validation and {len(checked.held_out)} held-out rows frozen in "
        f"{run.train.parent}"
    )
    return [*files, run.findings]


def _left_out(
    excluded: Sequence[Example], quarantine: Mapping[str, QuarantinedRow], num_train: int, num_validation: int
) -> Finding:
    by = Counter(quarantine[row.id].by for row in excluded)
    counts = ", ".join(f"{count} by {'an' if name == 'audit' else 'a'} {name}" for name, count in sorted(by.items()))
    message = (
        f"{len(excluded)} rows are in quarantine and left out ({counts}); {num_train} training and {num_validation} "
        "validation rows remain"
    )
    where = tuple(row.source for row in excluded)
    return Finding("warning", "quarantined_rows", message, where, "correct the rows rather than lose them")


def _refuse_empty(path: Path, train: Sequence[Example], validation: Sequence[Example]) -> None:
    empty = [name for name, rows in (("training", train), ("validation", validation)) if not rows]
    if empty:
        raise DataError(
            f"{path}: every {' and every '.join(empty)} row is in quarantine, so that none is left. Correct the rows, "
            "or take them out of the quarantine."
        )


def _show_places(job: Job, finding: Finding, limit: int = 10) -> None:
    for place in finding.where[:limit]:
        job.screen.say(f"      {place}")
    if len(finding.where) > limit:
        job.screen.say(f"      and {len(finding.where) - limit} more (all in {job.run.findings})")
    if finding.advice:
        job.screen.say(f"{ADVICE_INDENT}{finding.advice}")


def plan_stage(job: Job) -> None:
    """Measure this machine and predict memory and time; writes plan.json."""
    rows = inputs(job, "training rows", "validation rows", "held-out rows")
    settings = inputs(job, "lora", "training", "evaluation")
    stage = job.stage("plan", {**rows, **settings, **job.model_identity, "machine": _machine()})
    job.make(stage, lambda: _plan(job))


def _machine() -> str:
    """Names this machine cheaply, so that a run that moves is planned anew."""
    import os
    import platform

    return f"{platform.node()} {platform.machine()} {os.cpu_count()}"


def _plan(job: Job) -> Sequence[Path]:
    from relaytune.core.statistics import smallest_detectable_difference
    from relaytune.planning import make_plan, measure_hardware, plan_lines, read_model_size

    refuse_unfit(job.model, job.recipe.lora)
    hardware = measure_hardware(job.run.path)
    data = _measure_data(job)
    model = read_model_size(load_config(job.model), job.recipe.lora)
    plan = make_plan(job.recipe, data, model, hardware, smallest_detectable_difference(data.num_held_out))
    write_result(job.run.plan, plan)
    for line in plan_lines(plan):
        job.screen.say(line)
    return [job.run.plan]


def _measure_data(job: Job) -> DataSize:
    template = load_template(job.model)
    train, validation, held_out = (
        [template.encode(row) for row in read_examples(path)]
        for path in (job.run.train, job.run.validation, job.run.held_out)
    )
    everything = [*train, *validation, *held_out]
    prefix = shared_prefix_length([row.prompt_ids for row in everything])
    return DataSize(
        num_train=len(train),
        num_validation=len(validation),
        num_held_out=len(held_out),
        shared_prefix_tokens=prefix,
        own_tokens_train=sum(len(row.ids) - prefix for row in train),
        own_tokens_validation=sum(len(row.ids) - prefix for row in validation),
        own_prompt_tokens_held_out=sum(len(row.prompt_ids) - prefix for row in held_out),
        supervised_tokens_train=sum(len(row.completion_ids) for row in train),
        longest_tokens=max(len(row.ids) for row in everything),
    )
