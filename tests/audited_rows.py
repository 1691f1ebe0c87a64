"""Audited answers by their verdicts alone."""

from __future__ import annotations

from collections.abc import Sequence

from relaytune.core.audit import AuditedAnswer, HumanLabel, HumanVerdict
from relaytune.core.claims import AnswerVerdict, CheckedAnswer, Statement
from relaytune.facts.rates import AuditedSample

CODES: dict[str, AnswerVerdict] = {"r": "right", "d": "doubtful", "f": "false", "u": "unchecked"}


def audited(
    number: int, verdict: AnswerVerdict, labels: Sequence[HumanVerdict] = (), stratum: str = ""
) -> AuditedAnswer:
    id = f"row{number}"
    return AuditedAnswer(
        Statement(id, f"question {number}?", f"answer {number}."),
        f"train.jsonl:{number + 1}",
        stratum,
        CheckedAnswer(id, verdict, False, False, ()),
        tuple(HumanLabel(f"person {place}", label) for place, label in enumerate(labels)),
    )


def sample(verdicts: str, rows: int, people: str = "") -> AuditedSample:
    """`verdicts`: a letter of CODES for each audited row, in the order of drawing; `people`: the same, of the first."""
    given: list[Sequence[HumanVerdict]] = [(CODES[code],) for code in people]  # type: ignore[list-item]
    given += [()] * (len(verdicts) - len(people))
    answers = [audited(number, CODES[code], given[number]) for number, code in enumerate(verdicts)]
    return AuditedSample(answers, {f"row{number}": "" for number in range(rows)})
