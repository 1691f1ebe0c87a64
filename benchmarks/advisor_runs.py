"""Whole runs of examples/advisor, several at a time: what the benchmarks on facts share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console

from advisor_truth import Truth, read_truth
from handoff_cost import begin_worker
from relaytune.core.declining import abstained
from relaytune.core.records import Example, Generation
from relaytune.core.run_folder import RunFolder
from relaytune.core.screen import Screen
from relaytune.core.traces import TracedRow
from relaytune.pipeline import Job, open_job

ADVISOR = Path(__file__).parents[1] / "examples" / "advisor"
WITH_ERRORS, CLEAN = "train.jsonl", "clean/train.jsonl"
# every training row is audited and none left out: the gate is what a benchmark sets
AUDITED = ("data.facts.sample=all", "data.facts.on_contradiction=keep", "data.facts.max_error_rate=null")
# no audit, so that no rule can stand on one; the training is what is wanted
NOT_AUDITED = ("data.facts=null", "decision={keep_when: [tuned beats best_prompt on rouge_l]}")


@dataclass(frozen=True)
class AdvisorRun:
    """One model to train on the example's rows; `settings` are key.path=value."""

    name: str
    train: str  # file of the example
    seed: int
    runs: Path
    settings: tuple[str, ...] = ()

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.runs / self.name)

    def open(self) -> Job:
        """The job, whose screen is a log beside the run folder."""
        self.runs.mkdir(parents=True, exist_ok=True)
        log = (self.runs / f"{self.name}.log").open("a", encoding="utf-8")
        own = (f"name={self.name}", f"data.train={self.train}", f"training.seed={self.seed}")
        screen = Screen(Console(file=log, width=120))
        return open_job(ADVISOR / "recipe.yaml", self.runs, [*own, *self.settings], screen)


class Named(Protocol):
    """What is made; its name is printed."""

    @property
    def name(self) -> str: ...


Made = TypeVar("Made", bound=Named)


def make_all(runs: Sequence[Made], make: Callable[[Made], str | None], parallel: int) -> list[str]:
    """Make each run in a process of its own, on one GPU too; prints what `make` says, returns what went wrong."""
    faults = []
    threads = max(1, (cpu_count() or 1) // parallel)
    with ProcessPoolExecutor(parallel, get_context("spawn"), initializer=begin_worker, initargs=(threads,)) as pool:
        futures = {pool.submit(_timed, make, run): run for run in runs}
        for future in as_completed(futures):
            name = futures[future].name
            if error := future.exception():
                faults.append(f"{name}: {type(error).__name__}: {error}")
            print(f"  {faults[-1]}" if error else f"  {name}: {future.result()}", flush=True)
    return faults


def _timed(make: Callable[[Made], str | None], run: Made) -> str:
    began = time.perf_counter()
    said = make(run)
    return f"{f'{said}, ' if said else ''}{time.perf_counter() - began:.0f} s"


class KnownTruth:
    """What truth.jsonl says of rows and of answers to them."""

    def __init__(self, advisor: Path = ADVISOR) -> None:
        self._by_place = {(row.file, row.line): row for row in read_truth(advisor)}

    def of(self, row: Example | TracedRow) -> Truth:
        """What is known of a row; the clean twin's rows stand where those with errors do."""
        file, _, line = row.source.rpartition(":")
        return self._by_place[Path(file).name, int(line)]

    def errs(self, row: Example, answer: Generation) -> float:
        """1 where an answer is confident and not right: it neither gives the right value nor says that it cannot.

        A reading of words, which the tool does not see. What speaks of something else counts as an error here.
        """
        right = self.of(row).reading(answer.completion) == "right"
        return float(not right and not abstained(answer.completion)[0])


def print_row(texts: Sequence[str], *, rule_below: bool = False) -> None:
    """A row of a Markdown table."""
    print(f"| {' | '.join(texts)} |", flush=True)
    if rule_below:
        print("|" + " --- |" * len(texts), flush=True)
