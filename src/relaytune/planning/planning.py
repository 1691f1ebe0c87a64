"""From facts to a plan: precision, steps, memory, disk, time, and what speaks against starting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from relaytune.core.counts import num_steps
from relaytune.core.errors import MachineError
from relaytune.core.precision import Precision
from relaytune.core.recipe import Recipe
from relaytune.core.results import DataSize, Hardware, ModelSize, Plan
from relaytune.core.statistics import smallest_detectable_win_share
from relaytune.planning.duration import evaluation_seconds, training_seconds
from relaytune.planning.memory import (
    GIB,
    SAFE_SHARE,
    available_memory_gib,
    largest_micro_batch_tokens,
    peak_training_memory_gib,
    safe_memory_gib,
)
from relaytune.planning.precision import choose_precision

ADAPTER_COPIES = 3  # best handoff, latest handoff, package
SMALL_DISK_GIB = 2.0
LONG_TRAINING_SECONDS = 3600
LARGEST_USEFUL_DIFFERENCE = 0.20
SMALLEST_VALIDATION = 20


def make_plan(
    recipe: Recipe, data: DataSize, model: ModelSize, hardware: Hardware, detectable_difference: float
) -> Plan:
    """Predict what the run will need on this machine.

    The peak is that of a step's largest micro-batch: a step of few examples never fills the token budget. Disk
    is the base model in float32, as it is kept after a conversion, and the adapter's copies.

    Args:
        recipe: the resolved recipe.
        data: token counts of the frozen splits; none of the training counts is 0.
        model: the base model's shape.
        hardware: this machine, as measured.
        detectable_difference: smallest difference of two rates that the held-out rows can show, as a share.

    Raises:
        MachineError: the machine's speed could not be measured, so that nothing can be said about time.
    """
    if not hardware.product_gflops:
        raise MachineError(
            f"{hardware.name}: the speed of matrix products was not measured, so time cannot be predicted. It takes "
            "numpy (pip install numpy) or torch (pip install 'relaytune[train]')."
        )
    prefix, longest_own = data.shared_prefix_tokens, data.longest_tokens - data.shared_prefix_tokens
    supervised_share = data.supervised_tokens_train / data.own_tokens_train

    def peak_gib(tokens: int, precision: Precision) -> float:
        supervised = round(supervised_share * (tokens - prefix))
        return peak_training_memory_gib(model, hardware.device, precision, tokens, prefix, longest_own, supervised)

    def most_tokens(precision: Precision) -> int:
        return largest_micro_batch_tokens(model, hardware, precision, prefix, longest_own, supervised_share)

    def seconds(precision: Precision) -> float:
        return training_seconds(recipe, data, model, hardware, precision, most_tokens(precision))

    def fits(precision: Precision) -> bool:
        return peak_gib(data.longest_tokens, precision) < safe_memory_gib(hardware)

    precision, reason = choose_precision(recipe.training.precision, hardware, seconds, fits)
    max_tokens = most_tokens(precision)
    largest_step = prefix + recipe.training.examples_per_step * longest_own
    plan = Plan(
        hardware=hardware,
        data=data,
        model=model,
        precision=precision,
        precision_reason=reason,
        num_steps=num_steps(data.num_train, recipe.training.num_epochs, recipe.training.examples_per_step),
        max_tokens_per_micro_batch=max_tokens,
        peak_memory_gib=peak_gib(min(max_tokens, largest_step), precision),
        disk_gib=4 * (model.num_parameters + ADAPTER_COPIES * model.num_lora_parameters) / GIB,
        training_seconds=seconds(precision),
        evaluation_seconds=evaluation_seconds(recipe, data, model, hardware),
        smallest_detectable_difference=detectable_difference,
        warnings=(),
    )
    return replace(plan, warnings=tuple(_warnings(plan, peak_gib(data.longest_tokens, precision))))


def _warnings(plan: Plan, peak_of_longest_gib: float) -> Iterator[str]:
    hardware, data = plan.hardware, plan.data
    available = available_memory_gib(hardware)
    if peak_of_longest_gib >= safe_memory_gib(hardware):
        yield (
            f"Too little memory: the longest example ({data.longest_tokens} tokens) alone is predicted to take "
            f"{peak_of_longest_gib:.1f} GiB; {available:.1f} GiB are free, of which {SAFE_SHARE:.0%} are safe to use. "
            "Lower training.max_length, or choose a smaller base model or another machine."
        )
    in_float32_gib = 4 * plan.model.num_parameters / GIB
    if hardware.device == "cuda" and in_float32_gib >= SAFE_SHARE * hardware.gpu_memory_gib:
        yield (
            f"Too large to answer: answers are generated in float32, in which the base model takes "
            f"{in_float32_gib:.1f} GiB of the GPU's {hardware.gpu_memory_gib:.1f}; training alone may fit. Choose a "
            "smaller base model."
        )
    if hardware.device == "cuda" and in_float32_gib >= hardware.free_memory_gib:
        yield (
            f"Too large to load: the base model passes through main memory in float32, {in_float32_gib:.1f} GiB, of "
            f"which {hardware.free_memory_gib:.1f} GiB are free. Choose a smaller base model, or a machine with more "
            "memory."
        )
    if hardware.free_disk_gib < max(SMALL_DISK_GIB, plan.disk_gib):
        yield (
            f"Little disk: {hardware.free_disk_gib:.1f} GiB are free; the run needs {SMALL_DISK_GIB:g} GiB, and "
            f"{plan.disk_gib:.1f} GiB where the base model is not on this disk yet. Free some space."
        )
    if plan.precision not in hardware.product_gflops:
        yield (
            f"No {plan.precision} here: training.precision asks for it, and its speed was not measured on this kind of "
            "machine, where it is usually slower than float32; the times are those of float32. Set it to auto."
        )
    if hardware.device == "cpu" and plan.training_seconds > LONG_TRAINING_SECONDS:
        yield (
            f"Long training: about {_duration(plan.training_seconds)} on a CPU. Use a GPU, a smaller base model, "
            "data.max_train_rows, or fewer training.num_epochs."
        )
    if plan.smallest_detectable_difference > LARGEST_USEFUL_DIFFERENCE:
        yield (
            f"Few held-out rows: {data.num_held_out} show a difference only from "
            f"{100 * plan.smallest_detectable_difference:.0f} points on; a smaller one will look like chance. "
            "Add held-out rows."
        )
    if data.num_validation < SMALLEST_VALIDATION:
        yield (
            f"Few validation rows: {data.num_validation}, on which early stopping and the few-shot prompt are "
            f"chosen; {SMALLEST_VALIDATION} are the least. Raise data.validation_fraction, or add training rows."
        )


def plan_lines(plan: Plan) -> list[str]:
    """The plan as lines of plain text: what was measured, what is predicted, warnings."""
    return [
        "measured",
        *_table(_facts(plan)),
        "predicted",
        *_table(_predictions(plan)),
        *(f"warning: {warning}" for warning in plan.warnings),
    ]


def _facts(plan: Plan) -> dict[str, str]:
    hardware, data, model = plan.hardware, plan.data, plan.model
    on_gpu = hardware.device == "cuda"
    cores = "1 CPU core" if hardware.num_cores == 1 else f"{hardware.num_cores} CPU cores"
    return {
        "machine": f"{f'{hardware.num_gpus} × ' if on_gpu else ''}{hardware.name}, {cores}",
        "speed": "GFLOP/s: " + ", ".join(f"{speed:,.0f} in {name}" for name, speed in hardware.product_gflops.items()),
        "memory": f"{hardware.free_memory_gib:.1f} of {hardware.memory_gib:.1f} GiB free"
        + (f", {hardware.gpu_memory_gib:.1f} GiB on a GPU" if on_gpu else ""),
        "disk": f"{hardware.free_disk_gib:.1f} GiB free",
        "base model": f"{model.num_parameters / 1e6:,.1f} M parameters in {model.num_layers} layers",
        "adapter": f"{model.num_lora_parameters / 1e6:,.2f} M parameters",
        "rows": f"{data.num_train} training, {data.num_validation} validation, {data.num_held_out} held-out",
        "tokens": f"{data.shared_prefix_tokens} that all prompts share, "
        f"{data.own_tokens_train / data.num_train:.0f} more per training row, longest row {data.longest_tokens}",
    }


def _predictions(plan: Plan) -> dict[str, str]:
    points = 100 * plan.smallest_detectable_difference
    return {
        "precision": f"{plan.precision}: {plan.precision_reason}",
        "steps": f"{plan.num_steps}",
        "micro-batch": f"at most {plan.max_tokens_per_micro_batch} tokens",
        "peak memory": f"{plan.peak_memory_gib:.1f} GiB",
        "disk": f"{plan.disk_gib:.1f} GiB, the base model included",
        "training": f"about {_duration(plan.training_seconds)}; may be half or twice that",
        "evaluation": f"about {_duration(plan.evaluation_seconds)}, likewise",
        "detectable": f"a difference of {points:.0f} points between two contenders, {_preference(plan)}, or more",
    }


def _preference(plan: Plan) -> str:
    share = smallest_detectable_win_share(plan.data.num_held_out)
    return "no preference at all" if share is None else f"a preference of {100 * share:.0f}:{100 - 100 * share:.0f}"


def _table(rows: Mapping[str, str]) -> list[str]:
    return [f"  {name:<13}{value}" for name, value in rows.items()]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
