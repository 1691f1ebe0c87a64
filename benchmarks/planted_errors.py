"""Does a tuned model repeat the errors of its training rows, does `trace` find them, and does removing them help?

    python benchmarks/planted_errors.py --runs runs/planted --parallel 6
    python benchmarks/planted_errors.py --runs runs/planted --part table --output planted_errors.md

SmolLM2 is tuned on examples/advisor, of whose training rows a known share is wrong (truth.jsonl, which relaytune itself
never reads), and on its clean twin, with every seed. Held-out rows about topics whose training rows are all wrong have
right references. An answer repeats an error where it holds one of the spellings of the planted value.

train    check, plan, base and few_shot answers, training, tuned answers, as `relaytune run` makes them.
trace    every repeated error is traced, as `relaytune trace ID…` does it.
retrain  the traced rows go into quarantine and the run is made once more: `first_five`, the first five rows behind each
         error; `taught`, those that the trace marks; `random`, as many rows as `first_five`, drawn by the seed.
table    what came of it, in Markdown.

A part that is up to date is left as it is. The gate on facts is off in all runs, or nothing could be learnt wrong.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from advisor_runs import ADVISOR, NOT_AUDITED, KnownTruth, make_all
from advisor_truth import Truth
from relaytune.core.files import write_text
from relaytune.core.model import find_model
from relaytune.core.quarantine import QuarantinedRow, read_quarantine, write_quarantine
from relaytune.core.recipe import load_recipe
from relaytune.core.records import Example, read_examples, read_generations
from relaytune.core.results import read_result
from relaytune.core.run_folder import RunFolder, now
from relaytune.core.screen import Screen
from relaytune.core.statistics import paired_share_interval, paired_test, share_interval
from relaytune.core.traces import METHODS, Trace, TracedRow
from relaytune.pipeline import (
    Job,
    check_stage,
    evaluate_prompts_stage,
    evaluate_tuned_stage,
    open_job,
    plan_stage,
    trace_stage,
    train_stage,
)

FIRST = 5  # traced rows that count
GOAL = 0.9
PARTS = ("train", "trace", "retrain", "table")
TUNED_ON = ("errors", "clean")
REMOVED = ("first_five", "taught", "random")
# no gate, and nothing measured that the question does not need
SETTINGS = (
    *NOT_AUDITED,
    "judging=null",
    "evaluation.forgetting=false",
    "evaluation.scorers=[rouge_l]",
    "evaluation.few_shot={ks: [2], draws: 1}",
    "session.save_every=1m",  # a call that is cut off loses little
)


@dataclass(frozen=True)
class Run:
    """One model to train. `case` is what it is tuned on: `errors`, `clean`, or `errors` without the rows of REMOVED."""

    case: str
    seed: int
    runs: Path
    advisor: Path
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.case}-{self.seed}"

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.runs / self.name)

    @property
    def with_errors(self) -> Run:
        """The run whose errors are traced."""
        return replace(self, case="errors")

    def open(self) -> Job:
        train = self.advisor / ("clean/train.jsonl" if self.case == "clean" else "train.jsonl")
        self.runs.mkdir(parents=True, exist_ok=True)
        log = self.folder.path.with_suffix(".log").open("a", encoding="utf-8")
        own = (
            f"name={self.name}",
            f"data.train={train.resolve()}",
            f"data.held_out={(self.advisor / 'held_out.jsonl').resolve()}",
            f"training.seed={self.seed}",
        )
        screen = Screen(Console(file=log, width=120))
        return open_job(self.advisor / "recipe.yaml", self.runs, [*own, *SETTINGS, *self.overrides], screen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value, for every run")
    parser.add_argument("--advisor", type=Path, default=ADVISOR, help="folder of recipe, rows, clean twin and truth")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the run folders")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--part", action="append", choices=PARTS, help="may be repeated; none: all, in order")
    parser.add_argument("--parallel", type=int, default=1, help="runs side by side, on one GPU too")
    parser.add_argument("--output", type=Path, help="a file for the table, beside the terminal")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    parts = arguments.part or PARTS

    def runs(cases: Sequence[str]) -> list[Run]:
        return [
            Run(case, seed, arguments.runs, arguments.advisor, tuple(arguments.overrides))
            for seed in seeds
            for case in cases
        ]

    work: list[tuple[str, Callable[[Run], str], Sequence[str]]] = [
        ("train", trained, TUNED_ON),
        ("trace", traced, ("errors",)),
        ("retrain", trained_without, REMOVED),
    ]
    find_model(load_recipe(arguments.advisor / "recipe.yaml", arguments.overrides).base_model, print)  # converted once
    for part, make, cases in work:
        if part in parts:
            print(part, flush=True)
            if faults := make_all(runs(cases), make, arguments.parallel):
                sys.exit("\n".join(faults))
    if "table" in parts:
        text = "\n".join(table(runs(("errors",)), KnownTruth(arguments.advisor)))
        print(text)
        if arguments.output:
            write_text(arguments.output, text + "\n")


# the runs


def trained(run: Run) -> str:
    job = run.open()
    check_stage(job)
    plan_stage(job)
    evaluate_prompts_stage(job)
    if not train_stage(job):
        raise RuntimeError("the training was stopped before its end; the same command goes on")
    evaluate_tuned_stage(job)
    return f"{len(read_examples(job.run.train))} rows"


def traced(run: Run) -> str:
    wrong = [error.id for error in repeated_errors(run, KnownTruth(run.advisor))]
    if wrong:
        trace_stage(run.open(), wrong)
    return f"{len(wrong)} repeated errors"


def trained_without(run: Run) -> str:
    rows = rows_to_remove(run)
    quarantined = [QuarantinedRow(id, "trace", f"planted_errors: {run.case}", now()) for id in sorted(rows)]
    if {row.id for row in quarantined} != read_quarantine(run.folder.quarantine).keys():  # else it keeps its bytes
        write_quarantine(run.folder.quarantine, quarantined)
    said = trained(run)
    if left := rows & {row.id for row in read_examples(run.folder.train)}:
        raise RuntimeError(f"{len(left)} quarantined rows are among the training rows")
    return f"{len(rows)} rows removed, {said}"


def rows_to_remove(run: Run) -> set[str]:
    """Ids of the training rows that this case leaves out."""
    if run.case == "random":
        count = len(rows_to_remove(replace(run, case="first_five")))
        ids = sorted({row.id for row in read_examples(run.with_errors.folder.train)})
        return set(random.Random(run.seed).sample(ids, count))
    if not run.with_errors.folder.trace.exists():
        raise RuntimeError(f"{run.with_errors.folder.path}: no error is traced, so that there is nothing to remove")
    trace = trace_of(run)
    if run.case == "taught":
        rows = [row for answer in trace.answers for row in answer.rows if row.taught]
    else:
        rows = [row for answer in trace.answers for row in answer.rows[:FIRST]]
    return {id for row in rows for id in (row.id, *row.alike)}


def trace_of(run: Run) -> Trace:
    return read_result(run.with_errors.folder.trace, Trace)


# the truth, which only this script reads


@dataclass(frozen=True)
class Answered:
    """An answer to a held-out row about a topic whose training rows are all wrong."""

    id: str
    topic: str
    repeats: bool
    right: bool


def answers_of(run: Run, contender: str, truth: KnownTruth) -> list[Answered]:
    """The contender's answers about topics that are all wrong, as the truth reads them."""
    answers = {answer.id: answer.completion for answer in read_generations(run.folder.generation(contender))}
    found = []
    for row in read_examples(run.folder.held_out):
        known = truth.of(row)
        if known.topic_rows == "wrong":
            said = known.reading(answers[row.id])
            found.append(Answered(row.id, known.topic, said == "wrong", said == "right"))
    return found


