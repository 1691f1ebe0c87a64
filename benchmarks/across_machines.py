"""One run over different kinds of machine: does it end where runs end that stayed on one?

    python benchmarks/across_machines.py [--seed 0] [base_model.name=…]        (needs a GPU)

The tickets recipe through the command line, every session a process of its own: CPU in float32, GPU in bfloat16, GPU in
float16, CPU in float32, a quarter of the steps each, stopped by SIGTERM; and the same run whole on the CPU and on
the GPU in each precision. Moments are carried. Printed are the probe's loss on both sides of each seam, the mean
training loss of five steps on both sides, skipped steps, and the validation loss of the last step, with no early
stopping, so that all have seen the same rows.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from relaytune.core.lineage import Stretch, read_metrics, read_sessions, stretches
from relaytune.core.results import TrainingResult, TrainingStep, read_result
from resume_bit_identical import command, run_in

STEPS = 108
REDUCED = ("training.num_epochs=2", "training.early_stopping_patience=1000", "session.save_every=2s")
CPU, GPU = "cpu", "cuda"
MOVED = ((CPU, "float32"), (GPU, "bfloat16"), (GPU, "float16"), (CPU, "float32"))
STAYED = (((CPU, "float32"),), ((GPU, "float32"),), ((GPU, "bfloat16"),), ((GPU, "float16"),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    overrides = [*REDUCED, f"training.seed={arguments.seed}", *arguments.overrides]
    with tempfile.TemporaryDirectory() as folder:
        for number, machines in enumerate((MOVED, *STAYED)):
            line(arguments.seed, machines, Path(folder) / str(number), overrides)


def line(seed: int, machines: tuple[tuple[str, str], ...], runs: Path, overrides: list[str]) -> None:
    """Train on these machines, one after the other, and print what happened."""
    probes = []
    for number, (device, precision) in enumerate(machines, start=1):
        end = STEPS * number // len(machines)
        said = session(device, runs, [*overrides, f"training.precision={precision}"], end if end < STEPS else None)
        probes += re.findall(r"probe's loss was ([\d.]+), and is ([\d.]+) here", said)
    steps = read_metrics(run_in(runs))
    trained = stretches(read_sessions(run_in(runs)), steps)
    result = read_result(run_in(runs).training, TrainingResult)
    assert result.num_steps == STEPS
    print(f"seed {seed}: {' → '.join(' '.join(machine) for machine in machines)}")
    for (saved, arrived), stretch in zip(probes, trained[1:], strict=True):
        print(seam(float(saved), float(arrived), stretch))
    print(f"  {last_words(result, steps)}", flush=True)


def seam(saved: float, arrived: float, stretch: Stretch) -> str:
    return (
        f"  after step {stretch.record.first_step}, {stretch.record.start}: probe {saved:.6f} → {arrived:.6f} "
        f"({abs(arrived - saved) / saved:.1e} apart), training loss {stretch.loss_before:.4f} → "
        f"{stretch.first_loss:.4f}"
    )


def last_words(result: TrainingResult, steps: list[TrainingStep]) -> str:
    last = [step.validation_loss for step in steps if step.validation_loss is not None][-1]
    return (
        f"validation loss of the last step {last:.4f}, of the best {result.best_validation_loss:.4f} (step "
        f"{result.best_step}); {result.num_skipped_steps} steps skipped, {result.wall_seconds:.0f} s"
    )


def session(device: str, runs: Path, overrides: list[str], until: int | None) -> str:
    """One session, stopped once a handoff of the step `until` lies there; returns what it printed."""
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == CPU else {}
    output = runs.with_suffix(".txt")
    with output.open("w") as file, subprocess.Popen(
        command("train", runs, overrides), stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **hidden}
    ) as process:  # fmt: skip
        handoffs = run_in(runs).handoffs
        while until is not None and not any(int(handoff.name) >= until for handoff in handoffs.glob("[0-9]*")):
            if process.poll() is not None:
                sys.exit(output.read_text())
            time.sleep(0.02)
        if until is not None:
            process.send_signal(signal.SIGTERM)
    if process.returncode:
        sys.exit(output.read_text())
    return " ".join(output.read_text().split())  # unwrapped


if __name__ == "__main__":
    main()
