"""What a file of runs of handoff_cost.py says: differences to no seam, paired by seed, and tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from relaytune.core.files import read_jsonl

RESAMPLES = 10_000


@dataclass(frozen=True)
class Variant:
    """How a run is cut."""

    seams: int = 0
    start: str = "none"  # how each later session begins: continue or resume
    schedule: str = "kept"  # or restarted
    rewarm_steps: int = 0


@dataclass(frozen=True)
class Run:
    """One line of the file: what is measured, of which task, and with which seed."""

    task: str
    recipe: str  # hash, overrides included
    device: str
    precision: str
    seed: int
    variant: Variant


DIVISOR = {"losses": "num_tokens", "weighted_losses": "weights"}


def mean_loss_of(row: dict[str, Any], split: str, kind: str) -> float:
    return float(sum(row[split][kind]) / sum(row[split][DIVISOR[kind]]))


def resumed_otherwise(rows: Sequence[dict[str, Any]], runs: Sequence[Run]) -> list[str]:
    """Compare the control with the uninterrupted run, bit by bit. A fault on a CPU, where the bits must be the same."""
    by_run = {str(row["run"]): row for row in rows}
    faults = []
    for run in runs:
        resumed, whole = by_run.get(str(asdict(run))), by_run.get(str(asdict(replace(run, variant=Variant()))))
        if run.variant.start != "resume" or resumed is None or whole is None:
            continue
        same = resumed["adapter_sha256"] == whole["adapter_sha256"]
        apart = largest_difference(resumed, whole)
        line = (
            f"{run.task} seed {run.seed}: resumed over {run.variant.seams} seams the adapter has "
            f"{'the same bits as' if same else 'other bits than'} without; "
            f"losses of held-out rows at most {apart:g} apart"
        )
        print(line)
        if not same and run.device == "cpu":
            faults.append(line)
    return faults


def largest_difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Of a held-out row's mean loss."""
    losses, others, tokens = one["held_out"]["losses"], other["held_out"]["losses"], one["held_out"]["num_tokens"]
    return max(float(abs(a - b) / n) for a, b, n in zip(losses, others, tokens, strict=True))


def print_tables(path: Path) -> None:
    tasks: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of(path):
        key = {name: value for name, value in row["run"].items() if name not in ("seed", "variant")}
        tasks.setdefault(str(key), []).append(row)
    for rows in tasks.values():
        print_task(rows)


