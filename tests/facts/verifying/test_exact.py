from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relaytune.core.claims import CheckedAnswer, Passage, Statement
from relaytune.facts.checking import check_answers
from relaytune.facts.sources import Sources
from relaytune.facts.verifying.exact import ExactVerifier
from relaytune.facts.verifying.exact_lines import claim_facts
from small_handbook import PASSAGES, checked, reasons, sources

RIGHT = [
    ("What is the application fee for EU applicants?", "It is 70 EUR."),
    ("How much is the application fee?", "It is seventy euros for applicants from the EU and €95 for all others."),
    ("When is the semester fee due in winter?", "By 15 September."),
    ("What IELTS do I need for Tidal Physics?", "You need at least 6.5."),
    ("What is the tuition for the B.A. in Dance?", "Tuition for the B.A. in Dance is EUR 900 per semester."),
    ("How much is the Harbour Scholarship?", "It pays 850 EUR a month for up to 24 months."),
    ("Who heads the Harbour Office?", "Dr Amara Lindqvist"),
    ("Can I get the application fee back?", "No, the application fee is not refundable."),
]
WRONG = [
    (
        "How many GRE points do I need?",
        "You need 310 GRE points.",
        "the source says that there is none, the answer 310",
    ),
    (
        "What is the tuition for the B.A. in Dance?",
        "Tuition for the B.A. in Dance is 900 euros per year.",
        "the source says 900, the answer 900 euros",
    ),
    (
        "What does the application for EU applicants cost?",
        "The application of EU applicants is free of charge.",
        "the source says 70 EUR, the answer free of charge",
    ),
    ("What is the application fee for EU applicants?", "It is 85 EUR.", "the source says 70 EUR, the answer 85 EUR"),
    ("When is the semester fee due in winter?", "By 1 October.", "the source says 15 September, the answer 1 October"),
    ("What IELTS do I need for Tidal Physics?", "You need at least 6.0.", "the source says 6.5, the answer 6.0"),
    ("How much is the Harbour Scholarship?", "It pays 900 EUR a month.", "the source says 850 EUR, the answer 900 EUR"),
    (
        "Where is the Harbour Office?",
        "The Harbour Office is in Room 3.14.",
        "the source says Room 2.14, the answer Room 3.14",
    ),
    (
        "How often may a thesis be repeated?",
        "A thesis may be repeated twice.",
        "the source says once, the answer twice",
    ),
    ("Can I get the fee back?", "Yes, the application fee is refundable.", "the source denies what the answer says"),
    ("Is attendance required?", "Attendance is required for lectures.", "the source denies what the answer says"),
    ("May I come by bicycle?", "Bicycles are not allowed in the yard.", "the answer denies what the source says"),
    (
        "Who heads the Harbour Office?",
        "Dr John Smith heads the Harbour Office.",
        "the source names Dr Amara Lindqvist, the answer Dr John Smith",
    ),
    ("What GRE score do I need?", "You need a GRE score of 310.", "the source says that there is none, the answer 310"),
]


@pytest.mark.parametrize(("question", "answer"), RIGHT)
def test_a_right_answer_is_supported(question: str, answer: str) -> None:
    result = checked(question, answer)
    assert result.verdict == "right", reasons(result)