def repeated_errors(run: Run, truth: KnownTruth) -> list[Answered]:
    return [answer for answer in answers_of(run.with_errors, "tuned", truth) if answer.repeats]


# the table


def table(runs: Sequence[Run], truth: KnownTruth) -> Iterator[str]:
    """What is there so far; `runs` are those tuned on the errors, a seed each."""
    yield from repeats_table(runs, truth)
    yield from found_table(runs, truth)
    yield from removed_table(runs, truth)


def repeats_table(runs: Sequence[Run], truth: KnownTruth) -> Iterator[str]:
    yield from ("", "| answers of | seeds | repeat the planted error | give the right value |", "|" + " --- |" * 4)
    contenders = (
        ("SmolLM2, untuned", "errors", "base", runs[:1]),
        ("tuned on the rows with errors", "errors", "tuned", runs),
        ("tuned on the clean twin", "clean", "tuned", runs),
    )
    for label, case, contender, seeds in contenders:
        made = [replace(run, case=case) for run in seeds]
        answers = [row for run in made if is_made(run) for row in answers_of(run, contender, truth)]
        topics = [answer.topic for answer in answers]
        repeats = with_interval([answer.repeats for answer in answers], topics)
        yield line(label, sum(map(is_made, made)), repeats, with_interval([answer.right for answer in answers], topics))


