"""The recipe: one YAML file that says everything about a run. Unknown keys are errors."""

from __future__ import annotations

import copy
import difflib
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from relaytune.core.contract import Contract
from relaytune.core.errors import RecipeError
from relaytune.core.files import sha256_of_value
from relaytune.core.precision import Precision
from relaytune.core.rule import DecisionRule
from relaytune.core.stores import STORE_KINDS


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class JsonCompletion(_Part):
    """The completion is JSON: these columns as one object, or (a single name) that column's own value."""

    columns: tuple[str, ...] | str = Field(alias="json")
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    @field_validator("columns", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        # decided here, since a union reports the faults of each of its sides
        several = isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value)
        if not several and not isinstance(value, str):
            raise ValueError("write one column, e.g. answer, or a list of columns, e.g. [priority, reason]")
        return value


class Task(_Part):
    """How a row of the data file becomes messages and a completion. `{column}` stands for the row's value."""

    instruction: str = Field("", description="the system message; empty: none")
    input: str | None = Field(None, description='the user message, e.g. "{ticket}"; none: rows hold `messages`')
    completion: str | JsonCompletion | None = Field(None, description='e.g. "{category}" or {json: [priority, reason]}')

    @field_validator("completion", mode="before")
    @classmethod
    def _text_or_json(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return JsonCompletion.model_validate(value)
        if not isinstance(value, (str, JsonCompletion, type(None))):
            raise ValueError("write a text, e.g. '{category}', or {json: [priority, reason]}")
        return value

    @model_validator(mode="after")
    def _input_and_completion_together(self) -> Self:
        if (self.input is None) != (self.completion is None):
            raise ValueError("input and completion are given together, or neither (rows then hold `messages`)")
        if self.input is None and self.instruction:
            raise ValueError("instruction needs input and completion; rows that hold `messages` bring their own")
        return self


class Data(_Part):
    """Files of rows (.jsonl, .json, .csv), relative to the recipe."""

    train: str
    held_out: str
    validation_fraction: float = Field(0.1, gt=0, lt=0.5, description="cut from the training rows")
    max_train_rows: int | None = Field(None, gt=0, description="use only so many, drawn by the seed")
    max_held_out_rows: int | None = Field(None, gt=0, description="use only so many, drawn by the seed")
    on_error: Literal["refuse", "drop"] = Field(
        "refuse", description="faulty training rows: stop, or leave out and say so"
    )


class BaseModelChoice(_Part):
    """A hub id, a folder, a GGUF file, or `package:module/file` for a file inside an installed package."""

    name: str
    revision: str | None = None
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="of the GGUF file")

    @property
    def in_package(self) -> tuple[str, str] | None:
        """The package's module and the file in it; None where it is named otherwise."""
        if not self.name.startswith("package:"):
            return None
        module, _, file = self.name.removeprefix("package:").partition("/")
        return module, file

    @property
    def is_hub_id(self) -> bool:
        """Whether it is named by a hub id (owner/name) and is no folder here."""
        other = self.name.startswith((".", "/", "~", "package:")) or self.name.endswith(".gguf")
        return not other and self.name.count("/") == 1 and not Path(self.name).is_dir()


class Lora(_Part):
    """Low-rank adapters (arXiv 2106.09685)."""

    rank: int = Field(16, gt=0, le=512)
    alpha: float = Field(32, gt=0)
    target_modules: tuple[str, ...] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip


