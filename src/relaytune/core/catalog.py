"""data/audit.jsonl: a line for every audited answer, each followed by a line for every claim of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from relaytune.core.audit import AuditedAnswer, HumanLabel
from relaytune.core.claims import CheckedAnswer, CheckedClaim, Claim, ClaimVerdict, Statement
from relaytune.core.errors import RunError
from relaytune.core.files import read_jsonl, write_jsonl

_CLAIM, _VERDICTS, _LABELS = (
    TypeAdapter(Claim),
    TypeAdapter(tuple[ClaimVerdict, ...]),
    TypeAdapter(tuple[HumanLabel, ...]),
)


def write_catalog(path: Path, answers: Iterable[AuditedAnswer]) -> None:
    """Write the answers in the order in which they were drawn."""
    write_jsonl(path, (line for answer in answers for line in _lines(answer)))


def _lines(answer: AuditedAnswer) -> Iterator[dict[str, Any]]:
    checked = answer.checked
    yield {
        "row": "answer",
        "id": answer.id,
        "source": answer.source,
        "stratum": answer.stratum,
        "question": answer.statement.question,
        "answer": answer.statement.answer,
        "verdict": answer.verdict,
        "verdict_by": "people" if answer.labels else "verifiers",
        "verifiers_say": checked.verdict,
        "false_premise": checked.false_premise,
        "abstained": checked.abstained,
        "labels": [asdict(label) for label in answer.labels],
    }
    for found in checked.claims:
        yield {
            "row": "claim",
            **asdict(found.claim),
            "source": answer.source,
            "support": found.support,
            "support_by": found.verdicts[0].verifier if found.verdicts else "",
            "verdicts": [asdict(verdict) for verdict in found.verdicts],
        }


def read_catalog(path: Path) -> list[AuditedAnswer]:
    """Read what `write_catalog` wrote, in the order in which the rows were drawn.

    Raises:
        RunError: a line is none of this version's.
        DataError: the file is damaged.
    """
    answers: list[AuditedAnswer] = []
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            if row["row"] == "answer":
                answers.append(_answer(row))
            else:
                checked = answers[-1].checked
                claims = (*checked.claims, _claim(row))
                answers[-1] = replace(answers[-1], checked=replace(checked, claims=claims))
        except (KeyError, IndexError, ValidationError) as error:
            raise RunError(
                f"{path}:{number}: not a line of this version's audit ({type(error).__name__}). Delete the file; "
                "`relaytune audit` makes it anew."
            ) from error
    return answers


def _answer(row: dict[str, Any]) -> AuditedAnswer:
    return AuditedAnswer(
        Statement(row["id"], row["question"], row["answer"]),
        row["source"],
        row["stratum"],
        CheckedAnswer(row["id"], row["verifiers_say"], row["false_premise"], row["abstained"], ()),
        _LABELS.validate_python(row["labels"]),
    )


def _claim(row: dict[str, Any]) -> CheckedClaim:
    claim = {name: row[name] for name in ("id", "statement_id", "part", "text", "context", "kinds")}
    return CheckedClaim(_CLAIM.validate_python(claim), _VERDICTS.validate_python(row["verdicts"]))
