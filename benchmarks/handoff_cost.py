"""What a handoff costs that carries the adapter only: runs cut by seams against the same run uninterrupted.

    python benchmarks/handoff_cost.py --output costs.jsonl --device cuda --jobs 8 --tasks tickets
    python benchmarks/handoff_cost.py --table costs.jsonl

At each of the equally spaced seams the optimizer is thrown away, as where a session begins with `continue`: fresh
AdamW, no moments, the learning rate re-warmed over some steps (0: at once at the schedule's rate). `kept`: the
schedule of the run goes on, as relaytune does it. `restarted`: each session has warm-up and decay of its own over its
own steps, which relaytune never does. `resume` carries the moments: the control, which must end in the same bits as
no seam.

The last step's adapter is measured; nothing stops early and no step is chosen. A seed changes the order of the rows
and the adapter's start, not which rows are trained on. Loss is the mean cross-entropy in nats over supervised tokens,
weighted by label_weight (what is trained on) and unweighted; answers and scores are the product's own. Validation and
held-out rows are both measured: `session.rewarm_steps` is to be chosen by the validation loss, and the held-out loss
says what the choice costs.

One line of JSON a run. A run that is in the file is not made again, and a run that is killed leaves no line. One
process writes a file at a time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from itertools import pairwise
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from handoff_cost_table import Run, Variant, mean_loss_of, print_tables, resumed_otherwise, rows_of
from relaytune.core.contract import label_span, read_answer
from relaytune.core.counts import LOGIT_POSITIONS_AT_ONCE, num_steps
from relaytune.core.files import write_jsonl
from relaytune.core.model import find_model, load_model, load_template
from relaytune.core.packing import pack
from relaytune.core.precision import products
from relaytune.core.recipe import Recipe, load_recipe
from relaytune.core.records import Example
from relaytune.core.sections import Training
from relaytune.core.template import ChatTemplate, EncodedExample, shared_prefix_length
from relaytune.data.loading import load_rows
from relaytune.data.rendering import render
from relaytune.data.splitting import split_validation
from relaytune.training import loop
from relaytune.training.batching import cut
from relaytune.training.loop import AfterStep, moments_of, train_adapter
from relaytune.training.lora import add_lora, trainable

RECIPES = {
    "tickets": Path("examples/tickets/recipe.yaml"),
    "banking77": Path("benchmarks/banking77/recipe.yaml"),
    "restaurant8k": Path("benchmarks/restaurant8k/recipe.yaml"),
}
MAX_TOKENS = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value, for every task")
    parser.add_argument("--table", type=Path, help="print what this file of runs says, and run nothing")
    parser.add_argument("--output", type=Path, default=Path("handoff_cost.jsonl"))
    parser.add_argument("--tasks", default="tickets", help=f"of {', '.join(RECIPES)}; with commas between")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--seams", default="1,3,9")
    parser.add_argument("--rewarm", default="0,5", help="steps of re-warming, where the schedule is kept")
    parser.add_argument("--schedules", default="kept,restarted")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--precision", choices=("float32", "bfloat16_products"), default="float32")
    arguments = parser.parse_args()
    if arguments.table:
        print_tables(arguments.table)
        return
    if arguments.precision != "float32" and arguments.device != "cpu":
        parser.error("--precision bfloat16_products is for CPUs")

    tasks = arguments.tasks.split(",")
    recipes = {task: load_recipe(RECIPES[task], arguments.overrides) for task in tasks}
    for recipe in recipes.values():
        find_model(recipe.base_model, print)  # converted once, here
    seams, rewarm, seeds = (
        [int(word) for word in words.split(",")] for words in (arguments.seams, arguments.rewarm, arguments.seeds)
    )
    variants = all_variants(seams, rewarm, arguments.schedules.split(","))
    # seed by seed: whatever ends this early leaves whole pairs
    runs = [
        Run(task, recipes[task].hash, arguments.device, arguments.precision, seed, variant)
        for task in tasks
        for seed in seeds
        for variant in variants
    ]
    faults = make_all(runs, arguments.output, arguments.jobs, arguments.overrides)
    faults += resumed_otherwise(rows_of(arguments.output), runs)
    if faults:
        sys.exit("\n".join(faults))


def all_variants(seams: Sequence[int], rewarm: Sequence[int], schedules: Sequence[str]) -> list[Variant]:
    """No seam, the control with the most seams, and every way of losing the moments."""
    variants = [Variant(), Variant(max(seams), "resume")]
    for count in seams:
        if "kept" in schedules:
            variants += [Variant(count, "continue", "kept", steps) for steps in rewarm]
        if "restarted" in schedules:
            variants.append(Variant(count, "continue", "restarted"))
    return variants


def make_all(runs: Sequence[Run], output: Path, jobs: int, overrides: list[str]) -> list[str]:
    """Make the runs that the file lacks; returns what went wrong."""
    rows = rows_of(output)
    made = [row["run"] for row in rows]
    missing = [run for run in runs if asdict(run) not in made]
    print(f"{len(missing)} of {len(runs)} runs to make, {jobs} side by side", flush=True)
    faults = []
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=begin_worker, initargs=(threads,)) as pool:
        futures = {pool.submit(measured, run, overrides): run for run in missing}
        for number, future in enumerate(as_completed(futures), start=1):
            run = futures[future]
            if error := future.exception():
                faults.append(f"{run}: {type(error).__name__}: {error}")
                continue
            rows.append(future.result())
            write_jsonl(output, rows)  # whole or not at all
            print(f"{number}/{len(missing)} {described(rows[-1])}", flush=True)
    return faults


def begin_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)  # a parent that was killed cannot tell

    threading.Thread(target=follow, daemon=True).start()


def described(row: dict[str, Any]) -> str:
    variant = Variant(**row["run"]["variant"])
    return (
        f"{row['run']['task']} seed {row['run']['seed']}, {variant.seams} seams, {variant.start}, {variant.schedule}, "
        f"re-warmed {variant.rewarm_steps}: held-out loss {mean_loss_of(row, 'held_out', 'weighted_losses'):.4f} "
        f"weighted, {mean_loss_of(row, 'held_out', 'losses'):.4f} unweighted, {row['metric']} "
        f"{statistics.mean(row['right']):.1%}, {row['train_seconds']:.0f} + {row['measure_seconds']:.0f} s"
    )


# one run, in a process of its own


def measured(run: Run, overrides: list[str]) -> dict[str, Any]:
    """Train as the run says, and measure the last step's adapter."""
    from relaytune.core.screen import Screen
    from relaytune.evaluation.generating import Answerer  # needs rich, as Screen does
    from relaytune.evaluation.scoring import score
    from relaytune.training.handoff import write_adapter

    recipe = load_recipe(RECIPES[run.task], overrides)
    folder = find_model(recipe.base_model)
    template = load_template(folder)
    train, validation, held_out = splits(recipe, RECIPES[run.task].parent)
    encoded = [[encode(recipe, template, row) for row in rows] for rows in (train, validation, held_out)]
    settings = recipe.training.model_copy(
        update={"seed": run.seed, "early_stopping_patience": 10**6, "validations_per_epoch": 1}
    )

    began = time.perf_counter()
    model = add_lora(load_model(folder, run.device), recipe.lora, recipe.base_model.name, run.seed)
    precision: Any = run.precision
    with products(precision) if run.device == "cpu" else nullcontext():
        train_losses = train_in_sessions(model, encoded[0], encoded[1][:1], settings, run.variant)
        trained = time.perf_counter()
        losses = {
            "validation": losses_by_row(model, encoded[1]),
            "held_out": losses_by_row(model, encoded[2]),
        }
    digest = hashlib.sha256()
    for _, weight in sorted(trainable(model).items()):
        digest.update(weight.detach().cpu().numpy().tobytes())
    with tempfile.TemporaryDirectory() as temporary:
        adapter = Path(temporary) / "adapter"
        write_adapter(adapter, model, trainable(model))
        del model
        answerer = Answerer.load(recipe, folder, run.device, Screen.silent())
        with answerer.adapted(adapter):
            generations = answerer.answer(held_out, "answers")
    assert generations is not None, "the prompts do not fit the model's context"
    scores = score(recipe.contract, held_out, generations, "tuned")
    metric = recipe.criteria.main_metric
    right = {row.id: row.value for row in scores if row.scorer == metric}
    assert None not in right.values(), "an answer is unscored"
    return {
        "run": asdict(run),
        "adapter_sha256": digest.hexdigest(),
        **losses,
        "metric": metric,
        "right": [right[row.id] for row in held_out],
        "train_losses": train_losses,
        "train_seconds": trained - began,
        "measure_seconds": time.perf_counter() - trained,
        "machine": torch.cuda.get_device_name() if run.device == "cuda" else "CPU",
        "torch": torch.__version__,
    }


