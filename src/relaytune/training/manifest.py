"""What a handoff says about itself: where the run stands, what it belongs to, and how it can be checked. No torch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relaytune.core.errors import HandoffError
from relaytune.core.files import sha256_of_file, sha256_of_value
from relaytune.core.lineage import SessionRecord
from relaytune.core.precision import LossScale, Precision
from relaytune.core.recipe import Recipe

FORMAT = 2
MANIFEST = "handoff.json"
KEPT = 3  # handoffs of a run

# what makes two runs different runs, and how a message names it
IDENTITY = {
    "weights": "other base weights",
    "template": "another tokenizer or chat template",
    "training_rows": "other training rows",
    "validation_rows": "other validation rows",
    "lora": "other LoRA settings",
    "training": "other training settings",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(_Strict):
    """What a run is made of. A handoff of another identity is refused."""

    run: str
    base_model: dict[str, Any]  # as the recipe names it: another machine may keep the same weights elsewhere
    weights: str  # fingerprint
    template: str  # hash
    training_rows: str  # hash
    validation_rows: str  # hash
    lora: dict[str, Any]
    training: dict[str, Any]


class Probe(_Strict):
    """Mean loss on fixed validation rows, in nats: what the adapter must still give on arrival."""

    loss: float = Field(allow_inf_nan=False)
    num_examples: int
    precision: Precision
    device: str


class Manifest(_Strict):
    """handoff.json"""

    format: int
    relaytune: str
    identity: Identity
    step: int
    planned_steps: int
    next_example: int
    num_tokens: int
    num_supervised_tokens: int
    num_skipped_steps: int = 0  # in float16; not in format 1
    scale: LossScale | None = None
    rewarmed_from: int | None
    first_validation_loss: float
    best_step: int
    best_validation_loss: float
    validations_without_better: int
    finished: bool
    stopped_early: bool
    probe: Probe
    lineage: tuple[SessionRecord, ...]
    files: dict[str, str]  # sha256 of every other file


def training_settings(recipe: Recipe) -> dict[str, Any]:
    """The part of a recipe that an identity holds as `training`. The precision is each machine's own affair."""
    # without `keep` where it is the default: handoffs of before there was a choice are still ours
    settings = recipe.training.model_dump(
        mode="json", exclude={"precision"} | ({"keep"} if recipe.training.keep == "best" else set())
    )
    if recipe.training.label_weight != 1:  # which tokens weigh more follows from the contract
        settings["contract"] = sha256_of_value(recipe.contract.model_dump(mode="json"))
    return settings


def handoffs_in(folder: Path) -> list[Path]:
    """The handoffs that lie there, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if re.fullmatch(r"\d{6}", path.name) and path.is_dir())


def read_manifest(folder: Path) -> Manifest:
    """Read a handoff's manifest and check every file against it.

    Raises:
        HandoffError: no manifest, one of a newer format, or a file that is missing, added or altered; all at once.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise HandoffError(f"{folder}: no {MANIFEST} in it: not a handoff, or one that was never completed.")
    manifest = parse_manifest(path.read_bytes(), str(path))
    present = {file.name for file in folder.iterdir() if file.name != MANIFEST and not file.name.startswith(".")}
    faults = [
        *(f"{name} is missing" for name in sorted(manifest.files.keys() - present)),
        *(f"{name} is in no manifest" for name in sorted(present - manifest.files.keys())),
        *(
            f"{name} was altered or cut short (its sha256 is another)"
            for name in sorted(manifest.files.keys() & present)
            if sha256_of_file(folder / name) != manifest.files[name]
        ),
    ]
    if faults:
        raise HandoffError(_listed(f"{folder}: a damaged handoff", faults))
    return manifest


def parse_manifest(content: bytes, where: str) -> Manifest:
    """The manifest that a file holds; `where` it lies, for messages.

    Raises:
        HandoffError: it is no manifest, or one of a newer format.
    """
    try:
        values = json.loads(content)
    except ValueError as error:  # JSON's and UTF-8's errors are both
        raise HandoffError(f"{where}: not readable as JSON ({error}): cut short or altered.") from error
    written = values.get("format") if isinstance(values, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise HandoffError(
            f"{where}: format {written}; this relaytune knows formats up to {FORMAT}. Install the version that wrote "
            f"it ({values.get('relaytune', 'a newer one')}), or a newer one."
        )
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
        raise HandoffError(f"{where}: not a manifest of format {FORMAT} ({wrong}).") from error


def refuse_foreign(where: str, manifest: Manifest, ours: Identity) -> None:
    """Refuse a handoff that belongs to another run than this recipe's.

    Raises:
        HandoffError: names everything that differs, with both values where they are short.
    """
    faults = []
    for name, words in IDENTITY.items():
        theirs, mine = getattr(manifest.identity, name), getattr(ours, name)
        if theirs != mine:
            faults.append(f"{words}{_difference(theirs, mine)}")
    if manifest.identity.weights != ours.weights and manifest.identity.base_model != ours.base_model:
        faults.append(f"another base model or revision{_difference(manifest.identity.base_model, ours.base_model)}")
    if faults:
        raise HandoffError(_listed(f"{where}: made with", faults))


def _difference(theirs: Any, ours: Any) -> str:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        keys = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
        return ": " + ", ".join(f"{key} {theirs.get(key)!r} there, {ours.get(key)!r} here" for key in keys)
    return f" ({theirs[:12]}… there, {ours[:12]}… here)"


def _listed(head: str, faults: list[str]) -> str:
    return "\n".join([head, *(f"  - {fault}" for fault in faults)])