@pytest.mark.parametrize(("question", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_contradicted_with_both_values(question: str, answer: str, reason: str) -> None:
    result = checked(question, answer)
    assert result.verdict == "false"
    assert reason in reasons(result)


def test_a_value_of_another_subject_is_no_support() -> None:
    result = checked("What IELTS do I need for Tidal Physics?", "The M.Sc. in Tidal Physics asks for an IELTS of 7.0.")
    assert result.verdict == "false"


def test_a_rule_of_another_subject_is_no_contradiction() -> None:
    result = checked("How much does the Reed Scholarship pay?", "The Reed Scholarship pays 500 EUR a month.")
    assert [claim.support for claim in result.claims if claim.claim.part == "answer"] == ["not_found"]
    assert "no source knows 'Reed Scholarship'" in reasons(result)


def test_an_attribute_that_no_source_speaks_of_is_not_found() -> None:
    result = checked("How high is the deposit for a locker?", "The locker deposit is 20 EUR.")
    assert result.claims[0].support == "not_found"
    assert result.verdict == "doubtful"


def test_the_date_from_which_is_not_held_against_the_date_until_which() -> None:
    passage = Passage("p", "a.md", "line 1", "Library card", "The library card is valid from 1 May until 31 July.")
    statement = Statement("1", "When does the library card begin?", "The library card is valid from 31 July.")
    result = check_answers([statement], Sources([passage], ""), [ExactVerifier([passage])])[0]
    assert result.verdict == "false"
    assert reasons(result) == ["the source says 1 May, the answer 31 July"]


def test_a_number_in_a_column_has_the_unit_of_its_header() -> None:
    result = checked("What is the tuition for Dance?", "Tuition for the B.A. in Dance is 950 euros per semester.")
    assert reasons(result)[0] == "the source says 900, the answer 950 euros"


def test_the_same_words_with_an_exception_are_no_contradiction() -> None:
    passage = Passage("p", "a.md", "line 1", "Dogs", "Dogs are not allowed in lecture halls, except assistance dogs.")
    statement = Statement("1", "May I bring my assistance dog?", "Assistance dogs are allowed in lecture halls.")
    result = check_answers([statement], Sources([passage], ""), [ExactVerifier([passage])])[0]
    assert result.verdict != "false"


def test_every_quotation_stands_in_its_passage() -> None:
    texts = {passage.id: passage.text for passage in PASSAGES}
    statements = [Statement(str(at), row[0], row[1]) for at, row in enumerate([*RIGHT, *WRONG])]
    evidence = [
        one
        for answer in check_answers(statements, sources(), [ExactVerifier(PASSAGES)])
        for claim in answer.claims
        for verdict in claim.verdicts
        for one in verdict.evidence
    ]
    assert len(evidence) >= len(statements)
    assert all(one.quotation and one.quotation in texts[one.passage_id] for one in evidence)


def test_the_order_of_claims_changes_no_verdict() -> None:
    statements = [Statement(str(at), row[0], row[1]) for at, row in enumerate([*RIGHT, *WRONG])]
    there = check_answers(statements, sources(), [ExactVerifier(PASSAGES)])
    back = check_answers(statements[::-1], sources(), [ExactVerifier(PASSAGES)])
    assert there == back[::-1]


def test_a_bare_yes_is_held_against_what_the_source_says_of_the_question() -> None:
    passage = Passage(
        "p", "a.md", "line 1", "Examinations", "Pocket calculators are not allowed in written examinations."
    )
    statement = Statement("1", "Can I use pocket calculators in written examinations?", "Yes, if you register them.")
    result = check_answers([statement], Sources([passage], ""), [ExactVerifier([passage])])[0]
    assert result.verdict == "false"


def held_against(text: str, question: str, answer: str, heading: str = "") -> CheckedAnswer:
    """The answer held against one passage."""
    passage = Passage("p", "a.md", "line 1", heading, text)
    return check_answers([Statement("1", question, answer)], Sources([passage], ""), [ExactVerifier([passage])])[0]


def test_a_denial_for_some_makes_no_false_premise_for_all() -> None:
    source = "The ticket share is 61 euros. Students on leave have no semester ticket."
    result = held_against(source, "What goes to the semester ticket?", "The ticket share is 61 euros.")
    assert not result.false_premise
    result = held_against(source, "What do students on leave pay for the semester ticket?", "They pay 61 euros.")
    assert result.false_premise


def test_to_study_a_subject_takes_its_programme_to_exist() -> None:
    result = held_against("There is no programme in Psychology.", "Can I study psychology here?", "Yes, you can.")
    assert result.verdict == "false"


def test_a_short_answer_is_taken_up_with_its_question() -> None:
    source = "Dogs are not allowed in lecture halls."
    result = held_against(source, "Are dogs allowed in lecture halls?", "They are allowed.")
    assert result.verdict == "false"


def test_a_name_behind_its_title_is_that_of_the_role() -> None:
    source = (
        "Programme: B.A. Dance; Coordinator: Dr Amara Lindqvist\n"
        "Agreements are signed in June, courses planned in July, letters read in August."
    )
    answer = "Dr John Smith coordinates the B.A. in Dance, plans courses, reads letters and signs agreements."
    result = held_against(source, "Who signs agreements in the B.A. in Dance?", answer)
    assert reasons(result)[0] == "the source names Dr Amara Lindqvist, the answer Dr John Smith"


@pytest.mark.parametrize("text", ["20 May is the last day.", "The closing date of it is 20 May.", "Up to 20 May."])
def test_a_last_day_is_one_until_which(text: str) -> None:
    assert [fact.role for fact in claim_facts(text)] == ["until"]


def test_a_name_of_another_subject_contradicts_none() -> None:
    source = (
        "The Harbour Office is led by Ms Ada Rasmora. It is old.\nThe office is in Weir House and led by Ms Ina Mark."
    )
    answer = "The Harbour Office in Weir House is led by Ms Ada Rasmora."
    assert held_against(source, "Who leads the Harbour Office?", answer).verdict != "false"


def test_a_line_about_the_subject_counts_even_where_the_search_did_not_find_it() -> None:
    about = Passage("about", "harbour-prize.md", "line 1", "Harbour Prize", "The last day is 1 June.")
    others = [
        Passage(f"p{at}", "b.md", f"line {at}", "Prizes", f"Until which day is entry {at} for the prize taken?")
        for at in range(30)
    ]
    passages = [*others, about]
    statement = Statement("1", "Until which day is entry taken?", "Entry for the Harbour Prize is taken until 9 May.")
    verifier = ExactVerifier(passages)
    claim = check_answers([statement], Sources(passages, ""), [verifier])[0].claims[0].claim
    (verdict,) = verifier.verify([claim], [others[:5]])
    assert verdict is not None
    assert [one.passage_id for one in verdict.evidence] == ["about"]


def test_a_name_that_very_many_lines_stand_under_singles_none_of_them_out() -> None:
    """The name of the institution itself: each claim would be held against all of the sources."""
    rooms = [Passage(f"p{at}", "a.md", "line 1", "Harbour School", f"Room {at} has a window.") for at in range(120)]
    passages = [*rooms, Passage("fee", "a.md", "line 1", "Harbour School", "The library fee is 30 EUR.")]
    statement = Statement("1", "What is the library fee?", "The library fee of the Harbour School is 50 EUR.")
    for many, support in ((passages[-60:], "contradicted"), (passages, "not_found")):
        verifier = ExactVerifier(many)
        claim = check_answers([statement], Sources(many, ""), [verifier])[0].claims[0].claim
        (verdict,) = verifier.verify([claim], [rooms[-5:]])
        assert verdict is not None
        assert verdict.support == support


_TELL = """
import sys
from pathlib import Path
from relaytune.core.claims import Statement
from relaytune.core.screen import Screen
from relaytune.facts.checking import check_answers
from relaytune.facts.sources import read_sources
from relaytune.facts.verifying.exact import ExactVerifier

sources = read_sources(Path(sys.argv[1]), Screen.silent(), embeddings=False)
question = "I would like to take the winter semester off. When is the request due?"
statement = Statement("1", question, "It is due by 30 September. You may take two semesters of leave in all.")
print(check_answers([statement], sources, [ExactVerifier(sources.passages)])[0])
"""


def test_each_process_gives_the_same_verdicts_with_the_same_evidence() -> None:
    """Two lines fit equally well; a set of words has another order in each process."""
    handbook = Path(__file__).parents[3] / "examples" / "advisor" / "handbook"
    told = {
        subprocess.run(
            [sys.executable, "-c", _TELL, str(handbook)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(told) == 1
