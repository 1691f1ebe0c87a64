"""Does a session with a limit end in time, and how much of its time does it leave unused? Twenty of them, really slept.

    python benchmarks/session_limits.py [--sessions N] [--limit SECONDS]

The product's own `training.ending.Clock` is asked as `session.train` asks it; instead of training and saving a
session sleeps: 3 s of loading, steps of 0.5 to 1.5 s, every 10th with 2 s of validation, saves of 0.5 to 2 s, one at
least every 20 s. All sessions run side by side, each with random numbers of its own. Exits with 1 where a session
overran its limit, or left more unused than 5% of it or 60 s, whichever is more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from dataclasses import dataclass

from relaytune.training.ending import Clock

LOADING = 3.0
STEP, VALIDATION, VALIDATED_EVERY = (0.5, 1.5), 2.0, 10
SAVE, SAVE_EVERY = (0.5, 2.0), 20.0
UNUSED_SHARE, UNUSED_SECONDS = 0.05, 60.0


@dataclass(frozen=True)
class Ended:
    """How a session ended."""

    steps: int
    saves: int
    left: float  # seconds before its limit; negative where it overran


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--limit", type=float, default=120.0)
    arguments = parser.parse_args()
    limit, seeds = arguments.limit, range(arguments.sessions)
    with multiprocessing.Pool(arguments.sessions) as pool:
        ended = pool.starmap(session, [(seed, limit) for seed in seeds], chunksize=1)
    left = [one.left for one in ended]
    allowed = max(UNUSED_SHARE * limit, UNUSED_SECONDS)
    print("| sessions | limit | steps | saves | overran | largest overrun | unused: least | mean | largest | allowed |")
    print("|" + " --- |" * 10)
    print(
        f"| {len(ended)} | {limit:.0f} s | {min(one.steps for one in ended)} to {max(one.steps for one in ended)} "
        f"| {min(one.saves for one in ended)} to {max(one.saves for one in ended)} | {sum(one < 0 for one in left)} "
        f"| {max(0.0, -min(left)):.1f} s | {min(left):.1f} s | {sum(left) / len(left):.1f} s "
        f"({sum(left) / len(left) / limit:.1%}) | {max(left):.1f} s ({max(left) / limit:.1%}) | {allowed:.0f} s |"
    )
    if min(left) < 0 or max(left) > allowed:
        sys.exit("a session overran, or left too much unused")


def session(seed: int, limit: float) -> Ended:
    """One session, from its command to its end."""
    rng, began, steps, saves = random.Random(seed), time.monotonic(), 0, 0
    clock = Clock(began, limit, SAVE_EVERY)
    time.sleep(LOADING)
    clock.begin_steps(VALIDATION)
    while True:
        steps += 1
        time.sleep(rng.uniform(*STEP) + (VALIDATION if steps % VALIDATED_EVERY == 0 else 0))
        clock.stepped()
        stop = clock.must_stop()
        if stop or clock.must_save():
            with clock.saving():
                time.sleep(rng.uniform(*SAVE))
            saves += 1
        if stop:
            return Ended(steps, saves, limit - (time.monotonic() - began))


if __name__ == "__main__":
    main()
