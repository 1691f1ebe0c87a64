"""What the audit of the training answers found: each answer, the rates, and what the gate says to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from relaytune.core.claims import AnswerVerdict, CheckedAnswer, Statement
from relaytune.core.results import Share

HumanVerdict = Literal["right", "doubtful", "false"]
HUMAN_VERDICTS: tuple[HumanVerdict, ...] = ("right", "doubtful", "false")  # the later one is the more severe

# clearly_false: the verdict is false; inclusive: false or doubtful; false_premise: the question takes something for
# granted that is not so; unchecked: the answer claims nothing that can be checked
RateName = Literal["clearly_false", "inclusive", "false_premise", "unchecked"]

UNTOLD = "untold"  # of a claim: no verifier could tell anything, so that it says nothing of the answer


@dataclass(frozen=True)
class HumanLabel:
    """What one person says of an answer."""

    labeller: str
    label: HumanVerdict
    note: str = ""


@dataclass(frozen=True)
class AuditedAnswer:
    """One audited training row: what its verifiers found, and what people say."""

    statement: Statement
    source: str  # file:line
    stratum: str  # empty where the sample is simple
    checked: CheckedAnswer
    labels: tuple[HumanLabel, ...] = ()

    @property
    def id(self) -> str:
        """Of the example."""
        return self.statement.id

    @property
    def human_verdict(self) -> HumanVerdict | None:
        """What most people say; the more severe one where they are even; None without labels."""
        said = [given.label for given in self.labels]
        return max(said, key=lambda label: (said.count(label), HUMAN_VERDICTS.index(label)), default=None)

    @property
    def verdict(self) -> AnswerVerdict:
        """The verdict that counts: people's, else the verifiers'."""
        return self.human_verdict or self.checked.verdict


@dataclass(frozen=True)
class RateInterval:
    """A share of rows, and its 95% interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Correction:
    """A rate corrected for the verifiers' errors, from the rows that people labelled."""

    rate: RateInterval
    num_labels: int
    sensitivity: Share  # of rows that people fault, those that the verifiers fault
    specificity: Share  # of rows that people do not fault, those that the verifiers do not


@dataclass(frozen=True)
class Rate:
    """One rate among all rows to train on, from those audited. Where people labelled a row, their word counts."""

    count: int  # audited rows that it counts
    rate: RateInterval
    corrected: Correction | None = None

    @property
    def best(self) -> RateInterval:
        """The corrected rate where one is stated."""
        return self.corrected.rate if self.corrected else self.rate


@dataclass(frozen=True)
class PeoplesPart:
    """The rows that people labelled."""

    labellers: tuple[str, ...]
    num_labelled: int  # audited rows with a label
    num_unused: int  # labels of rows that are not in the sample
    num_in_order: int  # labelled without a gap from the first drawn on: a random choice, which a correction needs
    first_gap: str  # file:line of the row where that ends; empty: no labelled row stands behind it
    num_by_several: int
    num_disagreed: int  # of these
    no_correction: str  # why no corrected rate is stated; empty where one is


@dataclass(frozen=True)
class GateResult:
    """Whether training may begin, on which rows, and with which rate of errors among them."""

    passed: bool
    refusals: tuple[str, ...]  # sentences; empty where it passed
    dropped: tuple[str, ...]  # ids of audited rows that are false and left out
    num_out_otherwise: int  # rows of the population that a trace or a person took out
    num_remaining: int
    before: RateInterval  # of the rate that the recipe's `count` names, over all rows
    after: RateInterval  # over the rows that remain


@dataclass(frozen=True)
class AuditResult:
    """A sample of the training answers, held against sources (audit.json)."""

    num_rows: int  # different rows to train and validate on, before any is left out
    num_audited: int
    plan: str  # how many rows, and why so many
    stratified_by: str  # empty: a simple sample
    num_strata: int
    rates: Mapping[RateName, Rate]
    faults: Mapping[str, int]  # kind of what is contradicted → answers; `premise` too
    num_claims: int
    claims: Mapping[str, int]  # support, or UNTOLD → claims
    verifiers: tuple[str, ...]
    num_documents: int
    num_passages: int
    more_rows: int  # to audit, for an interval half as wide
    people: PeoplesPart | None
    gate: GateResult
    checked_under: str  # hash of sources and verifiers: verdicts found under the same are not sought again
    stamps: tuple[str, ...]  # what every report of this audit must say
