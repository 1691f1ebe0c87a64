"""The recipe's section `judging`: who judges, by which rubric, which contenders, and whose relative a judge may be."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from relaytune.core.contract import Contract
from relaytune.core.errors import RecipeError
from relaytune.core.section import Section

# family → how its models call themselves; a distilled or merged model belongs to all that its name mentions
_FAMILIES = {
    "gpt": r"\b(?:chat)?gpt|\bo[134]\b|openai|codex",
    "claude": "claude|anthropic",
    "gemini": r"gemini|gemma|\bpalm",  # one house, one lineage of training data
    "llama": "(?<!o)llama|vicuna|alpaca",  # ollama is a server
    "mistral": "mistral|mixtral|ministral|magistral|codestral|devstral|pixtral|zephyr",
    "qwen": r"qwen|\bqwq",
    "deepseek": "deepseek",
    "phi": r"\bphi",
    "smollm": "smollm",
    "command": r"\bcommand|cohere|\baya\b",
    "granite": "granite",
    "olmo": r"\bolmo|\btulu",
    "yi": r"\byi\b",
    "glm": r"\b(?:chat)?glm",
    "kimi": r"\bkimi|moonshot",
    "falcon": "falcon",
    "grok": r"\bgrok",
    "nova": r"\bnova\b",
    "minimax": "minimax",
    "internlm": "internlm",
}
_NAME_OF_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")

CriterionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Description = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class JudgeChoice(Section):
    """One judge: a model behind an OpenAI-compatible server, or a local model."""

    model: str = Field(min_length=1, description="as the server calls it; without base_url: as in base_model.name")
    name: str = Field("", description="how reports call this judge; empty: the model's name")
    base_url: str | None = Field(None, description="of an OpenAI-compatible server, e.g. https://…/v1; none: local")
    api_key_env: str | None = Field(None, description="name of the environment variable that holds the key")
    family: str | None = Field(None, description="where the model's name does not tell it, e.g. llama")
    requests_at_once: int = Field(4, gt=0, le=64)
    requests_per_minute: float | None = Field(None, gt=0)
    usd_per_million_input_tokens: float | None = Field(None, ge=0)
    usd_per_million_output_tokens: float | None = Field(None, ge=0)
    temperature: float | None = Field(0.0, ge=0, le=2, description="null: not sent, for models that refuse it")
    max_tokens: int = Field(256, gt=0, description="of the judge's answer; raise it for a model that thinks first")
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="how the server calls it; newer OpenAI models want max_completion_tokens"
    )
    timeout_seconds: float = Field(120, gt=0, le=3600)

    @field_validator("base_url")
    @classmethod
    def _web_address_without_keys(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise PydanticCustomError(
                "secret", "no user, password or query in an address: name the key's variable in api_key_env"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address such as http://localhost:8000/v1")
        return url.rstrip("/")

    @field_validator("api_key_env", mode="before")
    @classmethod
    def _name_and_no_key(cls, value: Any) -> Any:
        name = isinstance(value, str) and _NAME_OF_VARIABLE.fullmatch(value)
        if value is not None and not (name and ("_" in value or len(value) <= 12)):
            raise PydanticCustomError(
                "secret",
                "the name of an environment variable, in capitals, e.g. JUDGE_API_KEY; never a key itself "
                "(the value is not shown here; if it was a key, replace it)",
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.api_key_env and not self.base_url:
            raise ValueError("api_key_env needs base_url; a local model needs no key")
        if not self.families:
            raise ValueError(
                f"the family of {self.model!r} is not recognised: add family, e.g. family: llama (known: "
                f"{', '.join(_FAMILIES)}; any other word is a family of its own)"
            )
        return self

    @property
    def title(self) -> str:
        """How it is called in judgements and reports."""
        return self.name or self.model

    @property
    def families(self) -> frozenset[str]:
        """The families it belongs to."""
        if self.family:
            return families_of(self.family) or frozenset({self.family.strip().lower()})
        return families_of(self.model)


class Judging(Section):
    """How answers are judged: blind, each pair in both orders."""

    judges: tuple[JudgeChoice, ...] = ()
    rubric: str | None = Field(None, description="what makes an answer better; none: the contract's free_text")
    pairwise: bool = Field(True, description="compare two answers")
    criteria: dict[CriterionName, Description] = Field(
        default_factory=dict, description="name: description; each answer gets 0 to `scale` points on each"
    )
    lower_is_better: tuple[str, ...] = Field((), description="of the criteria, e.g. [factual_errors]")
    scale: int = Field(3, ge=1, le=10)
    compare: tuple[tuple[str, str], ...] | None = Field(
        None, description="pairs of contenders; none: tuned against each contender that is only prompted"
    )
    # A coin that always decides agrees with itself on half of the pairs. 0.6 is the smallest share that 100 pairs tell
    # from that (Wilson 95%: 0.502 to 0.691), and a judge below it errs in more than 28% of single verdicts even if
    # its errors have nothing to do with order (q² + (1 − q)² = 0.6 at q = 0.72).
    min_consistency: float = Field(0.6, ge=0, le=1, description="pairs judged alike in both orders; below: no verdict")
    max_answer_characters: int = Field(6000, ge=200, description="of each answer, shown to a judge")
    same_family: Literal["refuse", "allow"] = Field("refuse", description="a judge related to who wrote what it reads")
    human_labels: str | None = Field(None, description="a CSV file of people's judgements, relative to the recipe")

    @field_validator("compare")
    @classmethod
    def _two_contenders(cls, pairs: tuple[tuple[str, str], ...] | None) -> tuple[tuple[str, str], ...] | None:
        for first, second in pairs or ():
            if first == second:
                raise ValueError(f"{first} is compared with itself")
        if pairs is not None and len({frozenset(pair) for pair in pairs}) != len(pairs):
            raise ValueError("a pair of contenders stands twice")
        return pairs

    @model_validator(mode="after")
    def _someone_judges_something(self) -> Self:
        if not self.judges and self.human_labels is None:
            raise ValueError("name at least one judge, or a file of human_labels")
        if self.judges and not self.pairwise and not self.criteria:
            raise ValueError("nothing to judge: pairwise is false and there are no criteria")
        strange = [name for name in self.lower_is_better if name not in self.criteria]
        if strange:
            raise ValueError(f"lower_is_better: {', '.join(strange)} is not among the criteria")
        twice = [title for title, count in Counter(judge.title for judge in self.judges).items() if count > 1]
        if twice:
            raise ValueError(f"two judges are called {twice[0]!r}: give them names of their own")
        human = [judge.title for judge in self.judges if judge.title.startswith(HUMAN)]
        if human:
            raise ValueError(f"{human[0]!r}: names that begin with {HUMAN!r} are those of people")
        return self


HUMAN = "human:"  # what the name of a person who judges begins with


def families_of(name: str) -> frozenset[str]:
    """The families that a model's name mentions, none where it is unknown; of a path only its last part counts.

    A model distilled from one family into another belongs to both.
    """
    is_path = name.startswith(("/", ".", "~", "package:")) or name.count("/") > 1
    text = (name.rpartition("/")[2] if is_path else name).lower().replace("_", "-")
    return frozenset(family for family, pattern in _FAMILIES.items() if re.search(pattern, text))


def rubric_of(judging: Judging, contract: Contract | None, where: str) -> str:
    """What makes an answer better: the section's own rubric, or that of a contract of free text.

    Raises:
        RecipeError: pairs are to be judged and neither is there.
    """
    rubric = (judging.rubric or (contract.free_text if contract else "") or "").strip()
    if not rubric and judging.judges and judging.pairwise:
        raise RecipeError(where, ["judging.rubric: missing; say what makes one answer better than another"])
    return rubric


def pairs_to_compare(judging: Judging, contenders: list[str], where: str) -> tuple[tuple[str, str], ...]:
    """The pairs that the recipe names, or tuned against each contender that is only prompted.

    Raises:
        RecipeError: a named contender is not among `contenders`.
    """
    if judging.compare is None:
        prompted = [name for name in ("few_shot", "base") if name in contenders]
        return tuple(("tuned", name) for name in prompted) if "tuned" in contenders else ()
    unknown = {name for pair in judging.compare for name in pair} - set(contenders)
    if unknown:
        raise RecipeError(
            where,
            [f"judging.compare: {', '.join(sorted(unknown))}: no such contender; there are {', '.join(contenders)}"],
        )
    return judging.compare


def check_families(
    judging: Judging, base_model: str | None, generator: str | None, where: str, section: str = "judging"
) -> tuple[str, ...]:
    """Refuse judges that are related to the base model or to the generator of the data.

    Returns what every report with these judges must say: relatives that the recipe allowed, and what could not be
    checked.

    Raises:
        RecipeError: a judge is a relative, and the recipe does not say `same_family: allow`.
    """
    if not judging.judges:
        return ()
    relatives, stamps = [], []
    sources: dict[str, str | None] = {"the base model": base_model, "the generator of the data": generator}
    for role, model in sources.items():
        if model is None and role == "the base model":
            stamps.append("Which model the contenders are is not stated (base_model): a judge may be its relative.")
            continue
        if model is None:
            stamps.append("Who wrote the data's answers is not stated (data.generator): a judge may be its relative.")
            continue
        families = families_of(model)
        if not families and model != "people":
            stamps.append(f"The family of {role}, {model}, is not recognised: a judge may be its relative.")
        for judge in judging.judges:
            if shared := judge.families & families:
                relatives.append(f"{judge.title} is of the family of {role}, {model} ({', '.join(sorted(shared))})")
    if relatives and judging.same_family == "refuse":
        advice = f"; choose another judge, or say {section}.same_family: allow, and every report will carry it"
        raise RecipeError(where, [f"{section}: {relative}{advice}" for relative in relatives])
    return (*(f"{relative}: judges favour their own kind." for relative in relatives), *stamps)
