"""The handoff folder: the adapter in PEFT's format, and a manifest that says exactly what it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from relaytune.core.files import folder_replaced, sha256_of_file, write_json
from relaytune.training.lora import ADAPTER, trainable

FORMAT = 1


def write_handoff(folder: Path, model: Any, weights: dict[str, Tensor], manifest: dict[str, Any]) -> None:
    """Write the adapter with these weights (names as in `trainable`) and its manifest; whole or not at all."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    with torch.no_grad():
        for name, weight in trainable(model).items():
            weight.copy_(weights[name])
    # False: no embedding is ever trained, and "auto" would look the base model up, on the hub if need be
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    config = model.peft_config[ADAPTER]
    with folder_replaced(folder) as new:
        # not save_file: it reports a full disk as an error of its own kind
        (new / "adapter_model.safetensors").write_bytes(save(state, metadata={"format": "pt"}))
        config.inference_mode = True
        config.save_pretrained(new)
        config.inference_mode = False
        files = {path.name: sha256_of_file(path) for path in sorted(new.iterdir())}
        write_json(new / "handoff.json", {"format": FORMAT, **manifest, "files": files})


def forget_handoffs(folder: Path) -> None:
    """Remove the handoffs of an earlier training that is being replaced."""
    shutil.rmtree(folder, ignore_errors=True)
