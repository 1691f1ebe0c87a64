"""Whether a recipe's base model is on this disk. Nothing is downloaded."""

from __future__ import annotations

import importlib.util
import os

from relaytune.core.errors import RelaytuneError
from relaytune.core.model import find_on_disk
from relaytune.core.sections import BaseModelChoice
from relaytune.doctor.check import Check

NAME = "base model"


def check_base_model(choice: BaseModelChoice) -> Check:
    """Look for the base model; one of the hub may still have to come."""
    try:
        found = find_on_disk(choice)
    except RelaytuneError as error:
        return Check(NAME, "failed", choice.name, str(error))
    if found is not None:
        return Check(NAME, "ok", f"{choice.name} is on this disk")
    if importlib.util.find_spec("huggingface_hub") is None:
        return Check(
            NAME,
            "failed",
            f"{choice.name} is not on this disk, and huggingface_hub is not installed",
            "`pip install 'relaytune[train]'`",
        )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Check(
            NAME,
            "failed",
            f"{choice.name} is not on this disk, and HF_HUB_OFFLINE forbids to download it",
            "Unset HF_HUB_OFFLINE, or name a folder with the model.",
        )
    return Check(NAME, "ok", f"{choice.name} is not on this disk yet; it would be downloaded")
