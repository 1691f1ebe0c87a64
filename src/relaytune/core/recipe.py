"""The recipe: one YAML file that says everything about a run. Unknown keys are errors."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator

from relaytune.core.contract import Contract
from relaytune.core.criteria import Criteria
from relaytune.core.errors import RecipeError
from relaytune.core.facts import Facts
from relaytune.core.files import sha256_of_value
from relaytune.core.judging import Judging
from relaytune.core.metrics import FACT_METRICS, Metric, metrics_of
from relaytune.core.rule import BEST_PROMPT, Clause, DecisionRule
from relaytune.core.section import Section
from relaytune.core.sections import (
    CONTENDERS,
    BaseModelChoice,
    Data,
    Evaluation,
    Lora,
    Session,
    Task,
    Training,
)
from relaytune.core.yaml_text import dump_yaml, parse_yaml

Kind = TypeVar("Kind", bound=Section)


class Recipe(Section):
    """Everything about a run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    task: Task
    contract: Contract
    data: Data
    base_model: BaseModelChoice
    lora: Lora = Lora.model_validate({})
    training: Training = Training.model_validate({})
    session: Session = Session.model_validate({})
    evaluation: Evaluation = Evaluation.model_validate({})
    judging: Judging | None = None
    decision: DecisionRule

    @field_validator("decision")
    @classmethod
    def _guard_facts(cls, rule: DecisionRule, others: ValidationInfo) -> DecisionRule:
        data = others.data.get("data")  # absent where it is faulty
        return rule.guarding_facts() if data is not None and data.facts is not None else rule

    @property
    def criteria(self) -> Criteria:
        """By what its answers are measured."""
        return Criteria(
            self.contract,
            self.evaluation,
            self.judging,
            self.decision,
            self.data.generator,
            self.base_model.name,
            self.data.facts,
        )

    def as_json(self) -> dict[str, Any]:
        """The resolved recipe, defaults included, as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def hash(self) -> str:
        """sha256 of the resolved recipe."""
        return sha256_of_value(self.as_json())


def rule_problems(
    rule: DecisionRule, metrics: Mapping[str, Metric], contenders: Sequence[str], sources_key: str
) -> list[str]:
    """What the rule names and is not there, and levels that no value can have; `sources_key` would name the sources."""
    unsourced = {
        name: clause.text
        for clause in reversed(rule.clauses)
        for name in clause.metrics
        if name in FACT_METRICS and name not in metrics
    }
    problems = [
        f"{text!r} names {name}, which needs {sources_key}: a folder of documents that answers are held against"
        for name, text in reversed(unsourced.items())
    ]
    for clause in rule.clauses:
        unknown = [name for name in clause.metrics if name not in metrics and name not in unsourced]
        strangers = [name for name in (clause.contender, clause.other) if name and name not in contenders]
        if unknown:
            known = f"measured here: {', '.join(metrics)}"
            problems.append(f"{clause.text!r} names {', '.join(unknown)}; {known}")
        elif strangers:
            problems.append(f"{clause.text!r} names {', '.join(strangers)}; contenders: {', '.join(contenders)}")
        elif clause.metric in metrics:
            problems += [f"{clause.text!r}: {fault}" for fault in _threshold_faults(clause, metrics[clause.metric])]
    return problems


def criterion_problems(judging: Judging | None, facts: Facts | None) -> list[str]:
    """Criteria of judges that are called as what is measured against sources: one name would mean two things."""
    taken = [name for name in (judging.criteria if judging and facts else ()) if name in FACT_METRICS]
    return [
        f"judging.criteria: {name} is what is measured against the sources of facts; call what judges say of it "
        f"otherwise, e.g. judged_{name}"
        for name in taken
    ]


def _threshold_faults(clause: Clause, metric: Metric) -> Iterator[str]:
    if clause.kind in ("at_least", "at_most") and metric.kind == "preference":
        yield "a preference is of two contenders; write 'tuned beats base on preference'"
    elif clause.kind in ("at_least", "at_most") and metric.kind == "share" and not 0 <= (clause.threshold or 0) <= 1:
        yield "a share lies between 0 and 1"
    elif clause.kind in ("no_worse", "falls", "rises") and metric.kind != "mean" and (clause.threshold or 0) >= 1:
        yield f"{metric.name} is a share, so the margin is less than 1; 5 points are 0.05"
    elif clause.kind in ("falls", "rises") and clause.threshold is None and metric.kind == "mean":
        yield f"say by how much in the unit of {metric.name}: '{metric.name} {clause.kind} by more than 0.1'"


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply `key.path=value` overrides, check everything.

    Raises:
        RecipeError: no file, not YAML, an unknown key, a wrong type, a bad override; all at once.
    """
    return validate_recipe(read_yaml(path), str(path), overrides)


def validate_recipe(values: Any, where: str, overrides: Sequence[str] = ()) -> Recipe:
    """Check the values of a recipe; `where` names their file in messages. Raises as `load_recipe` does."""
    return validate_section(Recipe, values, where, overrides, _rule_misfits)


class _WithFacts(BaseModel):
    facts: Facts | None = None


