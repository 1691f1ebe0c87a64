"""What an answer must look like, and the one function that reads an answer against it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Self, get_args

import jsonschema
from pydantic import BaseModel, ConfigDict, Field, model_validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from relaytune.core.numeric import read_number
from relaytune.core.section import Section

Kind = Literal["json_schema", "labels", "regex", "number", "free_text"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class NumberContract(Section):
    """The answer gives a number (core/numeric.py says what one is); around it any text may stand."""

    after: str | None = Field(
        default=None,
        min_length=1,
        description='the mark that the number stands behind, e.g. "####"; none: the last number in the answer counts',
    )
    tolerance: float = Field(default=0.0, ge=0, description="how far a right number may be off")
    relative_tolerance: float = Field(default=0.0, ge=0, lt=1, description="the same, as a share of the right number")

    def agrees(self, number: Fraction, expected: Fraction) -> bool:
        """Whether a number is within the larger of the two tolerances. Exact: 0.8 is 0.1 from 0.7."""
        tolerance, relative = Fraction(str(self.tolerance)), Fraction(str(self.relative_tolerance))
        return abs(number - expected) <= max(tolerance, relative * abs(expected))


class Contract(BaseModel):
    """Exactly one of `json_schema`, `labels`, `regex`, `number`, `free_text`.

    `label` names the field of a JSON answer that holds the judgement; its allowed values are the schema's
    `enum`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    json_schema: dict[str, Any] | None = Field(
        default=None, description="the answer is JSON that satisfies this schema"
    )
    labels: tuple[str, ...] | None = Field(default=None, description="the answer is exactly one of these")
    regex: str | None = Field(default=None, description="the whole answer matches this regular expression")
    number: NumberContract | None = Field(default=None, description="the answer gives a number; {}: the last one in it")
    free_text: str | None = Field(default=None, description="any text; this rubric says what a good one is")
    label: str | None = Field(default=None, description="with json_schema: the field that holds the label")

    @model_validator(mode="after")
    def _one_kind_that_is_valid(self) -> Self:
        kinds = [name for name in KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of {', '.join(KINDS)}; found {', '.join(kinds) or 'none'}")
        if self.json_schema is not None:
            try:
                jsonschema.Draft202012Validator.check_schema(self.json_schema)
            except jsonschema.SchemaError as error:
                raise ValueError(f"json_schema is not a valid JSON Schema: {error.message}") from error
            if broken := _broken_reference(self.json_schema):
                raise ValueError(f"json_schema: $ref {broken!r} leads nowhere in the schema, and nothing is fetched")
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(f"regex does not compile: {error}") from error
        if self.labels is not None and (len(self.labels) < 2 or len(set(self.labels)) != len(self.labels)):
            raise ValueError("labels needs at least two different labels, each once")
        if self.label is not None and not self._enum_of_label():
            raise ValueError(
                f"label: {self.label!r} needs a field of that name with an enum of texts in json_schema.properties"
            )
        return self

    def _enum_of_label(self) -> tuple[str, ...]:
        field = ((self.json_schema or {}).get("properties") or {}).get(self.label)
        values = field.get("enum", []) if isinstance(field, dict) else []
        return tuple(values) if values and all(isinstance(value, str) for value in values) else ()

    @property
    def allowed_labels(self) -> tuple[str, ...]:
        """The labels among which an answer judges; empty where the contract has none."""
        return self.labels if self.labels is not None else self._enum_of_label()

    @property
    def kind(self) -> Kind:
        """Which of the five kinds this contract is."""
        return next(name for name in KINDS if getattr(self, name) is not None)


def _broken_reference(json_schema: dict[str, Any]) -> str:
    """The first `$ref` that leads nowhere; it would otherwise surface only when an answer reaches it."""
    whole = DRAFT202012.create_resource(json_schema)
    parts = [(whole, Registry().resolver_with_root(whole))]
    while parts:
        part, resolver = parts.pop()
        if isinstance(part.contents, dict) and "$ref" in part.contents:
            try:
                resolver.lookup(part.contents["$ref"])
            except Unresolvable:
                return str(part.contents["$ref"])
        parts.extend((inner, resolver.in_subresource(inner)) for inner in part.subresources())
    return ""


@dataclass(frozen=True)
class Answer:
    """An answer as read: does it parse, does it keep the contract, which label or number does it give.

    `value` is of JSON; of a number it is the exact value as text, e.g. "37/2".
    """

    parses: bool
    passes: bool
    value: Any = None
    label: str | None = None
    problem: str = ""
    number: Fraction | None = None


def read_answer(contract: Contract, text: str) -> Answer:
    """Read one answer strictly: white space around it is forgiven, anything else is not."""
    text = text.strip()
    if contract.json_schema is not None:
        return _read_json(contract, text)
    if contract.labels is not None:
        allowed = text in contract.labels
        problem = "" if allowed else f"{_shown(text)} is not one of the {len(contract.labels)} allowed labels"
        return Answer(True, allowed, text, text if allowed else None, problem)
    if contract.regex is not None:
        matches = re.fullmatch(contract.regex, text) is not None
        return Answer(
            matches, matches, text, None, "" if matches else f"{_shown(text)} does not match {contract.regex}"
        )
    if contract.number is not None:
        number, problem = read_number(text, contract.number.after)
        value = None if number is None else str(number)
        return Answer(number is not None, not problem, value, None, problem, number)
    return Answer(True, bool(text), text, None, "" if text else "the answer is empty")


def _read_json(contract: Contract, text: str) -> Answer:
    assert contract.json_schema is not None
    validator = jsonschema.Draft202012Validator(contract.json_schema)
    try:
        value = json.loads(text, object_pairs_hook=_refuse_repeated_keys, parse_constant=_refuse_constant)
        faults = sorted(validator.iter_errors(value), key=lambda fault: fault.json_path)
    except ValueError as error:
        return Answer(False, False, problem=f"not JSON: {error}")
    except RecursionError:
        return Answer(False, False, problem="not read: nested too deeply")
    except OverflowError:  # from multipleOf, which divides
        return Answer(False, False, problem="not read: a number is too large")
    label = value.get(contract.label) if contract.label and isinstance(value, dict) else None
    label = label if isinstance(label, str) and label in contract.allowed_labels else None
    problem = "; ".join(f"{fault.json_path}: {fault.message[:200]}" for fault in faults)
    return Answer(True, not faults, value, label, problem)


def label_span(contract: Contract, completion: str) -> tuple[int, int]:
    """Where the label stands in a completion, in characters; (0, 0) where it has none."""
    label = read_answer(contract, completion).label
    if label is None:
        return 0, 0
    if contract.json_schema is None:
        return 0, len(completion)
    key, value = _spellings(contract.label or ""), _spellings(label)
    found = re.search(rf"(?:{key})\s*:\s*({value})", completion)
    # inside the quotation marks, which every label shares
    return (found.start(1) + 1, found.end(1) - 1) if found else (0, 0)


def _spellings(text: str) -> str:
    """A pattern for a JSON string with its letters as they are or escaped."""
    return "|".join(re.escape(json.dumps(text, ensure_ascii=ascii_only)) for ascii_only in (False, True))


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return dict(pairs)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _shown(text: str, limit: int = 120) -> str:
    text = text.replace("\n", " ")
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
