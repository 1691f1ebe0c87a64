"""Greedy answers: relaytune against transformers' `generate` and, where it is there, vLLM; same prompts, in one run.

    python benchmarks/generation_speed.py --prompts 64
    python benchmarks/generation_speed.py --prompts 470 --device cuda --at-once 32 128 512 --vllm /opt/vllm/bin/python

The base model answers tickets of the training file, without examples and behind four examples in the prompt; generate
runs in padded batches of several sizes, of which the fastest counts. Each side is a process of its own, in float32;
loading is not counted, and on a GPU neither is a first prompt, which loads the kernels. How many answers are the same
text is shown.

vLLM pins a transformers that relaytune is too new for, so it has an environment of its own: --vllm names its Python.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from relaytune.core.counts import ANSWERS_AT_ONCE, ANSWERS_AT_ONCE_ON_GPU
from relaytune.core.model import find_model, load_model, load_template
from relaytune.core.recipe import load_recipe
from relaytune.core.sections import BaseModelChoice
from relaytune.data.loading import load_rows
from relaytune.data.rendering import render
from relaytune.evaluation.prompting import draw_shots, with_shots
from relaytune.planning import measure_hardware

PEERS = Path(__file__).parent / "peers"
RECIPE = Path("examples/tickets/recipe.yaml")
BATCH_SIZES = {"cpu": (16, 32, 64), "cuda": (64, 128, 256, 512)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--device", choices=tuple(BATCH_SIZES), default="cpu")
    parser.add_argument("--at-once", type=int, nargs="+", default=None, help="relaytune's own batch sizes")
    parser.add_argument("--vllm", default=sys.executable, help="the Python of an environment with vLLM")
    parser.add_argument("--base-model", help="where SmolLM2 lies, if not in its package: a .gguf file")
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
            job = make_job(arguments.prompts, num_shots, arguments.base_model) | {"device": arguments.device}
            print(f"{len(job['prompts'])} prompts with {num_shots} examples in them")
            own = [ANSWERS_AT_ONCE_ON_GPU if arguments.device == "cuda" else ANSWERS_AT_ONCE]
            compare(Path(folder), job, arguments.at_once or own, arguments.vllm)


def compare(folder: Path, job: dict[str, Any], at_once: Sequence[int], vllm: str) -> None:
    """Print one line for each side, and how the product's own batch size compares."""
    python = sys.executable
    ours = {size: run(folder, [python, __file__, "--ours"], job | {"at_once": size}) for size in at_once}
    texts = next(iter(ours.values()))["completions"]
    for size, result in ours.items():
        show(f"relaytune, {size} at once", result, texts)
    plain = [python, str(PEERS / "plain_generate.py")]
    peers = {size: run(folder, plain, job | {"batch_size": size}) for size in BATCH_SIZES[job["device"]]}
    for size, result in peers.items():
        show(f"generate, batches of {size}", result, texts)
    say_ratio("generate in its best batch size", peers.values(), ours)
    if subprocess.run([vllm, "-c", "import vllm"], capture_output=True).returncode:
        print(f"  vLLM: not installed for {vllm}, not measured", flush=True)
        return
    result = run(folder, [vllm, str(PEERS / "vllm_generate.py")], job)
    show("vLLM", result, texts)
    say_ratio("vLLM", [result], ours)


def run(folder: Path, command: list[str], job: dict[str, Any]) -> dict[str, Any]:
    job_file, result_file = folder / "job.json", folder / "result.json"
    job_file.write_text(json.dumps(job))
    python, *rest = command
    done = subprocess.run([python, "-W", "ignore", *rest, str(job_file), str(result_file)], capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace')[-3000:]}")
    result: dict[str, Any] = json.loads(result_file.read_text())
    return result


def show(name: str, result: dict[str, Any], texts: Sequence[str]) -> None:
    same = sum(one == other for one, other in zip(texts, result["completions"], strict=True))
    peak = f"peak {result['peak_mib']:5.0f} MiB" if "peak_mib" in result else " " * 14
    print(
        f"  {name:26} {result['seconds']:6.1f} s {result['num_tokens'] / result['seconds']:6.0f} tokens/s  {peak}"
        f"  {same} of {len(texts)} answers as in the first line",
        flush=True,
    )


def say_ratio(peer: str, results: Iterable[dict[str, Any]], ours: Mapping[int, dict[str, Any]]) -> None:
    best = min(result["seconds"] for result in results)
    ratios = ", ".join(f"{best / result['seconds']:.2f}× as fast with {size} at once" for size, result in ours.items())
    print(f"  relaytune against {peer}: {ratios}", flush=True)


def make_job(num_prompts: int, num_shots: int, base_model: str | None) -> dict[str, Any]:
    recipe = load_recipe(RECIPE, [f"base_model.name={base_model}"] if base_model else [])
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

    from relaytune.core import decoding
    from relaytune.core.decoding import stop_ids

    job = json.loads(job_file.read_text())
    torch.set_num_threads(job["threads"])
    folder = find_model(BaseModelChoice.model_validate({"name": job["model"]}))
    template, model = load_template(folder), load_model(folder, job["device"]).eval()
    stop = stop_ids(model, template)
    on_gpu = job["device"] == "cuda"
    if on_gpu:
        decoding.decode(model, [template.prompt_ids(job["prompts"][0])], 2, stop)
    with patch.object(decoding, "_rows_at_once", lambda *_: job["at_once"]):
        begun = time.perf_counter()
        prompts = [template.prompt_ids(messages) for messages in job["prompts"]]
        answers = decoding.decode(model, prompts, job["max_new_tokens"], stop)
        completions = [template.decode(answer.ids[:-1] if answer.stopped else answer.ids) for answer in answers]
        seconds = time.perf_counter() - begun
    resident_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "seconds": seconds,
        "completions": completions,
        "num_tokens": sum(len(answer.ids) for answer in answers),
        "peak_mib": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else resident_mib,
    }
    result_file.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
