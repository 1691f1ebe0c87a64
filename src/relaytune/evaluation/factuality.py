"""What the sources say of the contenders' answers: scores, and the claims that are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from relaytune.core.claims import CheckedAnswer, ClaimVerdict
from relaytune.core.criteria import Criteria
from relaytune.core.metrics import FACT_METRICS
from relaytune.core.records import Example, Generation, Score, question_of
from relaytune.core.results import FactsResult, WrongClaim
from relaytune.core.sections import in_order
from relaytune.evaluation.measuring import CUT_OFF
from relaytune.evaluation.scoring import NO_ANSWER
from relaytune.evaluation.summary import Evidence


def with_facts(criteria: Criteria, evidence: Evidence, checked: Mapping[str, Sequence[CheckedAnswer]]) -> Evidence:
    """The evidence with a score of every fact metric for every answer, and what the sources say of the first contender.

    An answer that claims nothing that can be checked is no error (0) and not verified (0); `unchecked` counts it, so
    that a contender cannot look truthful by saying nothing without that being seen.
    """
    scores = [
        score
        for contender, generations in evidence.generations.items()
        for score in _scores(criteria, evidence.held_out, generations, checked[contender], contender)
    ]
    first = in_order(evidence.generations)[0]
    asked = {row.id: question_of(row) for row in evidence.held_out}
    wrong = tuple(claim for answer in checked[first] for claim in _wrong_claims(answer, asked[answer.id]))
    verifiers = tuple(sorted({verdict.verifier for verdict in _verdicts(checked)}))
    facts = FactsResult(verifiers, first, wrong)
    note = (
        f"held against the sources by {', '.join(verifiers) or 'verifiers that could tell of no claim'}; an answer "
        "that claims nothing that can be checked counts as no error, and under unchecked"
    )
    return replace(
        evidence, scores=[*evidence.scores, *scores], facts=facts, notes={**evidence.notes, "factual_errors": note}
    )


def _verdicts(checked: Mapping[str, Sequence[CheckedAnswer]]) -> Iterator[ClaimVerdict]:
    for answers in checked.values():
        for answer in answers:
            for claim in answer.claims:
                yield from claim.verdicts


def _scores(
    criteria: Criteria,
    held_out: Sequence[Example],
    generations: Sequence[Generation],
    checked: Sequence[CheckedAnswer],
    contender: str,
) -> list[Score]:
    found = {answer.id: answer for answer in checked}
    cut_off = {answer.id for answer in generations if answer.finish_reason == "length"}
    scores = []
    for example in held_out:
        if example.id not in found:
            values: Mapping[str, tuple[float | None, str]] = dict.fromkeys(FACT_METRICS, (None, NO_ANSWER))
        elif criteria.evaluation.exclude_truncated and example.id in cut_off:
            values = dict.fromkeys(FACT_METRICS, (None, CUT_OFF))
        else:
            values = _values(found[example.id])
        scores += [Score(example.id, contender, name, *value) for name, value in values.items()]
    return scores


def _values(answer: CheckedAnswer) -> dict[str, tuple[float, str]]:
    contradicted = [claim for claim in answer.claims if claim.support == "contradicted"]
    why_false = "; ".join(claim.verdicts[0].reason for claim in contradicted) or "builds on a false premise"
    not_found = [claim.claim.text for claim in answer.claims if claim.verdicts and claim.support == "not_found"]
    why = {
        "false": why_false,
        "doubtful": f"no source says: {'; '.join(not_found)}",
        "unchecked": "claims nothing that can be checked",
        "right": "",
    }[answer.verdict]

    def when(*verdicts: str) -> tuple[float, str]:
        return (1.0, why) if answer.verdict in verdicts else (0.0, "")

    return {
        "factual_errors": when("false"),
        "unsupported": when("false", "doubtful"),
        "verified": (1.0, "") if answer.verdict == "right" else (0.0, why),
        "unchecked": when("unchecked"),
    }


def _wrong_claims(answer: CheckedAnswer, question: str) -> list[WrongClaim]:
    if answer.verdict != "false":
        return []
    contradicted = [checked for checked in answer.claims if checked.support == "contradicted"]
    # a premise may be false because no source knows of it
    premises = [checked for checked in answer.claims if checked.claim.part == "question" and checked.verdicts]
    wrong = []
    for checked in contradicted or premises:
        verdict = checked.verdicts[0]
        quotation, citation = "", ""
        if verdict.evidence:
            evidence = verdict.evidence[0]
            quotation, citation = evidence.quotation, f"{evidence.document}, {evidence.place}"
        claim = checked.claim
        wrong.append(
            WrongClaim(
                answer.id, question, claim.part, claim.text, verdict.verifier, verdict.reason, quotation, citation
            )
        )
    return wrong
