"""Does a run in several sessions end in the bits of the uninterrupted one? The real model, through the command line.

    python benchmarks/resume_bit_identical.py        (OMP_NUM_THREADS=1 where other work disturbs)

Ten steps on a few tickets, uninterrupted and with 1, 3 and 9 seams; every session is a process of its own. With 9 seams
each session has a limit that has passed when its first step ends. With 1 and 3 seams sessions are stopped by SIGTERM,
once a handoff of the wanted step lies there, wherever they are by then. Every session arrives as the product does:
manifest, hashes, weights, moments and probe are checked. Compared are the adapter of the last step, the adapter that
is kept (the best step's), and every step's loss. Exits with 1 where a bit differs.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from relaytune.core.files import read_json, sha256_of_file
from relaytune.core.lineage import read_metrics
from relaytune.core.results import Plan, TrainingStep, read_result
from relaytune.core.run_folder import ADAPTER_WEIGHTS, RunFolder

RECIPE = "examples/tickets/recipe.yaml"
STEPS = 10
REDUCED = (
    "data.max_train_rows=11",  # one of them for validation
    "data.max_held_out_rows=30",
    "training.num_epochs=2",
    "training.examples_per_step=2",
    "training.warmup_steps=2",
    "training.early_stopping_patience=100",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    overrides = [*REDUCED, *parser.parse_args().overrides]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        relaytune("plan", folder / "0", overrides)  # one plan for all: the same precision, the same micro-batches
        for seams in (1, 3, 9):
            shutil.copytree(folder / "0", folder / str(seams))
        plan = read_result(run_in(folder / "0").plan, Plan)
        print(f"{plan.hardware.name}, products in {plan.precision}, torch {torch.__version__}, {STEPS} steps\n")
        print("| seams | after steps | stopped by | last step's adapter | kept adapter | largest difference | wall |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        same = [line_of(folder, seams, overrides) for seams in (0, 1, 3, 9)]
    if not all(same):
        sys.exit("the bits differ")


def run_in(runs: Path) -> RunFolder:
    return RunFolder(runs / "tickets")


def line_of(folder: Path, seams: int, overrides: list[str]) -> bool:
    """Train with so many seams, print a line of the table; returns whether all is as without seams."""
    began = time.perf_counter()
    runs = folder / str(seams)
    if seams == STEPS - 1:
        for _ in range(seams):
            relaytune("train", runs, [*overrides, "session.limit=1s"])
    else:
        for number in range(1, seams + 1):
            stopped_after(STEPS * number // (seams + 1), runs, overrides)
    relaytune("train", runs, overrides)
    seconds = time.perf_counter() - began

    run, whole = run_in(runs), run_in(folder / "0")
    sessions = [read_json(session / "session.json") for session in run.session_folders()]
    assert len(sessions) == seams + 1, [session["ended"] for session in sessions]
    assert all(session["start"] == "resume" for session in sessions[1:])
    ends = ", ".join(str(session["last_step"]) for session in sessions[:-1])
    causes = ", ".join(sorted({session["ended"] for session in sessions[:-1]}))
    last, kept = f"handoffs/{STEPS:06d}/{ADAPTER_WEIGHTS}", f"adapter/{ADAPTER_WEIGHTS}"
    apart = max(largest_difference(run.path / name, whole.path / name) for name in (last, kept))
    hashes = [sha256_of_file(run.path / name) for name in (last, kept)]
    same = hashes == [sha256_of_file(whole.path / name) for name in (last, kept)] and losses(run) == losses(whole)
    print(
        f"| {seams} | {ends} | {causes} | {hashes[0][:12]} | {hashes[1][:12]} | "
        f"{apart:g}{'' if same else ', NOT the same'} | {seconds:.0f} s |",
        flush=True,
    )
    return same


def largest_difference(one: Path, other: Path) -> float:
    ours, theirs = load_file(one), load_file(other)
    assert ours.keys() == theirs.keys()
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)


def losses(run: RunFolder) -> list[tuple[int, float | None, float | None]]:
    def key(step: TrainingStep) -> tuple[int, float | None, float | None]:
        return step.step, step.train_loss, step.validation_loss

    return [key(step) for step in read_metrics(run)]


def command(verb: str, runs: Path, overrides: list[str]) -> list[str]:
    sets = [word for override in overrides for word in ("--set", override)]
    return [sys.executable, "-W", "ignore", "-m", "relaytune", verb, RECIPE, "--runs", str(runs), *sets]


def relaytune(verb: str, runs: Path, overrides: list[str]) -> None:
    done = subprocess.run(command(verb, runs, overrides), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def stopped_after(step: int, runs: Path, overrides: list[str]) -> None:
    """A session that is told to stop when a handoff of this step, or a later one, is complete."""
    words = command("train", runs, [*overrides, "session.save_every=1s"])
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        handoffs = run_in(runs).handoffs
        while not any(int(handoff.name) >= step for handoff in handoffs.glob("[0-9]*")):
            assert process.poll() is None, f"the session ended before step {step}"
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


if __name__ == "__main__":
    main()