def found_table(runs: Sequence[Run], truth: KnownTruth) -> Iterator[str]:
    """Whether a planted row of the same topic is among the first five, by each method alone and by all."""
    found: dict[str, list[tuple[str, float, float]]] = {}  # method → (topic, one is among them, share of them)
    chances: list[float] = []
    for run in runs:
        if not run.folder.trace.exists():
            continue
        held_out = {row.id: truth.of(row) for row in read_examples(run.folder.held_out)}
        train = read_examples(run.folder.train)
        for answer in trace_of(run).answers:
            asked = held_out[answer.id]

            def planted(row: Example | TracedRow, topic: str = asked.topic) -> bool:
                known = truth.of(row)
                return known.verdict == "wrong" and known.topic == topic

            orders: dict[str, Sequence[TracedRow]] = {"all, joined": answer.rows}
            for method in METHODS:
                if all(method in row.by for row in answer.rows):
                    orders[method] = sorted(answer.rows, key=lambda row, method=method: row.by[method].rank)  # type: ignore[misc]
            for name, rows in orders.items():
                hits = [planted(row) for row in rows[:FIRST]]
                found.setdefault(name, []).append((asked.topic, float(any(hits)), sum(hits) / FIRST))
            chances.append(chance_of_one(sum(map(planted, train)), len(train)))
    yield from (
        "",
        f"| traced by | repeated errors | planted row among the first {FIRST} | of these {FIRST}, planted |",
    )
    yield "|" + " --- |" * 4
    for name in (*METHODS, "all, joined"):
        traced = found.get(name, [])
        of_five = f"{sum(part for _, _, part in traced) / len(traced):.0%}" if traced else ""
        one = with_interval([one for _, one, _ in traced], [topic for topic, _, _ in traced])
        yield line(name, len(traced), one, of_five)
    if chances:
        yield line("five random rows, expected", len(chances), f"{sum(chances) / len(chances):.1%}", "")
    yield f"Goal: {GOAL:.0%} by all, joined."


def chance_of_one(planted: int, rows: int) -> float:
    """That at least one of FIRST rows drawn without putting back is planted."""
    return 1 - math.comb(rows - planted, FIRST) / math.comb(rows, FIRST)


@dataclass(frozen=True)
class Retrained:
    """What became of a seed's repeated errors when rows were removed and the model was trained again."""

    removed: list[Truth]
    errors: list[Answered]  # the answers that repeated the planted error before
    other_right: list[float]  # of the questions on topics whose rows are right: 1 where the right value is given
    other_topics: list[str]