def splits(recipe: Recipe, folder: Path) -> tuple[list[Example], list[Example], list[Example]]:
    """Training, validation and held-out rows as `relaytune check` freezes them where no row has a fault."""

    def rendered(name: str, most: int | None) -> list[Example]:
        rows, _ = load_rows(folder / name, name)
        if most is not None and len(rows) > most:
            rows = [rows[n] for n in sorted(random.Random(recipe.training.seed).sample(range(len(rows)), most))]
        return [example for row in rows if (example := render(row, recipe)[0]) is not None]

    train, validation = split_validation(
        rendered(recipe.data.train, recipe.data.max_train_rows),
        recipe.data.validation_fraction,
        recipe.training.seed,
        lambda example: read_answer(recipe.contract, example.completion).label,
    )
    return train, validation, rendered(recipe.data.held_out, recipe.data.max_held_out_rows)


def encode(recipe: Recipe, template: ChatTemplate, example: Example) -> EncodedExample:
    span = label_span(recipe.contract, example.completion)
    return template.encode(example, span, recipe.training.label_weight)


def train_in_sessions(
    model: Any,
    train: Sequence[EncodedExample],
    validation: Sequence[EncodedExample],
    settings: Training,
    variant: Variant,
) -> list[float]:
    """Train with seams; returns each step's loss. The weights stay in the model: a handoff's file holds these bits."""
    total = num_steps(len(train), settings.num_epochs, settings.examples_per_step)
    assert variant.seams < total
    ends = [round(total * number / (variant.seams + 1)) for number in range(variant.seams + 2)]
    losses: list[float] = []
    progress, moments = None, None
    for begin, end in pairwise(ends):
        kept: dict[str, Any] = {}
        with restarted(begin, end) if variant.schedule == "restarted" else nullcontext():
            trained = train_adapter(
                model,
                train,
                validation,
                settings,
                MAX_TOKENS,
                stop_at(end, model, kept),
                progress,
                moments,
                variant.rewarm_steps,
            )
        losses += [step.train_loss for step in trained.steps if step.train_loss is not None]
        progress = trained.progress
        if variant.start == "resume":
            moments = kept["moments"]
        else:
            progress = replace(progress, rewarmed_from=end)
    assert len(losses) == total
    return losses


