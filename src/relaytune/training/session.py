"""One session of training: from frozen rows to a handoff with the best adapter."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relaytune.core.contract import label_span
from relaytune.core.files import write_json, write_jsonl
from relaytune.core.model import ModelFolder, find_model, load_model, load_template
from relaytune.core.recipe import Recipe
from relaytune.core.records import data_hash, read_examples
from relaytune.core.results import Plan, TrainingResult, TrainingStep, read_result, write_result
from relaytune.core.run_folder import RunFolder, library_versions, now
from relaytune.core.screen import Screen
from relaytune.core.template import EncodedExample

if TYPE_CHECKING:
    from relaytune.training.loop import Trained


def train(recipe: Recipe, run: RunFolder, screen: Screen) -> list[Path]:
    """Train on data/train.jsonl as plan.json says; returns the files written.

    Raises:
        RunError: the data or the plan is missing, or the loss is no longer a number.
        ModelError: the base model is missing or lacks a target module.
        MachineError: no torch, or no disk.
    """
    plan = read_result(run.plan, Plan)
    folder = find_model(recipe.base_model, screen.say)
    template = load_template(folder)
    rows, validation_rows = read_examples(run.train), read_examples(run.validation)
    spans = [label_span(recipe.contract, row.completion) for row in (*rows, *validation_rows)]
    if recipe.training.label_weight != 1 and (unmarked := spans.count((0, 0))):
        screen.say(f"label_weight: {unmarked} of {len(spans)} answers hold no label; their tokens all weigh 1.")
    weighted = [
        template.encode(row, span, recipe.training.label_weight)
        for row, span in zip((*rows, *validation_rows), spans, strict=True)
    ]
    encoded, validation = weighted[: len(rows)], weighted[len(rows) :]
    shown = tuple(template.decode(example.completion_ids, special=True) for example in encoded[:3])
    screen.say("Supervised tokens of three examples (everything else is context and teaches nothing):")
    for text in shown:
        screen.say(f"  {text!r}")

    begun = time.perf_counter()
    trained, model = _train_with_bar(recipe, plan, folder, encoded, validation, screen)
    wall_seconds = time.perf_counter() - begun
    last, progress = trained.steps[-1], trained.progress
    assert progress.first_validation_loss is not None
    handoff = run.handoffs / f"{progress.best_step:06d}"
    from relaytune.training.handoff import forget_handoffs, write_handoff

    forget_handoffs(run.handoffs)
    manifest = {
        "base_model": recipe.base_model.model_dump(mode="json"),
        "weights_fingerprint": folder.fingerprint,
        "template_hash": template.hash,
        "data_hash": data_hash(rows),
        "permutation_seed": recipe.training.seed,
        "next_example": last.num_examples,
        "step": progress.best_step,
        "planned_steps": plan.num_steps,
        "tokens_seen": last.num_tokens,
        "schedule": recipe.training.model_dump(mode="json"),
        "lora": recipe.lora.model_dump(mode="json"),
        "validation_loss": progress.best_validation_loss,
        "libraries": library_versions(),
        "device": plan.hardware.device,
        "lineage": [{"session": 1, "start": "new", "ended_at": now()}],
    }
    write_handoff(handoff, model, progress.best_weights, manifest)

    session = run.sessions / "01"
    write_jsonl(session / "metrics.jsonl", (asdict(step) for step in trained.steps))
    write_json(session / "environment.json", _environment(plan))
    result = TrainingResult(
        start="new",
        device=plan.hardware.device,
        precision=plan.precision,
        num_steps=last.step,
        planned_steps=plan.num_steps,
        num_examples=last.num_examples,
        num_tokens=last.num_tokens,
        num_supervised_tokens=progress.num_supervised_tokens,
        best_step=progress.best_step,
        best_validation_loss=progress.best_validation_loss,
        first_validation_loss=progress.first_validation_loss,
        stopped_early=trained.stopped_early,
        wall_seconds=wall_seconds,
        examples_per_second=last.num_examples / last.seconds,
        peak_memory_gib=_peak_memory_gib(),
        handoff=handoff.relative_to(run.path).as_posix(),
        supervised_text_shown=shown,
    )
    write_result(session / "session.json", result)
    screen.say(_summary(result))
    return [
        *(session / name for name in ("session.json", "metrics.jsonl", "environment.json")),
        *sorted(handoff.iterdir()),
    ]


def _train_with_bar(
    recipe: Recipe,
    plan: Plan,
    folder: ModelFolder,
    train: Sequence[EncodedExample],
    validation: Sequence[EncodedExample],
    screen: Screen,
) -> tuple[Trained, Any]:
    import torch

    from relaytune.core.precision import products
    from relaytune.training.loop import train_adapter
    from relaytune.training.lora import add_lora

    device = plan.hardware.device
    model = add_lora(load_model(folder, device), recipe.lora, recipe.base_model.name, recipe.training.seed)
    _forget_peak_memory()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    latest = ""
    with screen.bar("training", plan.num_steps) as bar, products(plan.precision):

        def show(step: TrainingStep, *_: object) -> None:
            nonlocal latest
            if step.validation_loss is not None:
                latest = f" val {step.validation_loss:.3f}"
            bar.update(
                step.step,
                f"loss {step.train_loss:.3f}{latest} {step.num_tokens / step.seconds:,.0f} tokens/s",
            )

        trained = train_adapter(model, train, validation, recipe.training, plan.max_tokens_per_micro_batch, show)
    return trained, model


def _summary(result: TrainingResult) -> str:
    early = f", stopped early (of {result.planned_steps} planned)" if result.stopped_early else ""
    untrained = (
        " Training never lowered the validation loss: the adapter kept is the untrained one."
        if result.best_step == 0
        else ""
    )
    return (
        f"{result.num_steps} steps{early}, {result.num_examples} examples in {result.wall_seconds:.0f} s; validation "
        f"loss {result.first_validation_loss:.3f} → {result.best_validation_loss:.3f} (best after step "
        f"{result.best_step}, kept in {result.handoff}).{untrained}"
    )


def _environment(plan: Plan) -> dict[str, object]:
    import torch

    return {
        "libraries": library_versions(),
        "platform": platform.platform(),
        "hardware": asdict(plan.hardware),
        "num_threads": torch.get_num_threads(),
    }


def _forget_peak_memory() -> None:
    """Give back what earlier stages left on the heap, and start the kernel's high-water mark of this process anew.

    Linux only; elsewhere the mark covers the whole process.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # the C library keeps what was freed
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory_gib() -> float:
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**30
    try:
        status = Path("/proc/self/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 2**20
    except (OSError, StopIteration):
        import resource

        unit = 2**30 if os.uname().sysname == "Darwin" else 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
