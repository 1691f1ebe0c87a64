"""A small handbook, searched by shared words."""

from __future__ import annotations

from relaytune.core.claims import CheckedAnswer, Passage, Statement
from relaytune.facts.checking import check_answers
from relaytune.facts.sources import Sources
from relaytune.facts.verifying.exact import ExactVerifier

TEXTS = (
    (
        "Fees › Application fee",
        "The application fee is 70 EUR for applicants from the EU and 95 EUR for all others. It is not refundable.",
    ),
    (
        "Fees › Semester fee",
        "The semester fee is 214 EUR. It must be paid by 15 September for the winter semester and by 15 "
        "March for the summer semester.",
    ),
    (
        "Fees › Tuition",
        "Programme: M.Sc. Tidal Physics; Tuition per semester (euros): 1,200\nProgramme: B.A. Dance; "
        "Tuition per semester (euros): 900",
    ),
    (
        "Admission › Scores",
        "Programme: M.Sc. Tidal Physics; Minimum IELTS: 6.5; Credits: 120\nProgramme: M.Sc. Marine Law; "
        "Minimum IELTS: 7.0; Credits: 90\nProgramme: B.A. Dance; Minimum IELTS: 6.0; Credits: 180",
    ),
    (
        "Scholarships › Harbour Scholarship",
        "The Harbour Scholarship pays 850 EUR a month for up to two years. Applications close on 30 "
        "April. Students may not hold another scholarship at the same time.",
    ),
    (
        "Scholarships › Dune Scholarship",
        "The Dune Scholarship pays 300 EUR a month. Applications close on 1 June.",
    ),
    (
        "Offices › Harbour Office",
        "The Harbour Office is in Room 2.14. It is open Monday to Thursday from 9:00 to 12:00. Its head "
        "is Dr Amara Lindqvist.",
    ),
    (
        "Offices › Finance Office",
        "The Finance Office issues invoices. Its head is Mr Tom Berg.",
    ),
    (
        "What we do not offer",
        "There is no programme in Kite Design. There is no faculty of law. The GRE is not asked for.",
    ),
    (
        "Rules",
        "A thesis may be repeated once. Attendance is optional for lectures. Bicycles are allowed in the "
        "yard. The minimum age is 18 years.",
    ),
)
PASSAGES = tuple(
    Passage(f"p{number}", "handbook.md", f"line {number}", heading, text)
    for number, (heading, text) in enumerate(TEXTS)
)


def sources() -> Sources:
    return Sources(PASSAGES, "")


def checked(question: str, answer: str) -> CheckedAnswer:
    """The answer held against the handbook by the exact verifier."""
    return check_answers([Statement("1", question, answer)], sources(), [ExactVerifier(PASSAGES)])[0]


def reasons(answer: CheckedAnswer) -> list[str]:
    return [verdict.reason for claim in answer.claims for verdict in claim.verdicts]
