"""Size of a handoff of a 7B model, and how long it takes to write, to verify and to read on this disk.

    python benchmarks/handoff_size.py

LoRA of rank 16 on the seven projections of Mistral-7B's shapes: 41,943,040 weights. Only they exist; the base model has
shapes and no values. write_handoff, read_manifest, load_weights and load_moments are the product's own; write includes
the reading back of every byte for its sha256. What was just written is read from memory, not from the disk.

relaytune trains float32 adapters with float32 moments. bfloat16 adapters and 8-bit moments (one byte a value and one
float32 scale for each block of 256, as in bitsandbytes) are written here by the same functions, to see what they would
save; the moments are then read as plain tensors.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from relaytune.core.run_folder import ADAPTER_WEIGHTS, library_versions, now, relaytune_version
from relaytune.core.sections import Lora
from relaytune.planning import measure_hardware
from relaytune.training.handoff import MOMENTS, load_moments, load_weights, write_handoff
from relaytune.training.lora import add_lora, trainable
from relaytune.training.manifest import FORMAT, read_manifest

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NUM_WEIGHTS = 41_943_040
BLOCK = 256
MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed; the best is shown")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; default: the temporary folder")
    arguments = parser.parse_args()
    model = adapter_of_7b()
    weights = trainable(model)
    assert sum(weight.numel() for weight in weights.values()) == NUM_WEIGHTS
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        hardware = measure_hardware(folder)
        print(f"{hardware.name}, {hardware.num_cores} cores; {NUM_WEIGHTS:,} weights, best of {arguments.rounds}\n")
        print("| adapter | moments | size | write, read back | verify | load |")
        print("| --- | --- | --- | --- | --- | --- |")
        for dtype in (torch.float32, torch.bfloat16):
            for weight in weights.values():
                weight.data = weight.data.to(dtype)
            for moments in (None, moments_in_float32(weights), moments_in_8_bits(weights)):
                print(measured(folder, model, moments, arguments.rounds), flush=True)


def adapter_of_7b() -> Any:
    """Mistral-7B with values for its LoRA weights only."""
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        sliding_window=None,
    )
    with torch.device("meta"):
        base = MistralForCausalLM(config).requires_grad_(False)
    model = add_lora(base, Lora(rank=16, alpha=32, target_modules=PROJECTIONS), "mistral-7b-shapes", seed=0)
    torch.manual_seed(0)
    for name, weight in trainable(model).items():
        module, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(module), own_name, torch.nn.Parameter(0.01 * torch.randn(weight.shape)))
    return model


def moments_in_float32(weights: dict[str, torch.nn.Parameter]) -> dict[str, dict[str, Tensor]]:
    """As AdamW keeps them."""
    return {
        name: {
            "exp_avg": torch.randn(weight.shape),
            "exp_avg_sq": torch.rand(weight.shape),
            "step": torch.tensor(120.0),
        }
        for name, weight in weights.items()
    }


def moments_in_8_bits(weights: dict[str, torch.nn.Parameter]) -> dict[str, dict[str, Tensor]]:
    """As bitsandbytes' AdamW8bit keeps them."""
    return {
        name: {
            **{key: torch.randint(256, weight.shape, dtype=torch.uint8) for key in ("exp_avg", "exp_avg_sq")},
            **{f"{key}_scale": torch.rand(math.ceil(weight.numel() / BLOCK)) for key in ("exp_avg", "exp_avg_sq")},
            "step": torch.tensor(120.0),
        }
        for name, weight in weights.items()
    }


def kind_of(moments: dict[str, dict[str, Tensor]] | None) -> str:
    if moments is None:
        return "none"
    return "8 bits" if next(iter(moments.values()))["exp_avg"].dtype == torch.uint8 else "float32"


def measured(folder: Path, model: Any, moments: dict[str, dict[str, Tensor]] | None, rounds: int) -> str:
    handoff = folder / "000120"
    weights = trainable(model)
    write, verify, load, kind = [], [], [], kind_of(moments)

    def load_all() -> object:
        its_moments = load_file(handoff / MOMENTS) if kind == "8 bits" else load_moments(handoff, model)
        return load_weights(handoff, ADAPTER_WEIGHTS, model), its_moments

    for _ in range(rounds):
        write.append(seconds(lambda: write_handoff(handoff, model, manifest(), {}, moments)))
        verify.append(seconds(lambda: read_manifest(handoff)))
        load.append(seconds(load_all))
    found = load_weights(handoff, ADAPTER_WEIGHTS, model)
    assert all(found[name].equal(weight) for name, weight in weights.items())
    assert (handoff / MOMENTS).exists() == (moments is not None)
    size = sum(file.stat().st_size for file in handoff.iterdir())
    dtype = next(iter(weights.values())).dtype
    return (
        f"| {short(dtype)} | {kind} | {size / MB:.1f} MB | "
        f"{min(write):.2f} s | {min(verify):.2f} s | {min(load):.2f} s |"
    )


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def manifest() -> dict[str, Any]:
    """Of a run's middle; the best step is the last, so that one adapter is written."""
    return {
        "format": FORMAT,
        "relaytune": relaytune_version(),
        "identity": {
            "run": "handoff_size",
            "base_model": {"name": "mistral-7b-shapes"},
            **dict.fromkeys(("weights", "template", "training_rows", "validation_rows"), "0" * 64),
            "lora": {},
            "training": {},
        },
        "step": 120,
        "planned_steps": 240,
        "next_example": 960,
        "num_tokens": 10**6,
        "num_supervised_tokens": 10**5,
        "rewarmed_from": None,
        "first_validation_loss": 2.0,
        "best_step": 120,
        "best_validation_loss": 1.0,
        "validations_without_better": 0,
        "finished": False,
        "stopped_early": False,
        "probe": {"loss": 1.0, "num_examples": 8, "precision": "float32", "device": "cpu"},
        "lineage": [
            {
                "id": "0",
                "number": 1,
                "start": "new",
                "machine": "x",
                "device": "cpu",
                "precision": "float32",
                "libraries": library_versions(),
                "first_step": 0,
                "lost_steps": 0,
                "last_step": 120,
                "began_at": now(),
                "saved_at": now(),
                "seconds": 1.0,
                "ended": "not yet",
            }
        ],
    }


if __name__ == "__main__":
    main()