def print_task(rows: Sequence[dict[str, Any]]) -> None:
    by_variant: dict[Variant, dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_variant.setdefault(Variant(**row["run"]["variant"]), {})[row["run"]["seed"]] = row
    whole = by_variant.get(Variant(), {})
    first, run = rows[0], rows[0]["run"]
    print(
        f"\n## {run['task']} ({first['machine']}, {run['precision']}, torch {first['torch']}, recipe "
        f"{run['recipe'][:12]}): {len(first['train_losses'])} steps, {len(first['validation']['losses'])} validation "
        f"and {len(first['held_out']['losses'])} held-out rows\n"
    )
    if not whole:
        print("no run without seams yet")
        return
    order = sorted(by_variant, key=lambda v: (v.schedule, v.start != "none", v.start, v.rewarm_steps, v.seams))
    kinds = {"weighted_losses": "weighted by label_weight, as trained on", "losses": "every supervised token alike"}
    if first["held_out"]["weights"] == first["held_out"]["num_tokens"]:
        del kinds["weighted_losses"]
    for kind, words in kinds.items():
        print(f"Mean loss, {words}. Differences to no seam, paired by seed.\n")
        print(
            "| seams | start | schedule | re-warmed | seeds | validation loss | difference (95%, t) | held-out loss "
            "| difference (95%, t) | in % (95%, t) | bootstrap 95% |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for variant in order:
            print(loss_line(variant, by_variant[variant], whole, kind))
        for split in ("validation", "held_out"):
            spread = [mean_loss_of(row, split, kind) for row in whole.values()]
            if len(spread) > 1:
                print(
                    f"\nSeeds differ without seams by a standard deviation of {statistics.stdev(spread):.4f} ({split})."
                )
        print()
    print(f"| seams | start | schedule | re-warmed | seeds | {first['metric']} | difference in points (95%, t) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for variant in order:
        print(accuracy_line(variant, by_variant[variant], whole))
    print(f"\n{chosen_rewarming(by_variant, whole, next(iter(kinds)))}")
    for seed, row in sorted(whole.items()):
        for variant, by_seed in by_variant.items():
            if variant.start == "resume" and seed in by_seed:
                same = by_seed[seed]["adapter_sha256"] == row["adapter_sha256"]
                print(
                    f"Control, seed {seed}, {variant.seams} seams with moments: {'the same' if same else 'other'} "
                    f"bits; losses of held-out rows at most {largest_difference(by_seed[seed], row):g} apart."
                )


def loss_line(variant: Variant, by_seed: dict[int, Any], whole: dict[int, Any], kind: str) -> str:
    seeds = sorted(by_seed.keys() & whole.keys())
    cells = [*named(variant), str(len(seeds))]
    for split in ("validation", "held_out"):
        losses = [mean_loss_of(by_seed[seed], split, kind) for seed in seeds]
        before = [mean_loss_of(whole[seed], split, kind) for seed in seeds]
        cells.append(f"{mean_or_nan(losses):.4f}")
        apart = [one - other for one, other in zip(losses, before, strict=True)]
        cells.append("" if variant.seams == 0 else with_interval(apart, "{:+.4f}"))
        if split == "held_out":
            percent = [100 * one / other for one, other in zip(apart, before, strict=True)]
            cells.append("" if variant.seams == 0 else with_interval(percent, "{:+.1f}"))
    low, high = bootstrapped([by_seed[seed] for seed in seeds], [whole[seed] for seed in seeds], kind)
    cells.append("" if variant.seams == 0 else f"{low:+.4f} to {high:+.4f}")
    return f"| {' | '.join(cells)} |"


def accuracy_line(variant: Variant, by_seed: dict[int, Any], whole: dict[int, Any]) -> str:
    seeds = sorted(by_seed.keys() & whole.keys())
    rates = [100 * statistics.mean(by_seed[seed]["right"]) for seed in seeds]
    apart = [rate - 100 * statistics.mean(whole[seed]["right"]) for rate, seed in zip(rates, seeds, strict=True)]
    difference = "" if variant.seams == 0 else with_interval(apart, "{:+.1f}")
    return f"| {' | '.join([*named(variant), str(len(seeds)), f'{mean_or_nan(rates):.1f}%', difference])} |"


def named(variant: Variant) -> list[str]:
    if variant.seams == 0:
        return ["0", "", "", ""]
    rewarmed = str(variant.rewarm_steps) if (variant.start, variant.schedule) == ("continue", "kept") else ""
    return [str(variant.seams), variant.start, variant.schedule, rewarmed]


def mean_or_nan(values: Sequence[float]) -> float:
    return statistics.mean(values) if values else float("nan")


def with_interval(values: Sequence[float], form: str) -> str:
    """Mean and 95% interval of Student's t; no interval where there is one value."""
    from scipy.stats import t

    if len(values) < 2:
        return form.format(mean_or_nan(values))
    mean = statistics.mean(values)
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{form.format(mean)} ({form.format(mean - half)} to {form.format(mean + half)})"


def bootstrapped(rows: Sequence[Any], whole: Sequence[Any], kind: str) -> tuple[float, float]:
    """95% percentile interval of the difference in mean held-out loss; seeds and rows are drawn anew, crossed."""
    import numpy as np

    if not rows:
        return float("nan"), float("nan")
    difference_SR = np.array([row["held_out"][kind] for row in rows]) - np.array(
        [row["held_out"][kind] for row in whole]
    )
    divisor_R = np.array(rows[0]["held_out"][DIVISOR[kind]], dtype=float)
    S, R = difference_SR.shape
    draw = np.random.default_rng(0)
    # how often each is drawn
    seeds_NS = draw.multinomial(S, np.full(S, 1 / S), size=RESAMPLES) / S
    rows_NR = draw.multinomial(R, np.full(R, 1 / R), size=RESAMPLES)
    means_N = ((seeds_NS @ difference_SR) * rows_NR).sum(axis=1) / (rows_NR @ divisor_R)
    low, high = np.quantile(means_N, [0.025, 0.975])
    return float(low), float(high)


def chosen_rewarming(by_variant: dict[Variant, Any], whole: dict[int, Any], kind: str) -> str:
    """Which re-warming has the lowest validation loss, over all numbers of seams that every one of them has."""
    cost: dict[int, dict[int, list[float]]] = {}
    for variant, by_seed in by_variant.items():
        if variant.start == "continue" and variant.schedule == "kept":
            cost.setdefault(variant.rewarm_steps, {})[variant.seams] = [
                mean_loss_of(by_seed[seed], "validation", kind) - mean_loss_of(whole[seed], "validation", kind)
                for seed in sorted(by_seed.keys() & whole.keys())
            ]
    if not cost:
        return "No re-warming to choose yet."
    common = set.intersection(*(set(by_seams) for by_seams in cost.values()))
    mean: Callable[[int], float] = lambda steps: mean_or_nan([d for count in common for d in cost[steps][count]])  # noqa: E731
    shown = ", ".join(f"{steps}: {mean(steps):+.4f}" for steps in sorted(cost))
    return (
        f"Chosen by validation loss (mean difference to no seam, over {sorted(common)} seams): "
        f"re-warming over {min(sorted(cost), key=mean)} steps ({shown})."
    )


def rows_of(path: Path) -> list[dict[str, Any]]:
    return read_jsonl(path) if path.exists() else []
