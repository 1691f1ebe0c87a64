from __future__ import annotations

from collections.abc import Sequence

from relaytune.core.claims import Claim, ClaimVerdict, Passage, Statement, Support
from relaytune.facts.checking import check_answers
from relaytune.facts.verifying.exact import ExactVerifier
from small_handbook import PASSAGES, checked, sources


class Says:
    """A verifier that says one thing of every claim, and remembers what it was asked."""

    def __init__(self, name: str, support: Support | None) -> None:
        self.name = name
        self._support = support
        self.asked: list[str] = []

    def verify(self, claims: Sequence[Claim], passages: Sequence[Sequence[Passage]]) -> list[ClaimVerdict | None]:
        assert len(claims) == len(passages)
        self.asked += [claim.text for claim in claims]
        return [ClaimVerdict(self._support, self.name, "") if self._support else None for _ in claims]


ROW = Statement("1", "When does the Harbour Office open?", "It opens at 9:00. Lectures are fun to watch.")


def test_only_what_is_undecided_goes_to_the_next_verifier_unless_all_are_asked() -> None:
    decided, second = Says("first", "supported"), Says("second", "supported")
    check_answers([ROW], sources(), [decided, second])
    assert decided.asked
    assert second.asked == []
    check_answers([ROW], sources(), [decided, second], ask_all=True)
    assert second.asked == decided.asked[: len(second.asked)]


def test_the_first_that_decides_counts_and_all_are_recorded() -> None:
    result = check_answers(
        [ROW], sources(), [Says("a", "not_found"), Says("b", "contradicted"), Says("c", "supported")]
    )
    assert [verdict.verifier for verdict in result[0].claims[0].verdicts] == ["b", "a"]
    assert result[0].claims[0].support == "contradicted"
    assert result[0].verdict == "false"


def test_the_same_claim_in_the_same_context_is_verified_once() -> None:
    once = Says("once", "supported")
    rows = [Statement(str(number), ROW.question, ROW.answer) for number in range(5)]
    results = check_answers(rows, sources(), [once])
    assert len(once.asked) == len(set(once.asked))
    assert [result.id for result in results] == [row.id for row in rows]
    assert all(result.claims[0].claim.statement_id == result.id for result in results)


def test_an_answer_of_whose_claims_nobody_can_tell_is_unchecked() -> None:
    assert check_answers([ROW], sources(), [Says("mute", None)])[0].verdict == "unchecked"
    assert check_answers([ROW], sources(), [])[0].verdict == "unchecked"


def test_an_answer_that_builds_on_a_false_premise_is_false_and_one_that_rejects_it_is_right() -> None:
    question = "Since the M.Sc. in Kite Design accepts an IELTS of 5.5, how do I apply?"
    built = checked(question, "Apply through the portal with your certificate.")
    assert (built.verdict, built.false_premise) == ("false", True)
    rejected = checked(question, "There is no M.Sc. in Kite Design.")
    assert (rejected.verdict, rejected.false_premise) == ("right", True)


def test_a_premise_that_no_source_knows_is_false_if_the_sources_know_others_of_its_sort() -> None:
    assert checked("When does the Reed Scholarship close?", "It closes in June.").false_premise
    assert not checked("I come from Delhi. When does the Dune Scholarship close?", "On 1 June.").false_premise


def test_a_wrong_value_in_the_question_is_a_false_premise() -> None:
    result = checked("Where do I pay the 85 EUR application fee?", "Through the portal.")
    assert (result.verdict, result.false_premise) == ("false", True)


def test_to_deny_what_does_not_exist_is_right_in_lower_case_too() -> None:
    assert checked("Who leads the law faculty?", "Professor Gerold Ash leads the law faculty.").verdict == "false"
    assert checked("Who leads the law faculty?", "There is no faculty of law.").verdict == "right"


def test_an_abstention_is_seen_and_builds_on_nothing() -> None:
    result = checked("When does the Reed Scholarship close?", "I don't know.")
    assert result.abstained
    assert result.verdict != "false"


def test_statements_without_claims_and_no_statements_are_no_trouble() -> None:
    assert check_answers([], sources(), [ExactVerifier(PASSAGES)]) == []
    (result,) = check_answers([Statement("1", "", "Hello!")], sources(), [ExactVerifier(PASSAGES)])
    assert (result.verdict, result.claims) == ("unchecked", ())
