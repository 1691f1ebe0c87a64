"""How far the probe's loss lies apart on different kinds of device and precision, for one and the same adapter.

    python benchmarks/probe_tolerance.py [base_model.name=…]

Trains the tickets recipe for a while (on the GPU where there is one) and, after several numbers of steps, computes the
loss of the probed validation rows in every way that this machine has: CPU and GPU, every precision, one thread and all,
micro-batches of one row and all rows in one. The tolerances of relaytune.training.arriving come
from this table.
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
from pathlib import Path
from typing import Any

import torch

from relaytune.core.contract import label_span, read_answer
from relaytune.core.model import find_model, load_model, load_template
from relaytune.core.precision import Precision, computing, hold_base
from relaytune.core.recipe import Recipe, load_recipe
from relaytune.core.records import Example
from relaytune.core.template import EncodedExample, shared_prefix_length
from relaytune.data.loading import load_rows
from relaytune.data.rendering import render
from relaytune.data.splitting import split_validation
from relaytune.training.arriving import PROBED
from relaytune.training.handoff import put
from relaytune.training.loop import copied, mean_loss, train_adapter
from relaytune.training.lora import add_lora, trainable

RECIPE = Path("examples/tickets/recipe.yaml")
AFTER_STEPS = (1, 10, 30, 60, 100, 162)
WHOLE, SINGLY = 4096, 1  # tokens of a micro-batch

PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "cpu": ("float32", "bfloat16_products"),
    "cuda": ("float32", "bfloat16", "float16"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    parser.add_argument("--after-steps", default=",".join(map(str, AFTER_STEPS)))
    arguments = parser.parse_args()
    after_steps = [int(word) for word in arguments.after_steps.split(",")]
    recipe = load_recipe(RECIPE, arguments.overrides)
    folder = find_model(recipe.base_model, print)
    template = load_template(folder)
    rows, _ = load_rows(RECIPE.parent / recipe.data.train)
    examples = [example for row in rows if (example := render(row, recipe)[0]) is not None]
    label_of = functools.partial(answered_label, recipe)
    parts = split_validation(examples, recipe.data.validation_fraction, recipe.training.seed, label_of)
    weight = recipe.training.label_weight
    train, validation = (
        [template.encode(row, label_span(recipe.contract, row.completion), weight) for row in part] for part in parts
    )
    models = {
        device: add_lora(load_model(folder, device), recipe.lora, recipe.base_model.name, recipe.training.seed)
        for device in ("cpu", *(("cuda",) if torch.cuda.is_available() else ()))
    }
    trained = models.get("cuda", models["cpu"])
    adapters: dict[int, Any] = {}

    def keep(step: Any, *_: Any) -> bool:
        if step.step in after_steps:
            adapters[step.step] = copied(trainable(trained))
        return bool(step.step == max(after_steps))

    settings = recipe.training.model_copy(update={"early_stopping_patience": 10_000})
    train_adapter(trained, train, validation, settings, WHOLE, keep)
    largest: dict[tuple[str, str], float] = {}
    for step, adapter in adapters.items():
        losses: dict[str, float] = {}
        for device, model in models.items():
            put(model, {name: weight.to(device) for name, weight in adapter.items()})
            losses |= losses_of(model, device, validation[:PROBED])
        print(f"after step {step}: " + ", ".join(f"{name} {loss:.6f}" for name, loss in losses.items()), flush=True)
        for one, other in itertools.combinations(losses, 2):
            apart = abs(losses[one] - losses[other]) / losses[one]
            largest[one, other] = max(largest.get((one, other), 0.0), apart)
    for (one, other), apart in largest.items():
        print(f"{one:36} {other:36} at most {apart:.1e} of the loss apart")


def answered_label(recipe: Recipe, example: Example) -> str | None:
    return read_answer(recipe.contract, example.completion).label


def losses_of(trained: Any, device: str, rows: list[EncodedExample]) -> dict[str, float]:
    """The probe's loss in every way that a device offers."""
    prefix = shared_prefix_length([row.prompt_ids for row in rows])
    threads = torch.get_num_threads()
    losses = {}
    for precision in PRECISIONS[device]:
        model = hold_base(copy.deepcopy(trained), precision)
        with computing(precision, device):
            losses[f"{device} {precision}"] = mean_loss(model, rows, prefix, WHOLE)
            losses[f"{device} {precision}, row by row"] = mean_loss(model, rows, prefix, SINGLY)
            if device == "cpu":
                torch.set_num_threads(1)
                losses[f"{device} {precision}, one thread"] = mean_loss(model, rows, prefix, WHOLE)
                torch.set_num_threads(threads)
    return losses


if __name__ == "__main__":
    main()
