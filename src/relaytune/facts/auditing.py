"""The audit: a sample of the training answers is checked, people's labels are joined in, rates and gate follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from relaytune.core.audit import UNTOLD, AuditedAnswer, AuditResult
from relaytune.core.claims import CheckedAnswer, Statement
from relaytune.core.facts import Facts
from relaytune.core.statistics import rows_needed
from relaytune.facts.gate import judge_gate
from relaytune.facts.labels import HumanLabels
from relaytune.facts.rates import AuditedSample, count_rates, peoples_part
from relaytune.facts.sampling import draw_order, plan_sample, refuse_thin_strata

Check = Callable[[Sequence[Statement]], list[CheckedAnswer]]


@dataclass(frozen=True)
class TrainingAnswer:
    """One row of the population; its stratum is empty where the sample is simple."""

    statement: Statement
    source: str
    stratum: str = ""


@dataclass(frozen=True)
class Witnesses:
    """Who and what the answers are held against, as the result names them."""

    verifiers: tuple[str, ...]
    num_documents: int
    num_passages: int
    checked_under: str
    stamps: tuple[str, ...] = ()


def sample_rows(facts: Facts, population: Mapping[str, TrainingAnswer]) -> tuple[list[TrainingAnswer], str]:
    """The rows to audit in the order in which they are drawn, and why so many.

    Raises:
        DataError: there are more strata than rows to audit.
    """
    plan = plan_sample(facts, len(population))
    stratum_of = {id: row.stratum for id, row in population.items()}
    if facts.stratify_by:
        refuse_thin_strata(stratum_of, plan, facts.stratify_by)
    return [population[id] for id in draw_order(stratum_of, facts.seed)[: plan.size]], plan.sentence


def check_rows(
    rows: Sequence[TrainingAnswer], earlier: Mapping[str, CheckedAnswer], labels: HumanLabels, check: Check
) -> list[AuditedAnswer]:
    """Have the answers checked that were not yet; `earlier` holds those checked under the same witnesses, by id."""
    anew = [row.statement for row in rows if row.statement.id not in earlier]
    checked = {**earlier, **{found.id: found for found in (check(anew) if anew else [])}}
    return [
        AuditedAnswer(
            row.statement,
            row.source,
            row.stratum,
            checked[row.statement.id],
            labels.by_id.get(row.statement.id, ()),
        )
        for row in rows
    ]


def conclude(
    facts: Facts,
    answers: Sequence[AuditedAnswer],
    population: Mapping[str, TrainingAnswer],
    labels: HumanLabels,
    taken_out: Collection[str],
    plan: str,
    witnesses: Witnesses,
) -> AuditResult:
    """Rates, faults, people and gate of the audited answers."""
    sample = AuditedSample(answers, {id: row.stratum for id, row in population.items()})
    rates = count_rates(sample)
    found = rates["clearly_false"].rate
    half_as_wide = rows_needed(len(population), (found.high - found.low) / 4, found.share)
    audited = {answer.id for answer in answers}
    unused = labels.num_unknown + sum(len(given) for id, given in labels.by_id.items() if id not in audited)
    claims = [claim for answer in answers for claim in answer.checked.claims]
    return AuditResult(
        len(population),
        len(answers),
        plan,
        facts.stratify_by or "",
        len({row.stratum for row in population.values()}),
        rates,
        dict(_faults(answers).most_common()),
        len(claims),
        dict(Counter(claim.support if claim.verdicts else UNTOLD for claim in claims)),
        witnesses.verifiers,
        witnesses.num_documents,
        witnesses.num_passages,
        max(half_as_wide - len(answers), 0),
        peoples_part(sample, unused),
        judge_gate(facts, sample, taken_out),
        witnesses.checked_under,
        witnesses.stamps,
    )


def _faults(answers: Sequence[AuditedAnswer]) -> Counter[str]:
    """Answers that are false, by what is wrong in them; an answer with two kinds counts in both."""
    kinds: Counter[str] = Counter()
    for answer in answers:
        if answer.verdict == "false":
            kinds.update(faults_of(answer))
    return kinds


def faults_of(answer: AuditedAnswer) -> set[str]:
    """What is wrong in an answer: kinds of contradicted claims, `premise`, or `as people say`."""
    found: set[str] = {
        claim.verdicts[0].kind or "statement"
        for claim in answer.checked.claims
        if claim.support == "contradicted" and claim.claim.part == "answer"
    }
    if answer.checked.false_premise:
        found.add("premise")
    return found or {"as people say"}