def removed_table(runs: Sequence[Run], truth: KnownTruth) -> Iterator[str]:
    """Errors that are gone, what that cost on other topics, and each removal against the random one."""
    header = ("removed", "seeds", "rows a seed", "of these, wrong", "errors that are gone", "now right")
    yield from ("", line(*header, "right value, on topics that were right"), "|" + " --- |" * 7)
    kept = [run for run in runs if is_made(run)]
    yield line("nothing", len(kept), 0, "", "", "", right_elsewhere([retrained(run, truth) for run in kept]))
    found: dict[str, dict[int, Retrained]] = {}  # case → seed
    for case in REMOVED:
        made = [run for run in (replace(run, case=case) for run in runs) if is_made(run)]
        found[case] = {run.seed: retrained(run, truth) for run in made}
    for case, by_seed in found.items():
        removed = [row for one in by_seed.values() for row in one.removed]
        errors = [answer for one in by_seed.values() for answer in one.errors]
        wrong = f"{sum(row.verdict == 'wrong' for row in removed) / len(removed):.0%}" if removed else ""
        per_seed = f"{len(removed) / len(by_seed):.0f}" if by_seed else ""
        topics = [answer.topic for answer in errors]
        gone = with_interval([not answer.repeats for answer in errors], topics)
        right = with_interval([answer.right for answer in errors], topics)
        yield line(case, len(by_seed), per_seed, wrong, gone, right, right_elsewhere(list(by_seed.values())))
    for case in REMOVED[:-1]:
        yield from against_random(case, found[case], found["random"])


def retrained(run: Run, truth: KnownTruth) -> Retrained:
    before = {answer.id for answer in repeated_errors(run, truth)}
    answers = {answer.id: answer.completion for answer in read_generations(run.folder.generation("tuned"))}
    known = {row.id: truth.of(row) for row in read_examples(run.folder.held_out)}
    others = {id: one for id, one in known.items() if one.topic_rows == "right"}
    return Retrained(
        [truth.of(row) for row in read_examples(run.folder.excluded)] if run.folder.excluded.exists() else [],
        [answer for answer in answers_of(run, "tuned", truth) if answer.id in before],
        [float(one.reading(answers[id]) == "right") for id, one in others.items()],
        [one.topic for one in others.values()],
    )


def right_elsewhere(found: Sequence[Retrained]) -> str:
    right = [value for one in found for value in one.other_right]
    return with_interval(right, [topic for one in found for topic in one.other_topics])


def against_random(case: str, found: dict[int, Retrained], by_lot: dict[int, Retrained]) -> Iterator[str]:
    """The same errors after removing traced rows and after removing random ones, topics as clusters."""
    pairs = [
        (traced, drawn)
        for seed in sorted(found.keys() & by_lot.keys())
        for traced, drawn in zip(found[seed].errors, by_lot[seed].errors, strict=True)
    ]
    if not pairs:
        return
    gone, gone_by_chance = ([float(not pair[side].repeats) for pair in pairs] for side in (0, 1))
    topics = [traced.topic for traced, _ in pairs]
    differences = [one - other for one, other in zip(gone, gone_by_chance, strict=True)]
    interval = paired_share_interval(gone, gone_by_chance, topics)
    low_to_high = f" ({100 * interval[0]:+.0f} to {100 * interval[1]:+.0f})" if interval else ""
    yield (
        f"{case} against random: {100 * sum(differences) / len(pairs):+.0f} points{low_to_high} of errors gone, "
        f"p = {paired_test(differences, topics):.2g}."
    )


def is_made(run: Run) -> bool:
    return run.folder.provenance("tuned").exists() and run.folder.generation("tuned").exists()


def with_interval(values: Sequence[float], topics: Sequence[str]) -> str:
    """Count, share and its 95% interval; rows of one topic, whatever the seed, are no independent cases."""
    if not values:
        return "not made yet"
    interval = share_interval(values, topics)
    said = f" ({interval[0]:.0%}-{interval[1]:.0%})" if interval else " (too few topics for an interval)"
    return f"{sum(values):.0f}/{len(values)}, {sum(values) / len(values):.0%}{said}"


def line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
