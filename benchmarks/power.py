"""How often `paired_test` finds a true difference, against the theory, and how often it finds one where there is none.

    python benchmarks/power.py [--repetitions 2000]

n counts prompts. The theory is `sign_test_power`, summed exactly. Where a prompt stands one to four times in the
data its rows are alike or copies, as in interval_coverage.py. A difference is found when p is at most 0.05; that may
happen in at most 5% where there is none.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from interval_coverage import STANDING, Shape, processor, simulate, table
from relaytune.core.statistics import (
    paired_test,
    sign_test_power,
    smallest_detectable_difference,
    smallest_detectable_win_share,
)

FOUND = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000, help="simulated evaluations in each cell")
    repetitions = parser.parse_args().repetitions
    started = time.process_time()
    print(f"{processor()}, {os.cpu_count()} cores, one used; Python {platform.python_version()}")
    print_power(repetitions)
    print_smallest(repetitions)
    print_false_positives(repetitions)
    print_skewed(repetitions)
    print(f"\n{repetitions} repetitions of each cell; {time.process_time() - started:.0f} s of one core")


def outcomes(discordant_share: float, difference: float) -> Shape:
    """Of one row: won (1), neither (0) or lost (-1), by right and wrong answers or by preference."""
    chances = [(discordant_share + difference) / 2, 1 - discordant_share, (discordant_share - difference) / 2]
    name = f"{1 - discordant_share:.0%} alike or tied"
    return table(name, difference, [[1], [0], [-1]], chances)


def found(shape: Shape, num_prompts: int, repeated: str, repetitions: int) -> tuple[float, float]:
    """Share of repetitions with a difference found: by prompts, and with each row taken for independent."""
    random = np.random.default_rng([num_prompts, *shape.name.encode()])
    by_prompt = by_row = 0
    for _ in range(repetitions):
        rows, prompts = simulate(shape, random, num_prompts, repeated)
        differences = rows[:, 0].tolist()
        by_prompt += paired_test(differences, None if repeated == "once" else prompts) <= FOUND
        if repeated != "once":
            by_row += paired_test(differences) <= FOUND
    return by_prompt / repetitions, (by_prompt if repeated == "once" else by_row) / repetitions


def print_power(repetitions: int) -> None:
    print("\nPower: measured (theory)\n")
    differences = (0.0, 0.1, 0.2, 0.3, 0.4)
    print("| n | alike or tied | " + " | ".join(f"difference {difference:g}" for difference in differences) + " |")
    print("| --- | --- |" + " --- |" * len(differences))
    for num_prompts in (20, 50, 100, 300, 1000):
        for discordant_share in (1.0, 0.64, 0.4):
            cells = []
            for difference in differences:
                measured, _ = found(outcomes(discordant_share, difference), num_prompts, "once", repetitions)
                theory = sign_test_power(num_prompts, discordant_share, difference)
                theory *= 2 if difference == 0 else 1  # without a difference either side is false
                cells.append(f"{measured:.1%} ({theory:.1%})")
            print(f"| {num_prompts} | {1 - discordant_share:.0%} | " + " | ".join(cells) + " |", flush=True)


def print_smallest(repetitions: int) -> None:
    print("\nPower at the smallest difference said to be detectable with 80% power\n")
    print("| n | tied | win share of those decided | difference | found |")
    print("| --- | --- | --- | --- | --- |")
    for num_prompts in (20, 50, 100, 300, 1000):
        for tie_share in (0.0, 0.36, 0.6):
            difference = smallest_detectable_difference(num_prompts, 1 - tie_share)
            win_share = smallest_detectable_win_share(num_prompts, tie_share)
            if win_share is None:
                print(f"| {num_prompts} | {tie_share:.0%} | none | none | |")
                continue
            measured, _ = found(outcomes(1 - tie_share, difference), num_prompts, "once", repetitions)
            print(
                f"| {num_prompts} | {tie_share:.0%} | {win_share:.1%} | {difference:.3f} | {measured:.1%} |", flush=True
            )


def without_difference() -> Iterator[Shape]:
    for discordant_share in (1.0, 0.64, 0.3, 0.1):
        yield outcomes(discordant_share, 0.0)
    changes = (0.02, 0.06, 0.12, 0.6, 0.12, 0.06, 0.02)
    yield table("ratings, 60% tied", 0.0, [[change] for change in range(-3, 4)], changes)


def print_false_positives(repetitions: int) -> None:
    shapes = list(without_difference())
    print("\nFound where there is no difference, by prompt (with rows taken for independent)\n")
    print("| n | prompts stand | " + " | ".join(shape.name for shape in shapes) + " |")
    print("| --- | --- |" + " --- |" * len(shapes))
    for repeated in STANDING:
        for num_prompts in (20, 50, 100, 300, 1000):
            cells = []
            for shape in shapes:
                by_prompt, by_row = found(shape, num_prompts, repeated, repetitions)
                cells.append(f"{by_prompt:.1%}" + (f" ({by_row:.1%})" if repeated != "once" else ""))
            print(f"| {num_prompts} | {repeated} | " + " | ".join(cells) + " |", flush=True)


def continuous(name: str, draw: Callable[[np.random.Generator, int], NDArray[np.float64]]) -> Shape:
    return Shape(name, 0.0, lambda random, size: np.reshape(draw(random, size), (size, 1)))


def with_mean_zero() -> Iterator[Shape]:
    """The first is what the test assumes (contenders alike); the others are skewed, most of all the last two."""
    yield continuous("overlap, alike", lambda random, size: random.beta(2, 8, size) - random.beta(2, 8, size))
    yield continuous(
        "overlap, one contender varies more", lambda random, size: random.beta(1, 4, size) - random.beta(4, 16, size)
    )
    rare_harm = (0.02, 0.04, 0.04, 0.72, 0.18, 0.0, 0.0)
    yield table("ratings, few large losses", 0.0, [[change] for change in range(-3, 4)], rare_harm)
    yield continuous("exponential", lambda random, size: random.exponential(size=size) - 1)


def print_skewed(repetitions: int) -> None:
    repetitions //= 2
    shapes = list(with_mean_zero())
    print(f"\nFound where the mean difference is 0, differences skewed; {repetitions} repetitions\n")
    print("| n | " + " | ".join(shape.name for shape in shapes) + " |")
    print("| --- |" + " --- |" * len(shapes))
    for num_prompts in (20, 50, 100, 300):
        cells = [f"{found(shape, num_prompts, 'once', repetitions)[0]:.1%}" for shape in shapes]
        print(f"| {num_prompts} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
