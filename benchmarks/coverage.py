"""How often the 95% intervals that relaytune prints hold the truth: coverage by simulation, on one core in minutes.

    python benchmarks/coverage.py [--only shares] [--prompts 20 50] [--repetitions 2000] [--every-shape]

n counts prompts. A prompt stands in the data once, or one to four times; then its rows are alike: each is, with chance
LIKENESS, the prompt's own outcome, else drawn anew (correlation LIKENESS^2), or all are copies of it. An interval that
is not stated (None) neither covers nor misses; how often one is stated is shown. A line sums up the shapes of which
at least a fifth is stated: mean coverage, the lowest and the highest, and the misses on either side. Then: how many
rows exclude a change of points that nearly all answers do without.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, lognorm

from relaytune.core.statistics import (
    correct_by_human_labels,
    mean_interval,
    measure_agreement,
    paired_share_interval,
    preference_interval,
    share_interval,
)

Interval = tuple[float, float] | None
Rows = NDArray[np.float64]  # (rows, values of a row)
Draw = Callable[[np.random.Generator, int], Rows]

NUM_PROMPTS = (20, 50, 100, 300, 1000)
LIKENESS = 0.7
STANDING = ("once", "1 to 4 times, alike", "1 to 4 times, copies")
FEWER_FROM = 300  # prompts, from which fewer repetitions are made: there all shapes are alike
SCALE = 3  # of points that a judge gives
LABELLED = 4  # of so many prompts a person labels one


@dataclass(frozen=True)
class Shape:
    """What one row is drawn from, and the truth that an interval should hold."""

    name: str
    truth: float
    draw: Draw


def table(name: str, truth: float, outcomes: Sequence[Sequence[float]], chances: Sequence[float]) -> Shape:
    values = np.array(outcomes, dtype=float)
    return Shape(name, truth, lambda random, size: values[random.choice(len(values), size, p=chances)])


def shares() -> Iterator[Shape]:
    for share in (0.5, 0.7, 0.8, 0.9, 0.95):
        yield table(f"{share:.0%} right", share, [[1], [0]], [share, 1 - share])


def paired_shares() -> Iterator[Shape]:
    for chances in (
        (0.25, 0.25, 0.25, 0.25),
        (0.4, 0.3, 0.1, 0.2),
        (0.45, 0.05, 0.05, 0.45),
        (0.6, 0.1, 0.1, 0.2),
        (0.7, 0.2, 0.05, 0.05),
        (0.85, 0.08, 0.02, 0.05),
    ):
        yield table(
            f"both {chances[0]:.0%}, one {chances[1]:.0%}, other {chances[2]:.0%}",
            chances[1] - chances[2],
            [[1, 1], [1, 0], [0, 1], [0, 0]],
            chances,
        )


def preferences() -> Iterator[Shape]:
    for win, tie in ((0.5, 0.0), (0.7, 0.0), (0.3, 0.4), (0.45, 0.36), (0.2, 0.7), (0.07, 0.9)):
        loss = 1 - win - tie
        yield table(f"{win:.0%} won, {tie:.0%} tied, {loss:.0%} lost", win - loss, [[1], [0], [-1]], [win, tie, loss])


def means() -> Iterator[Shape]:
    for chances in ((0.1, 0.3, 0.4, 0.2), (0.03, 0.07, 0.2, 0.7)):
        truth = sum(rating * chance for rating, chance in enumerate(chances))
        yield table(f"rating 0-3, mean {truth:.2f}", truth, [[0], [1], [2], [3]], chances)
    for changes in ((0.01, 0.03, 0.1, 0.6, 0.17, 0.07, 0.02), (0.0, 0.0, 0.02, 0.85, 0.08, 0.03, 0.02)):
        truth = sum(change * chance for change, chance in zip(range(-3, 4), changes, strict=True))
        name = f"difference of ratings, {changes[3]:.0%} tied"
        yield table(name, truth, [[change] for change in range(-3, 4)], changes)
    overlap, other = beta(2, 8), beta(2, 9)
    yield Shape("overlap, beta(2, 8)", overlap.mean(), lambda random, size: random.beta(2, 8, (size, 1)))
    yield Shape(
        "difference of overlaps",
        overlap.mean() - other.mean(),
        lambda random, size: random.beta(2, 8, (size, 1)) - random.beta(2, 9, (size, 1)),
    )
    yield Shape("length, lognormal", lognorm(0.75).mean(), lambda random, size: random.lognormal(0, 0.75, (size, 1)))


def rare_points() -> Iterator[Shape]:
    yield table("none", 0.0, [[0]], [1])
    for share, points in ((0.01, 1), (0.01, 3), (0.03, 1), (0.03, 3), (0.1, 3), (0.001, 3)):
        yield table(f"{points} in {share:.1%}", points * share, [[points], [0]], [share, 1 - share])
    yield table("2 in all but 2%, there 0", 1.96, [[2], [0]], [0.98, 0.02])


def rare_differences() -> Iterator[Shape]:
    yield table("none", 0.0, [[0]], [1])
    yield table("1 in all", 1.0, [[1]], [1])
    for chances in ((0.0, 0.0, 0.98, 0.01, 0.01), (0.005, 0.005, 0.98, 0.005, 0.005), (0.01, 0.0, 0.94, 0.05, 0.0)):
        truth = sum(change * chance for change, chance in zip((-3, -1, 0, 1, 3), chances, strict=True))
        changes = ", ".join(f"{chance:.1%}" for chance in chances)
        yield table(f"-3, -1, 0, 1, 3 in {changes}", truth, [[-3], [-1], [0], [1], [3]], chances)


def kappas() -> Iterator[Shape]:
    """Two raters who see the same category, unless one guesses by the categories' frequency."""
    for frequencies, kappa in (
        ((0.5, 0.5), 0.2),
        ((0.5, 0.5), 0.6),
        ((0.8, 0.2), 0.6),
        ((0.46, 0.36, 0.18), 0.4),
        ((0.46, 0.36, 0.18), 0.8),
        ((0.25, 0.25, 0.25, 0.25), 0.9),
    ):
        categories = range(len(frequencies))
        chances = [
            kappa * frequencies[one] * (one == other) + (1 - kappa) * frequencies[one] * frequencies[other]
            for one in categories
            for other in categories
        ]
        outcomes = [[one, other] for one in categories for other in categories]
        yield table(f"kappa {kappa}, categories {frequencies}", kappa, outcomes, chances)


