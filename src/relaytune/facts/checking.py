"""Statements held against sources: split into claims, searched for, verified, and joined into one verdict each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relaytune.core.claims import AnswerVerdict, CheckedAnswer, CheckedClaim, Claim, ClaimVerdict, Passage, Statement
from relaytune.core.declining import abstained as abstains
from relaytune.core.screen import Screen
from relaytune.facts.claims import split_claims
from relaytune.facts.premises import rejects_premise
from relaytune.facts.verifying import Verifier

if TYPE_CHECKING:
    from relaytune.facts.sources import Sources

AT_ONCE = 512  # claims that go to a verifier in one call


def check_answers(
    statements: Sequence[Statement],
    sources: Sources,
    verifiers: Sequence[Verifier],
    passages: int = 5,
    screen: Screen | None = None,
    ask_all: bool = False,
) -> list[CheckedAnswer]:
    """What the sources say of each answer, in the order of the statements.

    Each claim is held against the best `passages` passages for itself and its context, and the best ones for the
    question. Verifiers are asked in their order; only what is still undecided goes on to the next, unless `ask_all`.
    The same claim in the same context is verified once.
    """
    screen = screen or Screen.silent()
    claims = {statement.id: [claim for claim in split_claims(statement) if claim.kinds] for statement in statements}
    questions = {statement.id: statement.question for statement in statements}
    distinct: dict[tuple[str, ...], Claim] = {}
    for claim in (claim for own in claims.values() for claim in own):
        distinct.setdefault(_key(claim), claim)
    unique = list(distinct.values())
    found = _search(unique, questions, sources, passages, screen)
    verdicts = _ask(unique, found, verifiers, ask_all, screen)
    by_key = dict(zip(distinct, verdicts, strict=True))
    return [
        _join(statement, [CheckedClaim(claim, by_key[_key(claim)]) for claim in claims[statement.id]])
        for statement in statements
    ]


def _key(claim: Claim) -> tuple[str, ...]:
    return claim.part, claim.text, claim.context


def _search(
    claims: Sequence[Claim], questions: dict[str, str], sources: Sources, k: int, screen: Screen
) -> list[list[Passage]]:
    """The passages of each claim: the best for claim and context, then those for the question."""
    # stripped, so that a question that is its own claim is one text to search for
    texts = [f"{claim.text} {claim.context}".strip() for claim in claims]
    own_questions = [questions[claim.statement_id].strip() for claim in claims]
    wanted = list(dict.fromkeys([*texts, *own_questions]))
    with screen.bar("Find passages", len(wanted)) as bar:
        found = dict(zip(wanted, sources.search_all(wanted, k, bar.update), strict=True))
    joined = []
    for text, question in zip(texts, own_questions, strict=True):
        both = {one.passage.id: one.passage for one in [*found[text], *found[question]]}
        joined.append(list(both.values()))
    return joined


def _ask(
    claims: Sequence[Claim],
    passages: Sequence[Sequence[Passage]],
    verifiers: Sequence[Verifier],
    ask_all: bool,
    screen: Screen,
) -> list[tuple[ClaimVerdict, ...]]:
    """The verdicts of each claim: the first that decides comes first, the others follow in the verifiers' order."""
    given: list[list[ClaimVerdict]] = [[] for _ in claims]
    for verifier in verifiers:
        open_claims = [at for at in range(len(claims)) if ask_all or not any(map(_decides, given[at]))]
        with screen.bar(f"Check claims: {verifier.name}", len(open_claims)) as bar:
            for begin in range(0, len(open_claims), AT_ONCE):
                portion = open_claims[begin : begin + AT_ONCE]
                said = verifier.verify([claims[at] for at in portion], [passages[at] for at in portion])
                for at, verdict in zip(portion, said, strict=True):
                    if verdict is not None:
                        given[at].append(verdict)
                bar.update(begin + len(portion))
    return [tuple(sorted(verdicts, key=_decides_last)) for verdicts in given]


def _decides(verdict: ClaimVerdict) -> bool:
    return verdict.support != "not_found"


def _decides_last(verdict: ClaimVerdict) -> bool:
    return not _decides(verdict)


def _join(statement: Statement, checked: Sequence[CheckedClaim]) -> CheckedAnswer:
    """The verdict of an answer from those of its claims.

    A claim that no verifier could tell anything of says nothing of the answer.
    """
    of_answer = [one for one in checked if one.claim.part == "answer"]
    false_premise = any(one.is_false_premise for one in checked)
    rejected = rejects_premise(statement.answer)
    abstained = bool(abstains(statement.answer)[0])
    supports = [
        one.support
        for one in of_answer
        if one.verdicts and not (false_premise and rejected and one.support == "not_found")
    ]
    verdict: AnswerVerdict
    if "contradicted" in supports or (false_premise and not rejected and not abstained):
        verdict = "false"
    elif false_premise and rejected:
        verdict = "right"
    elif "not_found" in supports:
        verdict = "doubtful"
    else:
        verdict = "right" if supports else "unchecked"
    return CheckedAnswer(statement.id, verdict, false_premise, abstained, tuple(checked))
