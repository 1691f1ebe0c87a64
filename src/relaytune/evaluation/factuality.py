"""What the sources say of the contenders' answers: scores, and the claims that are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from relaytune.core.claims import CheckedAnswer, Statement
from relaytune.core.criteria import Criteria
from relaytune.core.metrics import FACT_METRICS
from relaytune.core.records import Example, Generation, Message, Score
from relaytune.core.results import FactsResult, WrongClaim
from relaytune.core.sections import in_order
from relaytune.evaluation.measuring import CUT_OFF
from relaytune.evaluation.scoring import NO_ANSWER
from relaytune.evaluation.summary import Evidence


@dataclass(frozen=True)
class CheckedContenders:
    """Every contender's answers, held against the same sources by the same verifiers."""

    verifiers: tuple[str, ...]
    num_passages: int
    answers: Mapping[str, Sequence[CheckedAnswer]]  # contender → its answers


def statements(generations: Sequence[Generation]) -> list[Statement]:
    """What is checked of each answer: the last thing that was asked, and the answer to it."""
    return [Statement(answer.id, question_asked(answer.messages), answer.completion) for answer in generations]


def question_asked(messages: Sequence[Message]) -> str:
    """The last turn that is the user's; empty where there is none."""
    return next((turn["content"] for turn in reversed(messages) if turn["role"] == "user"), "")


def with_facts(criteria: Criteria, evidence: Evidence, checked: CheckedContenders) -> Evidence:
    """The evidence with a score of every fact metric for every answer, and what the sources say of the first contender.

    An answer that claims nothing that can be checked is no error (0) and not verified (0); `unchecked` counts it, so
    that a contender cannot look truthful by saying nothing without that being seen.
    """
    scores = [
        score
        for contender, generations in evidence.generations.items()
        for score in _scores(criteria, evidence.held_out, generations, checked.answers[contender], contender)
    ]
    first = in_order(evidence.generations)[0]
    asked = {answer.id: question_asked(answer.messages) for answer in evidence.generations[first]}
    wrong = tuple(claim for answer in checked.answers[first] for claim in _wrong_claims(answer, asked[answer.id]))
    facts = FactsResult(checked.verifiers, checked.num_passages, first, wrong)
    note = (
        f"held against {checked.num_passages} passages by {', '.join(checked.verifiers)}; an answer that claims "
        "nothing that can be checked counts as no error, and under unchecked"
    )
    return replace(
        evidence, scores=[*evidence.scores, *scores], facts=facts, notes={**evidence.notes, "factual_errors": note}
    )


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