def corrected() -> Iterator[Shape]:
    """(judge, person): the judge is right with some chance, else says what its bias says."""
    win, tie, loss = 0.35, 0.3, 0.35
    for right, biased in ((0.8, (0.8, 0.1, 0.1)), (0.5, (1.0, 0.0, 0.0)), (0.0, (0.5, 0.2, 0.3))):
        chances = [
            person * (right * (one == other) + (1 - right) * says)
            for other, person in ((1, win), (0, tie), (-1, loss))
            for one, says in zip((1, 0, -1), biased, strict=True)
        ]
        outcomes = [[one, other] for other in (1, 0, -1) for one in (1, 0, -1)]
        yield table(f"preferences, judge right {right:.0%}, else {biased[0]:.0%} first", win - loss, outcomes, chances)
    # strict judge of right answers: 85% are right, it sees 80% of them as right and 10% of the others
    yield table("right or wrong, 85% right", 0.85, [[1, 1], [0, 1], [1, 0], [0, 0]], [0.68, 0.17, 0.015, 0.135])

    def ratings(random: np.random.Generator, size: int) -> Rows:
        person = random.choice(4, size, p=(0.03, 0.07, 0.2, 0.7))
        judge = np.clip(person + random.choice((-1, 0, 1), size, p=(0.3, 0.6, 0.1)), 0, 3)
        return np.stack([judge, person], axis=1).astype(float)

    yield Shape("rating 0-3, judge one too low in 30%", 2.57, ratings)


def of_share(rows: Rows, prompts: Sequence[int]) -> Interval:
    return share_interval(rows[:, 0].tolist(), prompts)


