"""Do two sessions ever both advance one run? They race for it, 200 times on each kind of store, from two processes.

    python benchmarks/races.py [--races N] [--stores folder s3] [--kinds begin wake late]

Three races for every run, both sides let go by one barrier:

- *begin*: two sessions begin; exactly one may.
- *wake*: the holder has been silent, another session begins while the holder wakes up and publishes; exactly one of
  the two is written into the log.
- *late*: the holder has been silent, another session has begun; both publish; only the other one may.

After each, the run's last handoff must be fetched whole. Exits with 1 where a race has no winner or two.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from relaytune.core.errors import HandoffError
from relaytune.training.lease import EXPIRES_SECONDS, Lease
from relaytune.training.store import Store
from stores import KINDS, store

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # a handoff of a few bytes is made there
from small_handoff import small_handoff

RACES = ("begin", "wake", "late")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--races", type=int, default=200)
    parser.add_argument("--stores", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--kinds", nargs="+", choices=RACES, default=RACES)
    arguments = parser.parse_args()
    races = arguments.races
    print("| store | race | races | won by the first side | by the second | by both | by none | seconds |")
    print("|" + " --- |" * 8, flush=True)
    wrong = 0
    for kind in arguments.stores:
        with tempfile.TemporaryDirectory() as temporary, store(kind, Path(temporary)) as url:
            for race in arguments.kinds:
                wrong += line_of(kind, race, url, Path(temporary), races)
    if wrong:
        sys.exit(f"{wrong} races went wrong")


def line_of(kind: str, race: str, url: str, folder: Path, races: int) -> int:
    """Run one kind of race, print its line; returns how many went wrong."""
    context, began = multiprocessing.get_context("spawn"), time.perf_counter()
    barrier = context.Barrier(2)
    ends, sides = [], []
    for number in range(2):
        ours, its = context.Pipe()
        sides.append(
            context.Process(target=side, args=(number, race, url, folder / race / f"{number}", races, barrier, its))
        )
        sides[-1].start()
        ends.append(ours)
    won = [(ends[0].recv(), ends[1].recv()) for _ in range(races)]
    for process in sides:
        process.join()
    counts = [won.count(pair) for pair in ((True, False), (False, True), (True, True), (False, False))]
    damaged = sum(not whole(f"{url}/{race}{run}", folder / race / f"fetched {run}") for run in range(races))
    shown = " | ".join(str(count) for count in counts)
    print(f"| {kind} | {race} | {races} | {shown} | {time.perf_counter() - began:.0f} |", flush=True)
    if damaged:
        print(f"{damaged} runs have a last handoff that cannot be fetched")
    return counts[2] + counts[3] + damaged + (counts[0] if race == "late" else 0)


def side(number: int, race: str, url: str, folder: Path, races: int, barrier: Barrier, tell: Connection) -> None:
    """One of the two, in a process of its own; tells of every race whether it won."""
    sessions = []  # collected, a lease would be ended
    for count in range(races):
        lease, own = f"{url}/{race}{count}", folder / f"{count}"
        holder = race != "begin" and number == 0
        if holder:
            sessions.append(begun := session(lease, 0))
            enter(begun)
            begun.publish(handoff(own, 3), 3)
            silent = json.dumps({"at": time.time() - 2 * EXPIRES_SECONDS, "step": 3}).encode()
            begun.store.write(f"heard/{begun.session}.json", silent)
        barrier.wait()
        if not holder:
            sessions.append(begun := session(lease, number))
            if race == "late":
                enter(begun)
        later = handoff(own, 6 + number)
        barrier.wait()
        if race == "begin" or (race == "wake" and number == 1):
            won = succeeds(enter, begun)
        else:
            won = succeeds(begun.publish, later, 6 + number)
        tell.send(won)
        barrier.wait()
        if won and race == "begin":
            begun.publish(later, 6 + number)
        begun._stop.set()  # its sign of life
    os._exit(0)  # without ending what it holds


_stores: dict[str, Store] = {}


def session(url: str, number: int) -> Lease:
    """A session of the run at `url`. A process has one client for all runs: to make one takes longer than a race."""
    root, _, run = url.rpartition("/")
    if root not in _stores:
        _stores[root] = Store(root)
    store = copy.copy(_stores[root])
    store.url, store._root = url, f"{store._root}/{run}"
    return Lease(store, f"{number}", f"machine {number}")


_held: list[object] = []  # collected, a context would be left in order


def enter(lease: Lease) -> None:
    context = lease.held()
    context.__enter__()
    _held.append(context)


def succeeds(work: Callable[..., None], *arguments: object) -> bool:
    try:
        work(*arguments)
    except HandoffError:
        return False
    return True


def whole(url: str, into: Path) -> bool:
    """Whether the run's last handoff can be fetched, and is what its log says."""
    onlooker = session(url, 9)
    entry = onlooker.last_handoff
    if entry is None:
        return False
    sizes = (onlooker.fetch(entry, into) / "adapter").stat().st_size
    return sizes == 1000 * entry.step


def handoff(folder: Path, step: int) -> Path:
    return small_handoff(folder, step, bytes(1000 * step))


if __name__ == "__main__":
    main()
