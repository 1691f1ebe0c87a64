"""The handoff folder: the adapter in PEFT's format, what the next session needs besides it, and the manifest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from relaytune.core.errors import HandoffError
from relaytune.core.files import folder_replaced, sha256_of_file, write_json, write_jsonl
from relaytune.core.results import TrainingStep
from relaytune.core.run_folder import ADAPTER_WEIGHTS, METRICS
from relaytune.training.lora import ADAPTER, trainable
from relaytune.training.manifest import KEPT, MANIFEST, Manifest, handoffs_in, read_manifest

BEST_WEIGHTS = "best_adapter_model.safetensors"  # only where the best step is not the last
MOMENTS = "optimizer.safetensors"  # only where the next session is to resume exactly


def write_adapter(folder: Path, model: Any, weights: Mapping[str, Tensor]) -> None:
    """Write weights (names as in `trainable`) as an adapter that plain PEFT loads; whole or not at all."""
    with folder_replaced(folder) as new:
        _write_adapter_files(new, model, weights)


def write_handoff(
    folder: Path,
    model: Any,
    manifest: Mapping[str, Any],
    best_weights: Mapping[str, Tensor],
    moments: Mapping[str, Mapping[str, Tensor]] | None,
    steps: Sequence[TrainingStep] = (),
) -> None:
    """Write where the run stands; whole or not at all. `manifest` lacks the files' hashes only."""
    with folder_replaced(folder) as new:
        _write_adapter_files(new, model, trainable(model))
        if manifest["best_step"] != manifest["step"]:
            _write_tensors(new / BEST_WEIGHTS, {_peft_name(name): weight for name, weight in best_weights.items()})
        if moments is not None:
            flat = {
                f"{_peft_name(name)}:{key}": value for name, state in moments.items() for key, value in state.items()
            }
            _write_tensors(new / MOMENTS, flat)
        # of the whole run so far, so that any machine can draw its curves
        write_jsonl(new / METRICS, (asdict(step) for step in steps))
        files = {path.name: sha256_of_file(path) for path in sorted(new.iterdir())}
        write_json(new / MANIFEST, Manifest.model_validate({**manifest, "files": files}).model_dump(mode="json"))
    read_manifest(folder)  # complete only once it has been read back


def load_weights(folder: Path, name: str, model: Any, may_be_untrained: bool = False) -> dict[str, Tensor]:
    """Weights of a handoff by their names in `model`.

    Raises:
        HandoffError: keys or shapes are not exactly those of the model's adapter, or the weights cannot be right.
    """
    found = _read_tensors(folder / name)
    wanted = {_peft_name(own): (own, weight) for own, weight in trainable(model).items()}
    if not wanted:
        raise HandoffError(f"{folder}: the adapter is frozen: it has no weight that training would change.")
    faults = [
        *(f"{key} is missing" for key in sorted(wanted.keys() - found.keys())),
        *(f"{key} is unknown to this model" for key in sorted(found.keys() - wanted.keys())),
        *(
            f"{key} has shape {tuple(found[key].shape)}, the model's has {tuple(wanted[key][1].shape)}"
            for key in sorted(wanted.keys() & found.keys())
            if found[key].shape != wanted[key][1].shape
        ),
        *(f"{key} holds values that are no numbers" for key in sorted(found) if not found[key].isfinite().all()),
    ]
    if not (faults or may_be_untrained or any(tensor.any() for key, tensor in found.items() if ".lora_B." in key)):
        faults = ["every lora_B is zero: an adapter that does nothing"]
    if faults:
        shown = [f"  - {fault}" for fault in faults[:5]] + ([f"  … and {len(faults) - 5} more"] if faults[5:] else [])
        raise HandoffError("\n".join([f"{folder / name}: not this model's adapter", *shown]))
    return {own: found[key] for key, (own, _) in wanted.items()}


def load_moments(folder: Path, model: Any) -> dict[str, dict[str, Tensor]] | None:
    """The optimizer's moments by weight name, if the handoff carries them.

    Raises:
        HandoffError: they are not those of this adapter.
    """
    if not (folder / MOMENTS).exists():
        return None
    found = _read_tensors(folder / MOMENTS)
    names = trainable(model)
    wanted = {f"{_peft_name(name)}:{key}" for name in names for key in ("exp_avg", "exp_avg_sq", "step")}
    if found.keys() != wanted:
        raise HandoffError(f"{folder / MOMENTS}: not the moments of this adapter's weights.")
    return {
        name: {key: found[f"{_peft_name(name)}:{key}"] for key in ("exp_avg", "exp_avg_sq", "step")} for name in names
    }


def forget_older(folder: Path) -> None:
    """Keep the last three handoffs, and nothing that a killed session left half-written."""
    for path in (*handoffs_in(folder)[:-KEPT], *folder.glob(".*")):
        shutil.rmtree(path, ignore_errors=True)


def _write_adapter_files(folder: Path, model: Any, weights: Mapping[str, Tensor]) -> None:
    _write_tensors(folder / ADAPTER_WEIGHTS, {_peft_name(name): weight for name, weight in weights.items()})
    config = model.peft_config[ADAPTER]
    config.inference_mode = True
    config.save_pretrained(folder)
    config.inference_mode = False


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    # not save_file: it reports a full disk as an error of its own kind
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    path.write_bytes(save(plain, metadata={"format": "pt"}))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except Exception as error:  # safetensors has an error of its own, and a foreign file can raise others
        raise HandoffError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]}).") from error
    return tensors


def _peft_name(name: str) -> str:
    """PEFT's files do not say which of a model's adapters a weight belongs to."""
    return name.replace(f".{ADAPTER}.", ".")


def put(model: Any, weights: Mapping[str, Tensor]) -> None:
    """Copy weights (names as in `trainable`) into the model's adapter."""
    with torch.no_grad():
        for name, weight in trainable(model).items():
            weight.copy_(weights[name])
