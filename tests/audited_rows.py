"""Audited answers by their verdicts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from relaytune.core.audit import AuditedAnswer, AuditResult, HumanLabel, HumanVerdict
from relaytune.core.catalog import write_catalog
from relaytune.core.claims import AnswerVerdict, CheckedAnswer, CheckedClaim, Claim, ClaimVerdict, Evidence, Statement
from relaytune.core.facts import Facts
from relaytune.core.results import write_result
from relaytune.core.run_folder import RunFolder
from relaytune.facts.auditing import TrainingAnswer, Witnesses, conclude
from relaytune.facts.labels import HumanLabels
from relaytune.facts.rates import AuditedSample

PEOPLE: dict[str, HumanVerdict] = {"r": "right", "d": "doubtful", "f": "false"}
CODES: dict[str, AnswerVerdict] = {**PEOPLE, "u": "unchecked"}


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
    given: list[Sequence[HumanVerdict]] = [(PEOPLE[code],) for code in people]
    given += [()] * (len(verdicts) - len(people))
    answers = [audited(number, CODES[code], given[number]) for number, code in enumerate(verdicts)]
    return AuditedSample(answers, {f"row{number}": "" for number in range(rows)})


def contradicted_row(number: int, claimed: str, quotation: str, premise: bool = False) -> AuditedAnswer:
    """A false answer whose one claim a passage contradicts."""
    row = audited(number, "false")
    claim = Claim(f"claim{number}", row.id, "question" if premise else "answer", claimed, "", ("amount",))
    evidence = (Evidence("passage", "fees.md", "line 29", quotation),)
    verdict = ClaimVerdict("contradicted", "exact", "the source says 760 EUR, the answer 795 EUR", evidence, "amount")
    checked = replace(row.checked, false_premise=premise, claims=(CheckedClaim(claim, (verdict,)),))
    return replace(row, checked=checked)


def write_audit(run: RunFolder, facts: Facts, answers: Sequence[AuditedAnswer], rows: int) -> AuditResult:
    """What `relaytune audit` leaves in a run folder when it finds these answers among so many rows."""
    population = {f"row{number}": TrainingAnswer(Statement(f"row{number}", "", ""), "") for number in range(rows)}
    found = conclude(
        facts, answers, population, HumanLabels({}, 0), (), "as many as there are.", Witnesses(("exact",), 3, 40, "")
    )
    write_catalog(run.audit, answers)
    write_result(run.audit_result, found)
    return found