class Training(_Part):
    """The optimisation. Batches are counted in examples; how they are cut is the machine's business."""

    num_epochs: float = Field(2, gt=0, le=100)
    examples_per_step: int = Field(8, gt=0)
    learning_rate: float = Field(2e-4, gt=0, lt=1)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup_steps: int = Field(10, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(512, gt=1, description="tokens, prompt and completion together")
    validations_per_epoch: int = Field(2, gt=0)
    early_stopping_patience: int = Field(3, gt=0, description="validations without a better loss")
    label_weight: float = Field(
        1.0, ge=1, le=100, description="how much a token of the label counts in the loss, other tokens counting 1"
    )
    precision: Literal["auto", Precision] = Field(
        "auto",
        description="of the frozen weights and of products; the adapter is float32 always; auto: measured. "
        "bfloat16_products: only products, on a CPU; float16: with a scaled loss, for cards without bfloat16",
    )
    seed: int = Field(0, ge=0)


class Session(_Part):
    """One stretch of training on one machine. None of it changes what the run is."""

    limit: str | None = Field(None, description="stop in time, with a handoff: 5h30m, 45m, 90s")
    store: str | None = Field(
        None, description="where handoffs are kept for the next machine: a folder, s3://, gs:// or hf://"
    )
    save_every: str = Field("10m", description="a handoff at least so often")
    carry_moments: bool = Field(
        True, description="the handoff carries the optimizer's moments (twice the adapter's size): resume exactly"
    )
    rewarm_steps: int = Field(5, ge=0, description="after a handoff without moments, steps back to the schedule's rate")

    @field_validator("limit", "save_every")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None and not _seconds(value):
            raise ValueError("a length of time such as 5h30m, 45m or 90s")
        return value

    @field_validator("store")
    @classmethod
    def _store_known(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in STORE_KINDS:
            raise ValueError(f"a folder, s3://bucket/path, gs://bucket/path or hf://owner/name, not {parts.scheme}://")
        if "@" in parts.netloc:
            raise PydanticCustomError("secret", "no keys in a recipe: credentials are taken from the environment")
        return url

    @property
    def limit_seconds(self) -> float:
        """Infinite where there is no limit."""
        return math.inf if self.limit is None else _seconds(self.limit)

    @property
    def save_every_seconds(self) -> float:
        """Wall-clock between two handoffs."""
        return _seconds(self.save_every)


def _seconds(text: str) -> float:
    """Seconds of `5h30m`; 0 where it cannot be read."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return float(3600 * hours + 60 * minutes + seconds)


class FewShot(_Part):
    """The better-prompted contender. k and the examples are chosen on validation rows."""

    ks: tuple[int, ...] = Field((2, 4, 8), min_length=1)
    draws: int = Field(2, gt=0, description="random sets of examples tried per k")

    @field_validator("ks")
    @classmethod
    def _positive(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        if any(k < 1 for k in ks):
            raise ValueError("every k is at least 1 (k=0 is the contender `base`)")
        return ks


class Evaluation(_Part):
    """How contenders answer: the same rows, the same template, greedy decoding."""

    max_new_tokens: int = Field(64, gt=0)
    few_shot: FewShot = FewShot.model_validate({})


class Recipe(_Part):
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
    decision: DecisionRule

    @model_validator(mode="after")
    def _rule_fits_contract(self) -> Self:
        known = metrics_of(self.contract)
        clauses = (*self.decision.keep_when, *self.decision.discard_when)
        wrong = [f"{clause.text!r} names {clause.metric}" for clause in clauses if clause.metric not in known]
        if wrong:
            raise ValueError(f"decision: {'; '.join(wrong)}; this contract has {', '.join(known)}")
        return self

    def as_json(self) -> dict[str, Any]:
        """The resolved recipe, defaults included, as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def hash(self) -> str:
        """sha256 of the resolved recipe."""
        return sha256_of_value(self.as_json())


def metrics_of(contract: Contract) -> tuple[str, ...]:
    """The scores that a contract allows; each is right or wrong for one answer."""
    if contract.allowed_labels:
        shared = ("contract_pass", "label_accuracy", "likeliest_label_accuracy")
        return ("parses", *shared) if contract.kind == "json_schema" else shared
    if contract.kind == "free_text":
        return ("contract_pass",)
    if contract.kind == "number":
        return ("contract_pass", "numeric_match")
    return (
        ("parses", "contract_pass", "exact_match")
        if contract.kind == "json_schema"
        else ("contract_pass", "exact_match")
    )


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply `key.path=value` overrides, check everything.

    Raises:
        RecipeError: no file, not YAML, an unknown key, a wrong type, a bad override; all at once.
    """
    return validate_recipe(_read_yaml(path), str(path), overrides)


def validate_recipe(values: Any, where: str, overrides: Sequence[str] = ()) -> Recipe:
    """Check the values of a recipe; `where` names their file in messages. Raises as `load_recipe` does."""
    if not isinstance(values, dict):
        raise RecipeError(where, [f"a recipe is a mapping of keys; found {type(values).__name__}"])
    values = copy.deepcopy(values)
    problems = [problem for override in overrides if (problem := _apply_override(values, override))]
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(where, [*problems, *_problems(error)]) from error
    if problems:
        raise RecipeError(where, problems)
    return recipe


def _read_yaml(path: Path) -> Any:
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
        values = _parse_yaml(text)
    except ValueError as error:
        raise RecipeError(str(path), [f"is not YAML: {error}"]) from error
    if values is None:
        raise RecipeError(str(path), ["the file is empty, or holds only comments"])
    return values


class _Loader(yaml.SafeLoader):
    """Safe YAML with the types of JSON. Unlike in YAML 1.1, `2e-4` is a number, `yes`, `no` and dates are
    texts, keys are texts, and a repeated key is an error.
    """


def _parse_yaml(text: str) -> Any:
    """Raises ValueError, in one line, on anything that is not YAML."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(where + " ".join((getattr(error, "problem", None) or str(error)).split())) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$"),
    list("-+0123456789."),
)


class _Dumper(yaml.SafeDumper):
    """Writes texts that `_Loader` would take for something else in quotes."""


_Dumper.yaml_implicit_resolvers = {
    first: [*resolvers, *_Loader.yaml_implicit_resolvers.get(first, [])]
    for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
}


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, defaults included; `load_recipe` reads it back as the same recipe."""
    return yaml.dump(recipe.as_json(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _mapping_without_repeats(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if not key_node.tag.endswith((":str", ":merge")):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a text; put it in quotes", key_node.start_mark
            )
        if key_node.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key_node.value!r} stands twice", key_node.start_mark
            )
        seen.add(key_node.value)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


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
        target[last] = _parse_yaml(text)
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


def _problems(error: ValidationError) -> Iterator[str]:
    faults = error.errors()
    for fault in faults:
        location = [str(part) for part in fault["loc"]]
        if fault["type"] == "extra_forbidden":
            message = f"unknown key{_nearest(location)}"
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


def _nearest(location: Sequence[str]) -> str:
    model: Any = Recipe
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