def of_paired_share(rows: Rows, prompts: Sequence[int]) -> Interval:
    return paired_share_interval(rows[:, 0].tolist(), rows[:, 1].tolist(), prompts)


def of_paired_share_by_score(rows: Rows, prompts: Sequence[int]) -> Interval:
    """For comparison: Tango's interval, which relaytune gives for preferences."""
    return preference_interval((rows[:, 0] - rows[:, 1]).tolist(), prompts)


def of_preference(rows: Rows, prompts: Sequence[int]) -> Interval:
    return preference_interval(rows[:, 0].tolist(), prompts)


def of_mean(rows: Rows, prompts: Sequence[int]) -> Interval:
    return mean_interval(rows[:, 0].tolist(), prompts)


def of_points(rows: Rows, prompts: Sequence[int]) -> Interval:
    return mean_interval(rows[:, 0].tolist(), prompts, bounds=(0, SCALE))


def of_difference_of_points(rows: Rows, prompts: Sequence[int]) -> Interval:
    return mean_interval(rows[:, 0].tolist(), prompts, bounds=(-SCALE, SCALE))


def of_kappa(rows: Rows, prompts: Sequence[int]) -> Interval:
    return measure_agreement(rows[:, 0].tolist(), rows[:, 1].tolist(), prompts).interval


def of_corrected(rows: Rows, prompts: Sequence[int]) -> Interval:
    """n prompts have human labels; the judge labelled LABELLED times as many. Prompts come in random order."""
    num_labelled = (max(prompts) + 1) // LABELLED
    human = [
        person if prompt < num_labelled else None for person, prompt in zip(rows[:, 1].tolist(), prompts, strict=True)
    ]
    result = correct_by_human_labels(rows[:, 0].tolist(), human, prompts)
    return result.interval if result else None


INTERVALS = {
    "shares": ("share right: Wilson", shares, of_share),
    "paired_shares": ("difference of shares: Newcombe 10", paired_shares, of_paired_share),
    "paired_shares_by_score": ("the same by Tango, for comparison", paired_shares, of_paired_share_by_score),
    "preferences": ("won - lost: Tango", preferences, of_preference),
    "means": ("mean: studentized bootstrap", means, of_mean),
    "rare_points": (f"mean of points from 0 to {SCALE}, nearly all the same", rare_points, of_points),
    "rare_differences": ("difference of such means", rare_differences, of_difference_of_points),
    "kappas": ("Cohen's kappa", kappas, of_kappa),
    "corrected": (f"corrected by people; n prompts of {LABELLED}n labelled", corrected, of_corrected),
}


def simulate(shape: Shape, random: np.random.Generator, num_prompts: int, repeated: str) -> tuple[Rows, list[int]]:
    """Rows of so many prompts, and the prompt of each."""
    own = shape.draw(random, num_prompts)
    if repeated == "once":
        return own, list(range(num_prompts))
    prompts = np.repeat(np.arange(num_prompts), random.integers(1, 5, num_prompts))
    likeness = 1.0 if "copies" in repeated else LIKENESS
    alike = random.random(len(prompts)) < likeness
    return np.where(alike[:, None], own[prompts], shape.draw(random, len(prompts))), prompts.tolist()


