"""Training speed on this CPU: relaytune against TRL's SFTTrainer, same examples, order, LoRA and optimizer, in one run.

    python benchmarks/training_speed.py

Needs trl and datasets besides relaytune[train]. Each side is a process of its own. The sides take turns, and the best
step of each counts, as the machine may be disturbed; losses of every step are compared. Prints the measured matrix
product too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from relaytune.core.model import find_model, load_config, load_model, load_template
from relaytune.core.precision import Precision
from relaytune.core.recipe import load_recipe
from relaytune.core.records import Example
from relaytune.core.template import shared_prefix_length
from relaytune.data.loading import load_rows
from relaytune.data.rendering import render
from relaytune.planning import measure_hardware, read_model_size
from relaytune.planning.duration import forward_and_backward_flops
from relaytune.training.batching import examples_of_step

PEER = Path(__file__).parent / "peers" / "trl_sft.py"
RECIPE = Path("examples/tickets/recipe.yaml")
MAX_TOKENS = 4096
PRECISIONS: tuple[Precision, ...] = (
    "float32",
    "bfloat16_products",
)  # of products; peers/trl_sft.py says how TRL is set up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2, help="how often the sides take turns")
    parser.add_argument("--micro-batch", type=int, default=8, help="TRL's; ours is the planner's")
    parser.add_argument("--ours", nargs=2, metavar=("JOB", "RESULT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        train_ours(*arguments.ours)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), arguments.steps, arguments.rounds, arguments.micro_batch)


def compare(folder: Path, num_steps: int, rounds: int, micro_batch: int) -> None:
    job = make_job(num_steps, micro_batch)
    hardware = measure_hardware(folder)
    speeds = hardware.product_gflops
    products = ", ".join(f"{speed:.0f} in {name}" for name, speed in speeds.items())
    print(f"{hardware.name}, {hardware.num_cores} cores; matrix products, GFLOP/s: {products}")
    gflop = gflop_of_step(job)
    print(f"a step takes {gflop:.0f} GFLOP, by the count of relaytune.planning.duration")
    for precision in PRECISIONS:
        sides = {"relaytune": None, "TRL as shipped": "trl", "TRL, head at supervised positions": "supervised"}
        measured = [
            {name: run(folder, {**job, "precision": precision}, head) for name, head in sides.items()}
            for _ in range(rounds)
        ]
        best = {name: min(second for turn in measured for second in turn[name]["step_seconds"]) for name in sides}
        print(f"{precision}")
        for name in sides:
            peak = max(turn[name]["peak_rss_mib"] for turn in measured)
            line = f"  {name:34} {job['examples_per_step'] / best[name]:5.2f} examples/s  peak {peak:5.0f} MiB"
            if name == "relaytune":
                reached = gflop / best[name]
                line += f"  {reached:.0f} GFLOP/s, {100 * reached / speeds[precision]:.0f}% of the matrix product"
            else:
                losses = zip(measured[0]["relaytune"]["losses"], measured[0][name]["losses"], strict=True)
                apart = max(abs(one - other) for one, other in losses)
                line += (
                    f"  relaytune is {best[name] / best['relaytune']:.2f}× as fast; losses at most {apart:.4f} apart"
                )
            print(line, flush=True)


def gflop_of_step(job: dict[str, Any]) -> float:
    """The mean over the job's steps, each one micro-batch."""
    recipe = load_recipe(RECIPE)
    folder = find_model(recipe.base_model)
    template = load_template(folder)
    rows = [template.encode(Example.of(row["messages"], row["completion"], "job")) for row in job["rows"]]
    prefix = shared_prefix_length([row.prompt_ids for row in rows])
    steps = job["num_steps"]
    flops = forward_and_backward_flops(
        read_model_size(load_config(folder), recipe.lora),
        tokens=prefix + sum(len(row.ids) - prefix for row in rows) / steps,
        supervised_tokens=sum(len(row.completion_ids) for row in rows) / steps,
    )
    return flops / 1e9


def run(folder: Path, job: dict[str, Any], head: str | None) -> dict[str, Any]:
    """Train with relaytune (no head named) or with TRL, in a process of its own."""
    job_file, result_file = folder / "job.json", folder / "result.json"
    job_file.write_text(json.dumps(job if head is None else {**job, "head": head}))
    command = [__file__, "--ours"] if head is None else [str(PEER)]
    subprocess.run(
        [sys.executable, "-W", "ignore", *command, str(job_file), str(result_file)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    result: dict[str, Any] = json.loads(result_file.read_text())
    return result


def make_job(num_steps: int, micro_batch: int) -> dict[str, Any]:
    """The first steps of the tickets recipe, the label not weighted (TRL has no such weight)."""
    recipe = load_recipe(RECIPE)
    rows, _ = load_rows(RECIPE.parent / recipe.data.train)
    examples = [example for row in rows if (example := render(row, recipe)[0]) is not None]
    per_step, seed = recipe.training.examples_per_step, recipe.training.seed
    first = examples[: num_steps * per_step]
    # relaytune shuffles by itself; TRL is given the rows in the order that comes of it
    walked = [
        first[index] for step in range(num_steps) for index in examples_of_step(step, len(first), 1.0, per_step, seed)
    ]
    return {
        "model": str(find_model(recipe.base_model, print).path),
        "rows": [as_row(example) for example in walked],
        "rows_before_shuffling": [as_row(example) for example in first],
        "examples_per_step": per_step,
        "micro_batch": micro_batch,
        "num_steps": num_steps,
        "lora": recipe.lora.model_dump(mode="json"),
        "learning_rate": recipe.training.learning_rate,
        "schedule": recipe.training.schedule,
        "warmup_steps": recipe.training.warmup_steps,
        "weight_decay": recipe.training.weight_decay,
        "max_grad_norm": recipe.training.max_grad_norm,
        "seed": seed,
        "initial_adapter": None,
        "threads": 2,
    }


def as_row(example: Example) -> dict[str, Any]:
    return {"messages": list(example.messages), "completion": example.completion}


def train_ours(job_file: str, result_file: str) -> None:
    import resource

    import torch

    from relaytune.core.precision import products
    from relaytune.training.loop import train_adapter
    from relaytune.training.lora import add_lora

    job = json.loads(Path(job_file).read_text())
    torch.set_num_threads(job["threads"])
    recipe = load_recipe(RECIPE)
    folder = find_model(recipe.base_model)
    template = load_template(folder)
    rows = [
        template.encode(Example.of(row["messages"], row["completion"], "job")) for row in job["rows_before_shuffling"]
    ]
    model = add_lora(load_model(folder, "cpu"), recipe.lora, recipe.base_model.name, job["seed"])
    settings = recipe.training.model_copy(update={"num_epochs": 1.0, "validations_per_epoch": 1})
    with products(job["precision"]):
        trained = train_adapter(model, rows, rows[:1], settings, MAX_TOKENS)
    seconds = [step.seconds for step in trained.steps]
    result = {
        # the last step also validates
        "step_seconds": [after - before for before, after in zip([0.0, *seconds], seconds, strict=False)][:-1],
        "losses": [step.train_loss for step in trained.steps],
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    Path(result_file).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
