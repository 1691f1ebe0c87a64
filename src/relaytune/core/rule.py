"""The decision rule: sentences that a person reads and a program applies.

tuned beats best_prompt on label_accuracy            a paired exact test, two-sided, 5%, in its favour
tuned beats base on accuracy or preference           on any of them, corrected for their number (Holm)
tuned no worse than base on general_right within 0.1 the 95% interval of the difference excludes a larger loss
tuned label_accuracy at least 0.70                   the observed value
tuned contract_pass at most 0.50                     the observed value

Under `never_when`, which forbids keep, a metric of tuned against the best prompt:

contract_pass falls                                  a fall of more than 0.05 is not excluded
factual_errors rises by more than 0.1                a rise of more than 0.1 is not excluded

Where answers are held against sources (`data.facts`), a rule without a clause on factual_errors also says: discard when
base beats tuned on factual_errors.

The whole rule may be one text: `keep when … and …; never when … or …; discard when … or …`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from relaytune.core.files import sha256_of_value
from relaytune.core.metrics import FACTUAL_ERRORS

BEST_PROMPT = "best_prompt"  # whichever of base and few_shot does better on the clause's metric
DEFAULT_MARGIN = 0.05  # of shares: what "falls" and "rises" leave to chance

_NUMBER = r"(-?(?:\d+(?:\.\d+)?|\.\d+))"
_BEATS = re.compile(r"^(\w+) beats (\w+) on (\w+(?: or \w+)*)$")
_NO_WORSE = re.compile(rf"^(\w+) (?:is )?no worse than (\w+) on (\w+) within {_NUMBER}$")
_LEVEL = re.compile(rf"^(\w+) (\w+) at (least|most) {_NUMBER}$")
_CHANGES = re.compile(rf"^(?:tuned )?(\w+(?: \w+)*?) (fall|rise)s?(?: by more than {_NUMBER})?$")
_AND = re.compile(r"\s+and\s+")
_OR = re.compile(r"\s+or\s+(?=\w+\s+(?!or\b)\w)")  # a word by itself is a further metric, no sentence

ClauseKind = Literal["beats", "no_worse", "at_least", "at_most", "falls", "rises"]


@dataclass(frozen=True)
class Clause:
    """One sentence of a rule. `threshold` is a level or a margin, `other` who is compared with."""

    text: str
    contender: str
    metrics: tuple[str, ...]
    kind: ClauseKind
    other: str | None = None
    threshold: float | None = None

    @property
    def metric(self) -> str:
        """The metric; of several the first."""
        return self.metrics[0]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            parse_clause,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda clause: clause.text),
        )


def parse_clause(value: Any) -> Clause:
    """Read one sentence.

    Raises:
        ValueError: it is of no form that is understood.
    """
    if isinstance(value, Clause):
        return value
    text = " ".join(value.split()) if isinstance(value, str) else str(value)
    text = text.replace("best prompt", BEST_PROMPT)
    if match := _BEATS.match(text):
        contender, other, metrics = match.groups()
        _refuse_same(text, contender, other)
        return Clause(text, contender, tuple(metrics.split(" or ")), "beats", other)
    if match := _NO_WORSE.match(text):
        contender, other, metric, margin = match.groups()
        _refuse_same(text, contender, other)
        if float(margin) <= 0:
            raise ValueError(f"{text!r}: the margin should be more than 0")
        return Clause(text, contender, (metric,), "no_worse", other, float(margin))
    if match := _LEVEL.match(text):
        contender, metric, direction, number = match.groups()
        kind: ClauseKind = "at_least" if direction == "least" else "at_most"
        return Clause(text, contender, (metric,), kind, threshold=float(number))
    if match := _CHANGES.match(text):
        metric, change, margin = match.groups()
        if margin is not None and float(margin) <= 0:
            raise ValueError(f"{text!r}: the margin should be more than 0")
        kind = "falls" if change == "fall" else "rises"
        return Clause(text, "tuned", (metric.replace(" ", "_"),), kind, BEST_PROMPT, float(margin) if margin else None)
    raise ValueError(
        f"{text!r} is not understood; write 'tuned beats best_prompt on label_accuracy', 'tuned label_accuracy at "
        "least 0.7', 'tuned no worse than base on contract_pass within 0.05' or (never_when) 'contract_pass falls'"
    )


def guard_sentence(contender: str = "tuned", other: str = "base") -> str:
    """What discards a contender that errs more than the other, where the rule itself says nothing of facts."""
    return f"{other} beats {contender} on {FACTUAL_ERRORS}"


def _refuse_same(text: str, contender: str, other: str) -> None:
    if contender == other:
        raise ValueError(f"{text!r} compares {contender} with itself")


class DecisionRule(BaseModel):
    """Keep when all of `keep_when` hold and none of `never_when`; discard when any of `discard_when` holds; iterate
    otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_when: tuple[Clause, ...] = Field(min_length=1)
    never_when: tuple[Clause, ...] = ()
    discard_when: tuple[Clause, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_text_or_lists(cls, value: Any) -> Any:
        return _lists_of(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _changes_only_forbid(self) -> DecisionRule:
        for clause in (*self.keep_when, *self.discard_when):
            if clause.kind in ("falls", "rises"):
                raise ValueError(f"{clause.text!r} belongs under never_when: it forbids keep where it is not excluded")
        return self

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """All of them."""
        return (*self.keep_when, *self.never_when, *self.discard_when)

    def guarding_facts(self, contender: str = "tuned", other: str = "base") -> DecisionRule:
        """The rule, with a discard where the contender errs more than the other, unless it speaks of factual errors."""
        if any(FACTUAL_ERRORS in clause.metrics for clause in self.clauses):
            return self
        guard = parse_clause(guard_sentence(contender, other))
        return self.model_copy(update={"discard_when": (*self.discard_when, guard)})

    @property
    def sentence(self) -> str:
        """The whole rule in one text."""
        parts = [
            ("keep when ", " and ", self.keep_when),
            ("never when ", " or ", self.never_when),
            ("discard when ", " or ", self.discard_when),
        ]
        return "; ".join(head + glue.join(c.text for c in clauses) for head, glue, clauses in parts if clauses)

    @property
    def hash(self) -> str:
        """sha256 of the rule's sentences."""
        # a rule without never_when has the hash that it had before there was never_when
        return sha256_of_value(self.model_dump(mode="json", exclude=None if self.never_when else {"never_when"}))


def _lists_of(text: str) -> dict[str, list[str]]:
    """`keep when A and B; never when C or D` as lists.

    Raises:
        ValueError: a part begins otherwise, or one beginning stands twice.
    """
    glue = {"keep": _AND, "never": _OR, "discard": _OR}
    lists: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = re.match(r"^(keep|never|discard) when\s+(.+)$", part, re.DOTALL)
        if match is None or f"{match[1]}_when" in lists:
            raise ValueError(
                f"{part!r}: each part begins with 'keep when', 'never when' or 'discard when', each once, and parts "
                "are set apart by semicolons"
            )
        lists[f"{match[1]}_when"] = glue[match[1]].split(match[2])
    return lists