def stop_at(end: int, model: Any, kept: dict[str, Any]) -> AfterStep:
    """Ends a session after step `end`, and keeps the moments as they are then."""

    def after_step(step: Any, _: Any, optimizer: torch.optim.AdamW) -> bool:
        if step.step == end:
            kept["moments"] = moments_of(optimizer, trainable(model))
        return bool(step.step == end)

    return after_step


@contextmanager
def restarted(begin: int, end: int) -> Iterator[None]:
    """A schedule of the session's own: warm-up and decay over the steps from `begin` to `end`."""
    own = vars(loop)["learning_rate"]

    def of_session(step: int, _: int, training: Training) -> float:
        return float(own(step - begin, end - begin, training))

    with patch.object(loop, "learning_rate", of_session):
        yield


@torch.no_grad()
def losses_by_row(model: Any, rows: Sequence[EncodedExample]) -> dict[str, list[float]]:
    """Summed cross-entropy of each row's supervised tokens, in nats, unweighted and by their weights; and the weights'
    sums. The sums over rows are those of relaytune.training.loss.
    """
    device = next(model.parameters()).device
    causal = model.get_base_model()
    head_VC = causal.get_output_embeddings().weight
    prefix = shared_prefix_length([row.prompt_ids for row in rows])
    found: dict[str, tuple[float, float]] = {}
    model.eval()
    for batch in cut(rows, prefix, MAX_TOKENS):
        packed = pack(batch, prefix, device)
        hidden_TC = causal.get_decoder()(
            input_ids=packed.input_ids_1T, position_ids=packed.position_ids_1T, use_cache=False, layout=packed.layout
        ).last_hidden_state[0]
        hidden_MC = hidden_TC[packed.predicting_M]
        parts = [
            torch.nn.functional.cross_entropy(hidden @ head_VC.t(), targets, reduction="none")
            for hidden, targets in zip(
                torch.split(hidden_MC, LOGIT_POSITIONS_AT_ONCE),
                torch.split(packed.targets_M, LOGIT_POSITIONS_AT_ONCE),
                strict=True,
            )
        ]
        lengths = [len(row.completion_ids) for row in batch]
        losses_M = torch.cat(parts).double()
        weighted_M = losses_M * packed.weights_M
        for row, plain, weighted in zip(
            batch, torch.split(losses_M, lengths), torch.split(weighted_M, lengths), strict=True
        ):
            found[row.id] = plain.sum().item(), weighted.sum().item()
    return {
        "losses": [found[row.id][0] for row in rows],
        "num_tokens": [len(row.completion_ids) for row in rows],
        "weighted_losses": [found[row.id][1] for row in rows],
        "weights": [sum(row.weights) for row in rows],
    }


if __name__ == "__main__":
    main()
