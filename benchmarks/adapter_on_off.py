"""What an adapter costs while answers are written: merged into the base model's weights against beside them.

    python benchmarks/adapter_on_off.py

The tickets recipe's LoRA settings with random weights, on the base model; the same prompts, greedy, without a stop.
Beside them means PEFT's own forward pass, and relaytune's (evaluation/adapters.py). The sides take turns; the best
turn of each counts, in seconds of the processor, so that other programs on the machine matter less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from relaytune.core.decoding import decode
from relaytune.core.model import find_model, load_model
from relaytune.core.recipe import load_recipe
from relaytune.evaluation.adapters import adapter_on

RECIPE = Path("examples/tickets/recipe.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = load_recipe(RECIPE)
    folder = find_model(recipe.base_model, print)
    lora = recipe.lora
    settings = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.target_modules), init_lora_weights=False
    )
    peft = get_peft_model(load_model(folder, "cpu"), settings)
    with tempfile.TemporaryDirectory() as adapter, ExitStack() as stack:
        peft.save_pretrained(adapter)
        beside = load_model(folder, "cpu")
        stack.enter_context(adapter_on(beside, Path(adapter)))
        merged = PeftModel.from_pretrained(load_model(folder, "cpu"), adapter).merge_and_unload()
        compare({"merged": merged, "beside, PEFT": peft.get_base_model(), "beside, ours": beside}, arguments)


def compare(sides: dict[str, Any], arguments: argparse.Namespace) -> None:
    prompts = [[1, 100 + at, *range(500, 560)] for at in range(arguments.prompts)]

    def turn(model: Any) -> float:
        begun = time.process_time()
        decode(model, prompts, arguments.tokens, frozenset())
        return time.process_time() - begun

    best = {name: turn(model.eval()) for name, model in sides.items()}
    for _ in range(arguments.turns):
        for name, model in sides.items():
            best[name] = min(best[name], turn(model))
    print(f"{arguments.prompts} prompts, {arguments.tokens} tokens each; {arguments.threads} threads")
    for name, seconds in best.items():
        print(f"  {name:14} {seconds:6.2f} s  {seconds / best['merged']:.2f} times the time of merged")


if __name__ == "__main__":
    main()
