"""Training speed on this CPU: relaytune against TRL's SFTTrainer, same examples, order, LoRA and optimizer, in one run.

    python benchmarks/training_speed.py --steps 6

Needs trl and datasets besides relaytune[train]. Each side is a process of its own. The best step of each counts, as
the machine may be disturbed; losses of every step are compared. Prints the measured matrix product too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from relaytune.core.model import find_model, load_model, load_template
from relaytune.core.recipe import load_recipe
from relaytune.core.records import Example
from relaytune.data.loading import load_rows
from relaytune.data.rendering import render
from relaytune.planning import measure_hardware
from relaytune.training.batching import examples_of_step

PEER = Path(__file__).parent / "peers" / "trl_sft.py"
RECIPE = Path("examples/tickets/recipe.yaml")
MAX_TOKENS = 4096
# TRL as shipped, and with its head kept to the supervised positions (peers/trl_sft.py says how)
PEERS: tuple[dict[str, Any], ...] = (
    {"precision": "float32", "head": "trl"},
    {"precision": "float32", "head": "supervised"},
    {"precision": "bfloat16_products", "head": "trl"},
    {"precision": "bfloat16_products", "head": "supervised"},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--micro-batch", type=int, default=8, help="TRL's; ours is the planner's")
    parser.add_argument("--ours", nargs=3, metavar=("JOB", "PRECISION", "RESULT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        train_ours(*arguments.ours)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), arguments.steps, arguments.micro_batch)


def compare(folder: Path, num_steps: int, micro_batch: int) -> None:
    job = make_job(num_steps, micro_batch)
    job_file = folder / "job.json"
    job_file.write_text(json.dumps(job))
    hardware = measure_hardware(folder)
    print(
        f"{hardware.name}, {hardware.num_cores} cores; matrix product {hardware.float32_gflops:.0f} GFLOP/s in "
        f"float32, {hardware.bfloat16_products_gflops:.0f} with bfloat16 products"
    )
    ours: dict[str, dict[str, Any]] = {}
    for precision in ("float32", "bfloat16_products"):
        result = folder / "ours.json"
        run([__file__, "--ours", str(job_file), precision, str(result)])
        ours[precision] = json.loads(result.read_text())
        show(f"relaytune {precision}", ours[precision], job, None)
    for variant in PEERS:
        job_file.write_text(json.dumps({**job, **variant}))
        result = folder / "trl.json"
        run([str(PEER), str(job_file), str(result)])
        show(f"TRL {variant['precision']}, head {variant['head']}", json.loads(result.read_text()), job, ours)


def run(arguments: list[str]) -> None:
    subprocess.run([sys.executable, "-W", "ignore", *arguments], check=True, stdout=subprocess.DEVNULL)


def show(name: str, result: dict[str, Any], job: dict[str, Any], ours: dict[str, dict[str, Any]] | None) -> None:
    speed = job["examples_per_step"] / min(result["step_seconds"])
    line = f"{name:42} {speed:5.2f} examples/s  peak {result['peak_rss_mib']:5.0f} MiB"
    if ours is not None:
        same = ours["float32" if "float32" in name else "bfloat16_products"]
        ratio = job["examples_per_step"] / min(same["step_seconds"]) / speed
        apart = max(abs(one - other) for one, other in zip(same["losses"], result["losses"], strict=True))
        line += f"  relaytune in this precision is {ratio:.2f}× as fast; losses at most {apart:.4f} apart"
    print(line, flush=True)


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
        "precision": "float32",
        "seed": seed,
        "initial_adapter": None,
        "threads": 2,
    }


def as_row(example: Example) -> dict[str, Any]:
    return {"messages": list(example.messages), "completion": example.completion}


def train_ours(job_file: str, precision: str, result_file: str) -> None:
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
    with products(precision):  # type: ignore[arg-type]
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
