"""The decision rule: sentences that a person reads and a program applies.

tuned beats best_prompt on label_accuracy            a paired exact McNemar test, two-sided, 5%, in its favour
tuned label_accuracy at least 0.70                   the observed rate
tuned contract_pass at most 0.50                     the observed rate
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from relaytune.core.files import sha256_of_value

# best_prompt: whichever of base and few_shot is right more often on the clause's metric
RuleContender = Literal["base", "few_shot", "tuned", "best_prompt"]
_CONTENDER = "base|few_shot|tuned|best_prompt"
_BEATS = re.compile(rf"^({_CONTENDER}) beats ({_CONTENDER}) on (\w+)$")
_LEVEL = re.compile(rf"^({_CONTENDER}) (\w+) at (least|most) ([01](?:\.\d+)?|\.\d+)$")


@dataclass(frozen=True)
class Clause:
    """One sentence of a rule: a comparison (`other` given) or a level (`threshold` given)."""

    text: str
    contender: RuleContender
    metric: str
    kind: Literal["beats", "at_least", "at_most"]
    other: RuleContender | None = None
    threshold: float | None = None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            parse_clause,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda clause: clause.text),
        )


def parse_clause(value: Any) -> Clause:
    """Read one sentence.

    Raises:
        ValueError: it is not of the two forms that are understood.
    """
    if isinstance(value, Clause):
        return value
    text = " ".join(value.split()) if isinstance(value, str) else str(value)
    if match := _BEATS.match(text):
        contender, other, metric = match.groups()
        if contender == other:
            raise ValueError(f"{text!r} compares {contender} with itself")
        return Clause(text, contender, metric, "beats", other=other)  # type: ignore[arg-type]
    if match := _LEVEL.match(text):
        contender, metric, direction, number = match.groups()
        kind: Literal["at_least", "at_most"] = "at_least" if direction == "least" else "at_most"
        if not 0 <= float(number) <= 1:
            raise ValueError(f"{text!r}: a rate lies between 0 and 1")
        return Clause(text, contender, metric, kind, threshold=float(number))  # type: ignore[arg-type]
    raise ValueError(
        f"{text!r} is not understood; write 'tuned beats best_prompt on label_accuracy' or "
        f"'tuned label_accuracy at least 0.7' (contenders: {_CONTENDER.replace('|', ', ')})"
    )


class DecisionRule(BaseModel):
    """Keep when all of `keep_when` hold; discard when any of `discard_when` holds; iterate otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_when: tuple[Clause, ...] = Field(min_length=1)
    discard_when: tuple[Clause, ...] = ()

    @property
    def hash(self) -> str:
        """sha256 of the rule's sentences."""
        return sha256_of_value(self.model_dump(mode="json"))