def measure(
    shape: Shape, interval: Callable[[Rows, list[int]], Interval], num_prompts: int, repeated: str, repetitions: int
) -> tuple[float, float, float, float]:
    """Shares of all intervals stated: covering, too high, too low; and the share of repetitions with one stated."""
    random = np.random.default_rng([num_prompts, *shape.name.encode()])
    repetitions = repetitions * FEWER_FROM // max(num_prompts, FEWER_FROM)
    drawn = num_prompts * LABELLED if interval is of_corrected else num_prompts
    stated = [
        limits
        for _ in range(repetitions)
        if (limits := interval(*simulate(shape, random, drawn, repeated))) is not None
    ]
    # a limit that is the truth but for rounding holds it
    too_high = sum(low > shape.truth + 1e-9 for low, _ in stated)
    too_low = sum(high < shape.truth - 1e-9 for _, high in stated)
    if not stated:
        return float("nan"), float("nan"), float("nan"), 0.0
    count = len(stated)
    return 1 - (too_high + too_low) / count, too_high / count, too_low / count, count / repetitions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=INTERVALS, help="one kind of interval")
    parser.add_argument("--prompts", type=int, nargs="+", default=NUM_PROMPTS, help="values of n")
    parser.add_argument("--repetitions", type=int, default=2000, help="simulated evaluations of each shape")
    parser.add_argument("--every-shape", action="store_true", help="a line for each shape")
    arguments = parser.parse_args()
    started = time.process_time()
    print(f"{processor()}, {os.cpu_count()} cores, one used; Python {platform.python_version()}")
    for key, (title, shapes, interval) in INTERVALS.items():
        if arguments.only in (None, key):
            print_table(title, list(shapes()), interval, arguments)
    if arguments.only in (None, "rare_differences"):
        print_rows_needed()
    print(
        f"\n{arguments.repetitions} repetitions of each shape, {FEWER_FROM} / n of that from n = {FEWER_FROM}; "
        f"{time.process_time() - started:.0f} s of one core"
    )


def print_rows_needed() -> None:
    """The fewest rows whose interval excludes a rise, by how many answers are worse and how large a rise."""
    margins = (0.05, 0.1, 0.25, 0.5, 1.0)
    print(f"\nrows that exclude a rise on a scale from 0 to {SCALE}\n")
    print(f"| rows that differ | {' | '.join(f'rise of {margin}' for margin in margins)} |")
    print("| --- " * (len(margins) + 1) + "|")
    for name, departing in {
        "none": [],
        "one, by 1 point": [1.0],
        f"one, by {SCALE}": [float(SCALE)],
        "three, by 1": [1.0] * 3,
    }.items():
        needed = [rows_needed(departing, margin) for margin in margins]
        print(f"| {name} | {' | '.join(str(size) for size in needed)} |", flush=True)


def rows_needed(departing: Sequence[float], margin: float) -> int:
    """The fewest rows, all but these without a difference, whose interval excludes so large a rise."""
    for size in range(20, 5000):
        interval = mean_interval([*departing, *[0.0] * (size - len(departing))], bounds=(-SCALE, SCALE))
        if interval is not None and interval[1] < margin:
            return size
    raise ValueError("more than 5000")


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def print_table(
    title: str,
    shapes: Sequence[Shape],
    interval: Callable[[Rows, list[int]], Interval],
    arguments: argparse.Namespace,
) -> None:
    print(f"\n{title}\n")
    print("| n | prompts stand | coverage, mean of shapes | lowest | highest | too high | too low | stated |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for repeated in STANDING:
        for num_prompts in arguments.prompts:
            if interval is of_corrected and num_prompts > FEWER_FROM:
                continue  # nobody labels as many by hand
            results = [measure(shape, interval, num_prompts, repeated, arguments.repetitions) for shape in shapes]
            # a coverage of few intervals says little
            told = [(result, shape) for result, shape in zip(results, shapes, strict=True) if result[3] >= 0.2]
            coverage = [result[0] for result, _ in told]
            worst = min(told, key=lambda told: told[0][0])[1].name if told else "none stated"
            misses = [sum(result[side] for result, _ in told) / max(len(told), 1) for side in (1, 2)]
            stated = sum(result[3] for result in results) / len(results)
            print(
                f"| {num_prompts} | {repeated} | {np.mean(coverage):.1%} | {min(coverage):.1%} ({worst}) | "
                f"{max(coverage):.1%} | {misses[0]:.1%} | {misses[1]:.1%} | {stated:.0%} |",
                flush=True,
            )
            if arguments.every_shape:
                for (covering, too_high, too_low, share), shape in zip(results, shapes, strict=True):
                    print(f"|  | {shape.name} | {covering:.1%} |  |  | {too_high:.1%} | {too_low:.1%} | {share:.0%} |")


if __name__ == "__main__":
    main()
