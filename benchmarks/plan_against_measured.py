"""What the plan predicts for one training step on this machine, against what is measured: peak memory and time.

    python benchmarks/plan_against_measured.py [base_model.name=…]

Rows of random tokens through SmolLM2-135M with the tickets recipe's adapter; each shape in a process of its own, which
trains a few steps. The best step counts, as the machine may be disturbed. On a GPU memory is all that the process takes
of it, the CUDA context included. relaytune.planning's constants (ALLOCATOR_OVERHEAD, EFFICIENCY_TRAINING) come from
this table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from relaytune.core.model import find_model, load_model
from relaytune.core.precision import Precision, computing, hold_base
from relaytune.core.recipe import Recipe, load_recipe
from relaytune.core.results import DataSize
from relaytune.core.template import EncodedExample
from relaytune.planning import measure_hardware, read_model_size
from relaytune.planning.duration import training_seconds
from relaytune.planning.memory import peak_training_memory_gib

RECIPE = Path("examples/tickets/recipe.yaml")
STEPS = 6
# shared prefix, own tokens of each example of a step, of which supervised
SHAPES = (
    (168, [55] * 8, 22),
    (168, [40] * 7 + [300], 22),
    (168, [55] * 16, 22),
    (0, [223] * 8, 22),
    (300, [30] * 24, 5),
    (20, [240] * 12, 120),
)
SHAPES_ON_GPU = (
    (168, [55] * 8, 22),
    (168, [55] * 64, 22),
    (168, [55] * 256, 22),
    (20, [480] * 8, 120),
    (20, [480] * 32, 120),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    parser.add_argument(
        "--measure", nargs=4, metavar=("SHAPE", "PRECISION", "DEVICE", "RESULT"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    recipe = load_recipe(RECIPE, arguments.overrides)
    if arguments.measure:
        shape, precision, device, result = arguments.measure
        Path(result).write_text(json.dumps(measure(recipe, shape, precision, device)))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(recipe, arguments.overrides, Path(folder))


def compare(recipe: Recipe, overrides: list[str], folder: Path) -> None:
    """Print one line for each shape and precision."""
    hardware = measure_hardware(folder)
    config = json.loads((find_model(recipe.base_model, print).path / "config.json").read_text())
    model = read_model_size(config, recipe.lora)
    products = ", ".join(f"{speed:.0f} in {name}" for name, speed in hardware.product_gflops.items())
    print(f"{hardware.name}, {hardware.num_cores} cores; matrix products, GFLOP/s: {products}")
    print(f"{'prefix':>6} {'tokens':>6} {'longest':>7} {'measured':>9} {'predicted':>9}   measured predicted")
    for precision in hardware.product_gflops:
        for prefix, own, supervised in SHAPES_ON_GPU if hardware.device == "cuda" else SHAPES:
            result = folder / "result.json"
            how = [json.dumps([prefix, own, supervised]), precision, hardware.device, str(result)]
            command = [__file__, *overrides, "--measure", *how]
            subprocess.run([sys.executable, "-W", "ignore", *command], check=True, stderr=subprocess.DEVNULL)
            measured = json.loads(result.read_text())
            tokens = prefix + sum(own)
            memory = peak_training_memory_gib(
                model, hardware.device, precision, tokens, prefix, max(own), supervised * len(own)
            )
            one_step = recipe.model_copy(
                update={
                    "training": recipe.training.model_copy(
                        update={"num_epochs": 1.0, "examples_per_step": len(own), "validations_per_epoch": 1}
                    )
                }
            )
            data = DataSize(
                num_train=len(own),
                num_validation=0,
                num_held_out=0,
                shared_prefix_tokens=prefix,
                own_tokens_train=sum(own),
                own_tokens_validation=0,
                own_prompt_tokens_held_out=0,
                supervised_tokens_train=supervised * len(own),
                longest_tokens=prefix + max(own),
            )
            seconds = training_seconds(one_step, data, model, hardware, precision, tokens)
            print(
                f"{prefix:6} {tokens:6} {max(own):7} {measured['gib']:5.2f} GiB {memory:5.2f} GiB   "
                f"{measured['seconds']:6.2f} s {seconds:6.2f} s   {precision}",
                flush=True,
            )


def measure(recipe: Recipe, shape: str, precision: Precision, device: str) -> dict[str, float]:
    """Train a few steps on rows of this shape (prefix, own tokens, supervised tokens; as JSON)."""
    prefix, own, supervised = json.loads(shape)
    import torch

    from relaytune.training.loop import train_adapter
    from relaytune.training.lora import add_lora

    model = add_lora(load_model(find_model(recipe.base_model), "cpu"), recipe.lora, recipe.base_model.name, 0)
    model = hold_base(model, precision).to(device)
    rng = random.Random(0)
    shared = [rng.randrange(100, 40_000) for _ in range(prefix)]
    rows = []
    for place, length in enumerate(own * STEPS):
        ids = [100 + place % 20_000, *(rng.randrange(100, 40_000) for _ in range(length - 1))]
        prompt = [*shared, *ids[: length - supervised]]
        rows.append(EncodedExample(str(place), prompt, ids[length - supervised :], [1.0] * supervised))
    settings = recipe.training.model_copy(
        update={"num_epochs": 1.0, "examples_per_step": len(own), "validations_per_epoch": 1}
    )
    with computing(precision, device):
        trained = train_adapter(model, rows, rows[:1], settings, 1_000_000, precision=precision)
    ends = [0.0, *(step.seconds for step in trained.steps)][:-1]  # the last step also validates
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        gib = (total - free) / 2**30
    else:
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "gib": gib,
        "seconds": min(after - before for before, after in itertools.pairwise(ends)),
    }


if __name__ == "__main__":
    main()