class _Measured(BaseModel):
    """The sections that a rule is read against; the others of a recipe do not count here."""

    contract: Contract
    data: _WithFacts = _WithFacts()
    evaluation: Evaluation = Evaluation.model_validate({})
    judging: Judging | None = None
    decision: DecisionRule


def _rule_misfits(values: Mapping[str, Any]) -> list[str]:
    try:
        sections = _Measured.model_validate(values)
    except ValidationError:
        return []  # told with the other faults of these sections
    facts = sections.data.facts
    metrics = metrics_of(sections.contract, sections.evaluation, sections.judging, facts)
    contenders = (*CONTENDERS, BEST_PROMPT, *sections.evaluation.imported)
    problems = rule_problems(sections.decision, metrics, contenders, "data.facts.sources")
    return criterion_problems(sections.judging, facts) + [f"decision: {problem}" for problem in problems]


def validate_section(
    kind: type[Kind],
    values: Any,
    where: str,
    overrides: Sequence[str] = (),
    further_problems: Callable[[Mapping[str, Any]], list[str]] = lambda _: [],
) -> Kind:
    """Check values against a section, or a file of sections. Raises as `load_recipe` does."""
    if not isinstance(values, dict):
        raise RecipeError(where, [f"a mapping of keys is needed; found {type(values).__name__}"])
    values = copy.deepcopy(values)
    problems = [problem for override in overrides if (problem := _apply_override(values, override))]
    section: Kind | None = None
    try:
        section = kind.model_validate(values)
    except ValidationError as error:
        problems += _problems(error, kind)
    problems += further_problems(values)
    if section is None or problems:
        raise RecipeError(where, problems)
    return section


def read_yaml(path: Path) -> Any:
    """The values of a YAML file that a person wrote.

    Raises:
        RecipeError: no file, not YAML, or nothing in it.
    """
    if path.is_dir():
        raise RecipeError(str(path), [f"is a folder; name the recipe file in it, e.g. {path / 'recipe.yaml'}"])
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecipeError(str(path), ["there is no such file"]) from error
    except UnicodeDecodeError as error:
        raise RecipeError(str(path), [f"is not UTF-8 (byte {error.start}); save it as UTF-8"]) from error
    except OSError as error:
        raise RecipeError(str(path), [f"cannot be read: {error.strerror}"]) from error
    try:
        values = parse_yaml(text)
    except ValueError as error:
        raise RecipeError(str(path), [f"is not YAML: {error}"]) from error
    if values is None:
        raise RecipeError(str(path), ["the file is empty, or holds only comments"])
    return values


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, defaults included; `load_recipe` reads it back as the same recipe."""
    return dump_yaml(recipe.as_json())


def _apply_override(values: dict[str, Any], override: str) -> str:
    """Set one value in `values`; returns the problem, empty when there is none."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        return f"--set {override!r}: write it as key.path=value, e.g. training.num_epochs=1"
    *parents, last = path.split(".")
    target: Any = values
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            return f"--set {override!r}: {parent} holds no keys"
    try:
        target[last] = parse_yaml(text)
    except ValueError as error:
        return f"--set {override!r}: the value is not YAML: {error}"
    return ""


# pydantic's words for these are about Python; a recipe is YAML
_PLAIN_WORDS = {
    "model_type": "should hold keys of its own",
    "tuple_type": "should be a list",
    "too_short": "should not be empty",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "string_type": "should be a text; put it in quotes",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "greater_than": "should be more than {gt:g}",
    "greater_than_equal": "should be at least {ge:g}",
    "less_than": "should be less than {lt:g}",
    "less_than_equal": "should be at most {le:g}",
    "finite_number": "should be a finite number",
    "literal_error": "should be {expected}",
}


def _problems(error: ValidationError, root: type[Section]) -> Iterator[str]:
    faults = error.errors()
    for fault in faults:
        location = [str(part) for part in fault["loc"]]
        if fault["type"] == "extra_forbidden":
            message = f"unknown key{_nearest(location, root)}"
        elif fault["type"] == "missing":
            message = "missing; add it"
        elif fault["type"] == "too_short" and any(_lies_in(other["loc"], fault["loc"]) for other in faults):
            continue  # the list is short only because its entries were refused, each with its own message
        else:
            plain = _PLAIN_WORDS.get(fault["type"], "")
            message = plain.format(**fault.get("ctx", {})) or fault["msg"].removeprefix("Value error, ")
            seen = fault["input"]
            quoted = isinstance(seen, str) and repr(seen) in message
            if not isinstance(seen, dict) and not quoted and fault["type"] != "secret":
                message += f" (found {seen!r})"
        yield ": ".join(part for part in (".".join(location), message) if part)


def _lies_in(inner: Sequence[int | str], outer: Sequence[int | str]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _nearest(location: Sequence[str], root: type[Section]) -> str:
    model: Any = root
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        annotation = field.annotation if field is not None else None
        kinds = (annotation, *get_args(annotation))
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
    allowed = [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]
    close = difflib.get_close_matches(location[-1], allowed, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; allowed here: {', '.join(allowed)}" if allowed else ""
