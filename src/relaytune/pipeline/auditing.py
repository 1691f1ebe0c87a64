"""The audit of the training answers, the gate before training, and the rows that the audit takes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import relaytune.facts as facts_package
from relaytune.audit_text import audit_text, gate_line, rate_sentence, reason_of
from relaytune.core.audit import AuditResult
from relaytune.core.catalog import read_catalog, write_catalog
from relaytune.core.claims import CheckedAnswer, Statement
from relaytune.core.errors import DataError, RecipeError, RelaytuneError, UsageError
from relaytune.core.facts import Facts
from relaytune.core.files import sha256_of_file, sha256_of_text, sha256_of_value
from relaytune.core.judging import Judging, check_families
from relaytune.core.model import named_by, require
from relaytune.core.records import Example, Finding, question_of, read_examples
from relaytune.core.results import read_result, write_result
from relaytune.core.run_folder import Provenance
from relaytune.pipeline.inputs import changed_inputs, inputs, taken_out_otherwise
from relaytune.pipeline.job import Job
from relaytune.pipeline.preparing import check_stage
from relaytune.pipeline.quarantining import settle_drops

if TYPE_CHECKING:
    from relaytune.facts.auditing import TrainingAnswer
    from relaytune.facts.sources import Sources
    from relaytune.facts.verifying import Verifier

JUDGE = "data.facts.judge"  # the key that names its model

# what an audit is made from that a machine without the sources can tell too
_TOLD_ANYWHERE = ("audited rows", "facts", "rows taken out otherwise")


def check_and_audit(job: Job) -> list[Finding]:
    """What must be done before training: check the data and, where the recipe names sources, audit and gate them.

    Raises:
        DataError: the data are faulty, or the gate refuses them.
    """
    findings = check_stage(job)
    if job.recipe.data.facts is not None:
        result = _audited_elsewhere(job) or audit_stage(job)
        job.screen.say(f"{rate_sentence(result)}.")
        job.screen.say(gate_line(job.recipe.data.facts, result.gate))
        refuse_at_gate(job, result)
    return findings


def audit_stage(job: Job) -> AuditResult:
    """Audit a sample of the rows, and take out what the recipe drops. Needs the frozen rows.

    Raises:
        DataError: the sources, or the file of people's labels, are faulty.
        RecipeError: the recipe names no sources, or the judge is a relative of who wrote the answers.
    """
    from relaytune.facts.sources import retrieval_here

    facts = _facts(job)
    _refuse_related_judge(job)
    made_from = inputs(job, *_TOLD_ANYWHERE, "sources", "fact labels", "relatives")
    if facts.stratify_by:
        made_from |= inputs(job, "training file")
    stage = job.stage("audit", {**made_from, "retrieval": retrieval_here()})
    job.make(stage, lambda: _audit(job))
    result = read_result(job.run.audit_result, AuditResult)
    dropped = set(result.gate.dropped)
    if settle_drops(job, {one.id: reason_of(one) for one in read_catalog(job.run.audit) if one.id in dropped}):
        check_stage(job)
    return result


def _audited_elsewhere(job: Job) -> AuditResult | None:
    """The audit that came with the run to a machine that cannot make the same, if it is of these rows and settings.

    Such a machine has no sources, or not what they were searched with: then the run would go on with other rows.
    """
    from relaytune.facts.sources import retrieval_here

    path = job.run.provenance("audit")
    if not path.exists():
        return None
    recorded, here = read_result(path, Provenance).inputs, retrieval_here()
    same = {name: recorded.get(name, "") for name in _TOLD_ANYWHERE}
    why = "The sources are not here"
    if (job.recipe_path.parent / _facts(job).sources).exists():
        searched = recorded.get("retrieval", here)
        if searched == here:
            return None
        same = dict(recorded)
        anew = job.command("audit")
        why = f"The sources were searched by {searched}, here they would be by {here} (`{anew}` audits so)"
    if changed_inputs(job, same):
        return None
    result = read_result(job.run.audit_result, AuditResult)
    job.screen.say(f"{why}; the audit that came with the run counts.")
    return result


def refuse_at_gate(job: Job, result: AuditResult) -> None:
    """Refuse to train on data that the gate does not let pass.

    Raises:
        DataError: it does not.
    """
    if not result.gate.passed:
        reasons = "\n".join(f"  - {reason}" for reason in result.gate.refusals)
        raise DataError(
            f"{job.recipe_path}: the audit's gate lets no training begin\n{reasons}\n"
            f"`{job.command('audit')}` shows what is wrong."
        )


def _facts(job: Job) -> Facts:
    if job.recipe.data.facts is None:
        raise RecipeError(
            str(job.recipe_path),
            [
                "data.facts.sources: the recipe names no sources to hold answers against; add them, e.g. "
                "data: {facts: {sources: handbook}}"
            ],
        )
    return job.recipe.data.facts


def _refuse_related_judge(job: Job) -> tuple[str, ...]:
    facts, recipe = _facts(job), job.recipe
    if facts.judge is None:
        return ()
    judging = Judging.model_validate({"judges": [facts.judge], "same_family": facts.same_family})
    return check_families(judging, recipe.base_model.name, recipe.data.generator, str(job.recipe_path), "data.facts")


def _audit(job: Job) -> Sequence[Path]:
    from relaytune.facts.auditing import Witnesses, check_rows, conclude, sample_rows
    from relaytune.facts.checking import check_answers
    from relaytune.facts.labels import HumanLabels, read_human_labels
    from relaytune.facts.sources import read_sources

    facts, run, folder = _facts(job), job.run, job.recipe_path.parent
    population = _population(job, facts)
    labels = HumanLabels({}, 0)
    if facts.human_labels:
        labels = read_human_labels(folder / facts.human_labels, population.keys())
    rows, plan = sample_rows(facts, population)
    job.screen.say(plan)
    sources = read_sources(folder / facts.sources, job.screen)
    with verifiers_of(job, facts, sources) as verifiers:
        witnesses = Witnesses(
            tuple(verifier.name for verifier in verifiers),
            len({passage.document for passage in sources.passages}),
            len(sources.passages),
            _checked_under(facts, sources, verifiers),
            _refuse_related_judge(job),
        )
        earlier = _earlier(job, witnesses.checked_under)
        if known := sum(row.statement.id in earlier for row in rows):
            job.screen.say(f"{known} of {len(rows)} answers were checked before against the same sources.")
        answers = check_rows(
            rows,
            earlier,
            labels,
            lambda statements: check_answers(statements, sources, verifiers, facts.passages, job.screen),
        )
    result = conclude(facts, answers, population, labels, taken_out_otherwise(job), plan, witnesses)
    write_catalog(run.audit, answers)
    write_result(run.audit_result, result)
    return [run.audit, run.audit_result]


@contextmanager
def verifiers_of(job: Job, facts: Facts, sources: Sources) -> Iterator[list[Verifier]]:
    """Those of the recipe, the surest first: the first that can tell counts. At the end a judge's memory is given back.

    Says at the end what a judge took, and of how many claims a model gave no verdict that counts.

    Raises:
        ModelError: the entailment model cannot be loaded.
        MachineError: a package that a verifier needs is not installed.
    """
    from relaytune.facts.verifying.exact import ExactVerifier
    from relaytune.facts.verifying.judging import JudgeVerifier

    verifiers: list[Verifier] = [ExactVerifier(sources.passages)]
    if facts.entailment:
        from relaytune.facts.verifying.entailment import KEY, EntailmentVerifier

        with named_by(KEY):
            verifiers.append(EntailmentVerifier.load(facts.entailment, _device(), job.screen.say))
    if facts.judge:
        log = job.run.verifying / f"{sha256_of_text(facts.judge.title)[:16]}.jsonl"
        verifiers.append(JudgeVerifier(facts.judge, log, job.screen, "cpu" if facts.judge.base_url else _device()))
    try:
        with named_by(JUDGE):  # it is loaded when it is asked
            yield verifiers
    finally:
        for verifier in verifiers:
            if isinstance(verifier, JudgeVerifier):
                verifier.close()
    _say_untold(job, verifiers)


def _device() -> str:
    require("torch", "transformers")
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _say_untold(job: Job, verifiers: Sequence[Verifier]) -> None:
    from relaytune.facts.verifying.entailment import EntailmentVerifier
    from relaytune.facts.verifying.judging import JudgeVerifier

    for verifier in verifiers:
        if isinstance(verifier, JudgeVerifier):
            job.screen.say(verifier.words())
        elif isinstance(verifier, EntailmentVerifier) and verifier.untold:
            reasons = "; ".join(f"{count} × {reason}" for reason, count in verifier.untold.most_common())
            job.screen.say(f"{verifier.name}: no verdict: {reasons}")


def _checked_under(facts: Facts, sources: Sources, verifiers: Sequence[Verifier]) -> str:
    settings = facts.model_dump(mode="json", include={"passages", "entailment", "judge"})
    names = [verifier.name for verifier in verifiers]
    # another version may read, search and compare otherwise
    root = Path(facts_package.__path__[0]).parent
    files = [*(root / "facts").rglob("*.py"), *(root / "core" / "asking").glob("*.py")]
    files += [root / "core" / name for name in ("bm25.py", "declining.py", "encoder.py")]
    code = {path.relative_to(root).as_posix(): sha256_of_file(path) for path in files}
    return sha256_of_value([settings, sources.hash, sources.retrieval, names, code])


def _earlier(job: Job, checked_under: str) -> Mapping[str, CheckedAnswer]:
    """Answers that were checked before against the same sources by the same verifiers."""
    try:
        if read_result(job.run.audit_result, AuditResult).checked_under != checked_under:
            return {}
        return {answer.id: answer.checked for answer in read_catalog(job.run.audit)}
    except (RelaytuneError, FileNotFoundError):
        return {}  # there is no earlier audit that can be read: all are checked, which the caller's bar shows


def _population(job: Job, facts: Facts) -> dict[str, TrainingAnswer]:
    """The rows to train and validate on, before any is left out; a row that stands twice counts once."""
    from relaytune.facts.auditing import TrainingAnswer

    paths = [job.run.train, job.run.validation, *([job.run.excluded] if job.run.excluded.exists() else [])]
    rows = [row for path in paths for row in read_examples(path)]
    strata = _strata(job, facts.stratify_by, rows) if facts.stratify_by else {}
    return {
        row.id: TrainingAnswer(
            Statement(row.id, question_of(row), row.completion), row.source, strata.get(row.source, "")
        )
        for row in rows
    }


def _strata(job: Job, column: str, rows: Sequence[Example]) -> dict[str, str]:
    """The value of the column in the data file, by where the row stands."""
    from relaytune.data import raise_on_errors, without_stratum
    from relaytune.data.loading import load_rows

    name = job.recipe.data.train
    loaded, _ = load_rows(job.recipe_path.parent / name, name)
    raise_on_errors(without_stratum(column, rows, loaded))
    values = {row.source: row.values for row in loaded}
    return {row.source: str(values[row.source][column]) for row in rows}


def write_rows_to_label(job: Job, path: Path) -> int:
    """Write the audited rows as a CSV file for people to label; returns how many. See `write_labels_to_fill`.

    Raises:
        UsageError: there is such a file; labels are never written over.
    """
    from relaytune.facts.labels import write_labels_to_fill

    if path.exists():
        raise UsageError(f"--to-label {path}: there is such a file, and labels are never written over; name another")
    answers = read_catalog(job.found(job.run.audit, "audit"))
    write_labels_to_fill(path, answers)
    return len(answers)


def audited_text(job: Job, result: AuditResult) -> str:
    """What `relaytune audit` prints."""
    return audit_text(result, _facts(job), read_catalog(job.run.audit), job.command("audit"))
