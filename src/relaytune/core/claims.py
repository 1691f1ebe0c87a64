"""What is known of answers: claims, the passages of sources that they are held against, and verdicts with evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# of one claim, by one verifier
Support = Literal["supported", "contradicted", "not_found"]
# what in a claim can be checked; `statement`: nothing but its meaning
ClaimKind = Literal["amount", "date", "number", "score", "name", "negation", "statement"]
# of a whole answer: right: every claim that could be checked is supported; doubtful: something in it is not found;
# false: something is contradicted, or it builds on a false premise; unchecked: it claims nothing that can be checked
AnswerVerdict = Literal["right", "doubtful", "false", "unchecked"]


@dataclass(frozen=True)
class Passage:
    """A piece of a source that can be cited. `place` is within the document: "lines 12-18" or "page 3"."""

    id: str  # made of document, place and text
    document: str  # relative to the folder of sources, with /
    place: str
    heading: str  # "Fees › Application fee"; empty: none
    text: str

    @property
    def citation(self) -> str:
        """Where it stands, for people."""
        return f"{self.document}, {self.place}"


@dataclass(frozen=True)
class Statement:
    """A question and an answer to it: of a training row, or of a contender to a held-out row."""

    id: str  # of the example
    question: str
    answer: str


@dataclass(frozen=True)
class Claim:
    """One thing that an answer says, or that a question takes for granted, in its own words."""

    id: str  # made of the statement's id, part and text
    statement_id: str
    part: Literal["question", "answer"]
    text: str  # verbatim
    context: str  # what its words refer to: the question and the sentences before it, as far as they are needed
    kinds: tuple[ClaimKind, ...]


@dataclass(frozen=True)
class Evidence:
    """The words of a source that a verdict rests on, verbatim."""

    passage_id: str
    document: str
    place: str
    quotation: str


@dataclass(frozen=True)
class ClaimVerdict:
    """What one verifier found. `verifier` is `exact`, `entailment:<model>`, `judge:<title>` or `human:<name>`."""

    support: Support
    verifier: str
    reason: str  # e.g. "the source says 70 EUR, the answer 85 EUR"
    evidence: tuple[Evidence, ...] = ()
    kind: ClaimKind | None = None  # what was compared; of a contradiction, what is wrong


@dataclass(frozen=True)
class CheckedClaim:
    """A claim and what its verifiers found; `verdicts` is empty where none could tell, else the first counts."""

    claim: Claim
    verdicts: tuple[ClaimVerdict, ...]

    @property
    def support(self) -> Support:
        """The verdict that counts."""
        return self.verdicts[0].support if self.verdicts else "not_found"

    @property
    def is_false_premise(self) -> bool:
        """Whether a question takes for granted what the sources contradict, or names what they do not know."""
        if self.claim.part != "question" or not self.verdicts:
            return False
        counts = self.verdicts[0]
        return counts.support == "contradicted" or (counts.support == "not_found" and counts.kind == "name")


@dataclass(frozen=True)
class CheckedAnswer:
    """All claims of one statement, and what they amount to."""

    id: str  # of the example
    verdict: AnswerVerdict
    false_premise: bool  # the question takes something for granted that the sources contradict or do not know
    abstained: bool  # the answer says that it does not know
    claims: tuple[CheckedClaim, ...]
