"""Greedy answers on this CPU: relaytune against transformers' `generate`, same prompts, in one run.

    python benchmarks/generation_speed.py --prompts 64

The base model answers tickets of the training file, without examples and behind four examples in the prompt; generate
runs in padded batches of several sizes, of which the fastest counts. Each side is a process of its own, in float32;
loading is not counted. How many answers are the same text is shown.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from relaytune.core.model import find_model, load_model, load_template
from relaytune.core.recipe import load_recipe
from relaytune.data.loading import load_rows
from relaytune.data.rendering import render
from relaytune.evaluation.prompting import draw_shots, with_shots
from relaytune.planning import measure_hardware

PEER = Path(__file__).parent / "peers" / "plain_generate.py"
RECIPE = Path("examples/tickets/recipe.yaml")
BATCH_SIZES = (16, 32, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--ours", nargs=2, metavar=("JOB", "RESULT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        answer_ours(*map(Path, arguments.ours))
        return
    with tempfile.TemporaryDirectory() as folder:
        hardware = measure_hardware(Path(folder))
        print(
            f"{hardware.name}, {hardware.num_cores} cores; {hardware.product_gflops['float32']:.0f} GFLOP/s in float32"
        )
        for num_shots in (0, 4):
            compare(Path(folder), arguments.prompts, num_shots)


def compare(folder: Path, num_prompts: int, num_shots: int) -> None:
    """Print one line for each side."""
    job = make_job(num_prompts, num_shots)
    ours = run(folder, [__file__, "--ours"], job)
    print(f"{num_prompts} prompts with {num_shots} examples in them")
    show("relaytune", ours)
    peers = {size: run(folder, [str(PEER)], {**job, "batch_size": size}) for size in BATCH_SIZES}
    for size, peer in peers.items():
        same = sum(one == other for one, other in zip(ours["completions"], peer["completions"], strict=True))
        show(f"generate, batches of {size}", peer, f"  {same} of {num_prompts} answers the same as relaytune's")
    best = min(peer["seconds"] for peer in peers.values())
    print(f"  relaytune is {best / ours['seconds']:.2f}× as fast as generate in its best batch size", flush=True)


def run(folder: Path, command: list[str], job: dict[str, Any]) -> dict[str, Any]:
    job_file, result_file = folder / "job.json", folder / "result.json"
    job_file.write_text(json.dumps(job))
    subprocess.run(
        [sys.executable, "-W", "ignore", *command, str(job_file), str(result_file)],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    result: dict[str, Any] = json.loads(result_file.read_text())
    return result


def show(name: str, result: dict[str, Any], more: str = "") -> None:
    tokens = f"{result['num_tokens'] / result['seconds']:5.0f} tokens/s"
    print(f"  {name:24} {result['seconds']:6.1f} s {tokens}  peak {result['peak_rss_mib']:5.0f} MiB{more}", flush=True)


def make_job(num_prompts: int, num_shots: int) -> dict[str, Any]:
    recipe = load_recipe(RECIPE)
    rows, _ = load_rows(RECIPE.parent / recipe.data.train)
    examples = [example for row in rows if (example := render(row, recipe)[0]) is not None]
    asked, others = examples[:num_prompts], examples[num_prompts:]
    shots = draw_shots(recipe, others, num_shots, 0)
    return {
        "model": str(find_model(recipe.base_model, print).path),
        "prompts": [list(with_shots(example, shots)) for example in asked],
        "max_new_tokens": recipe.evaluation.max_new_tokens,
        "threads": 2,
    }


def answer_ours(job_file: Path, result_file: Path) -> None:
    """Answer the job's prompts and write what was measured, from messages to texts."""
    import torch

    from relaytune.evaluation.decoding import decode
    from relaytune.evaluation.generating import stop_ids

    job = json.loads(job_file.read_text())
    torch.set_num_threads(job["threads"])
    folder = find_model(load_recipe(RECIPE).base_model)
    template, model = load_template(folder), load_model(folder, "cpu").eval()
    begun = time.perf_counter()
    prompts = [template.prompt_ids(messages) for messages in job["prompts"]]
    answers = decode(model, prompts, job["max_new_tokens"], stop_ids(model, template))
    completions = [template.decode(answer.ids[:-1] if answer.stopped else answer.ids) for answer in answers]
    result = {
        "seconds": time.perf_counter() - begun,
        "completions": completions,
        "num_tokens": sum(len(answer.ids) for answer in answers),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    result_file.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
