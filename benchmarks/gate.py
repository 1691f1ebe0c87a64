"""Does the gate help? advisor trained on everything, on what the audit leaves, and on the clean twin; several seeds.

    python benchmarks/gate.py --runs runs/gate --parallel 6
    python benchmarks/gate.py --runs runs/gate --part table --output gate.json

keep    every training row is audited, and all are trained on (on_contradiction: keep).
drop    rows that the sources contradict are left out (on_contradiction: drop).
clean   the twin without errors, the best that a gate could do: it corrects where the gate can only leave out.

The verifier is the one that needs no model. What it misses is trained on, and what it blames wrongly is lost; both are
counted. The tuned answers to the held-out rows are read twice: by the same verifier (factual_errors, as a user sees it)
and by the truth (truth.jsonl): whether an answer holds the right value, and whether it repeats the planted one. No
judge is asked: none of another family can be had here, and SmolLM2 is the contestants' own. `right value` stands in for
it, and is what it is called: a reading of words by the known truth.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from advisor_runs import ADVISOR, AUDITED, CLEAN, WITH_ERRORS, AdvisorRun, KnownTruth, make_all, print_row
from relaytune.core.catalog import read_catalog
from relaytune.core.declining import abstained
from relaytune.core.files import write_json
from relaytune.core.model import find_model
from relaytune.core.recipe import load_recipe
from relaytune.core.records import Example, Generation, read_examples, read_generations
from relaytune.core.results import EvaluationResult, read_result
from relaytune.core.statistics import paired_share_interval, paired_test, share_interval
from relaytune.evidence import estimate_of, say_estimate
from relaytune.pipeline import run_all

PARTS = ("train", "table")
TRAINED_ON = {"keep": WITH_ERRORS, "drop": WITH_ERRORS, "clean": CLEAN}
NO_MORE_THAN_NEEDED = ("evaluation.forgetting=false", "evaluation.few_shot={ks: [2], draws: 1}")
GROUPS = {"all": ("right", "wrong", "scattered"), "topics all wrong": ("wrong",), "topics all right": ("right",)}


def run_of(case: str, seed: int, runs: Path, overrides: Sequence[str]) -> AdvisorRun:
    gate = ("data.facts.on_contradiction=drop",) if case == "drop" else ()
    settings = (*AUDITED, *NO_MORE_THAN_NEEDED, *overrides, *gate)
    return AdvisorRun(f"gate-{case}-{seed}", TRAINED_ON[case], seed, runs, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value, for every run")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the run folders")
    parser.add_argument("--cases", default=",".join(TRAINED_ON), help="with commas between")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--part", action="append", choices=PARTS, help="may be repeated; none: all, in order")
    parser.add_argument("--parallel", type=int, default=1, help="runs side by side, on one GPU too")
    parser.add_argument("--output", type=Path, help="a JSON file for the results, beside the table")
    arguments = parser.parse_args()
    names, seeds = arguments.cases.split(","), [int(seed) for seed in arguments.seeds.split(",")]
    if unknown := set(names) - set(TRAINED_ON):
        parser.error(f"--cases: {', '.join(sorted(unknown))}: known are {', '.join(TRAINED_ON)}")
    parts = arguments.part or PARTS
    runs = {
        (case, seed): run_of(case, seed, arguments.runs.resolve(), arguments.overrides)
        for case in TRAINED_ON
        if case in names
        for seed in seeds
    }
    if "train" in parts:
        find_model(load_recipe(ADVISOR / "recipe.yaml", arguments.overrides).base_model, print)  # converted once, here
        if faults := make_all(list(runs.values()), make, arguments.parallel):
            sys.exit("\n".join(faults))
    if "table" in parts:
        truth = KnownTruth()
        results = [{"case": case, "seed": seed, **found(run, truth, case)} for (case, seed), run in runs.items()]
        print_results(results)
        pairs = {
            str(seed): [(runs["keep", seed], runs["drop", seed])] for seed in seeds if {"keep", "drop"} <= set(names)
        }
        pairs["all"] = [pair for of_seed in pairs.values() for pair in of_seed]
        changes = [
            {"seed": seed, **change} for seed, of_seed in pairs.items() if of_seed for change in changed(of_seed, truth)
        ]
        print_changes(changes)
        if arguments.output:
            write_json(arguments.output, {"runs": results, "drop less keep": changes})


def make(run: AdvisorRun) -> None:
    """From rows to verdict as `relaytune run` does it."""
    if run_all(run.open()) is None:
        raise RuntimeError("the training was stopped before its end; the same command goes on")


# what the answers say


def says_right(truth: KnownTruth, row: Example, answer: Generation) -> float:
    return float(truth.of(row).reading(answer.completion) == "right")


def repeats_planted(truth: KnownTruth, row: Example, answer: Generation) -> float:
    return float(truth.of(row).reading(answer.completion) == "wrong")


def abstains(_: KnownTruth, __: Example, answer: Generation) -> float:
    return abstained(answer.completion)[0] or 0.0


READINGS: dict[str, Callable[[KnownTruth, Example, Generation], float]] = {
    "right value": says_right,
    "repeats the planted error": repeats_planted,
    "abstains": abstains,
}


def found(run: AdvisorRun, truth: KnownTruth, case: str) -> dict[str, Any]:
    """What was trained on, and what the tuned answers are."""
    evaluation = read_result(run.folder.evaluation, EvaluationResult)
    return {
        **trained_on(run, truth, case),
        "factual_errors": say_estimate(estimate_of(evaluation, "tuned", "factual_errors")),
        "unchecked": say_estimate(estimate_of(evaluation, "tuned", "unchecked")),
        "rouge_l": say_estimate(estimate_of(evaluation, "tuned", "rouge_l")),
        "base factual_errors": say_estimate(estimate_of(evaluation, "base", "factual_errors")),
        **{
            f"{reading}, {group}": share(*values(run, truth, reading, group))
            for group in GROUPS
            for reading in READINGS
        },
    }


def trained_on(run: AdvisorRun, truth: KnownTruth, case: str) -> dict[str, Any]:
    """Rows left, and how the audit's verdicts stand to the truth."""
    left = [*read_examples(run.folder.train), *read_examples(run.folder.validation)]
    out = read_examples(run.folder.excluded) if run.folder.excluded.exists() else []
    is_wrong = {row.id: case != "clean" and truth.of(row).verdict == "wrong" for row in (*left, *out)}
    verdicts = Counter((answer.verdict == "false", is_wrong[answer.id]) for answer in read_catalog(run.folder.audit))
    return {
        "rows": len(left),
        "of them wrong": sum(is_wrong[row.id] for row in left),
        "called false and wrong": verdicts[True, True],
        "called false and right": verdicts[True, False],
        "missed": verdicts[False, True],
    }


def values(run: AdvisorRun, truth: KnownTruth, reading: str, group: str) -> tuple[list[float], list[str]]:
    """The reading of every tuned answer of a group of topics, and the row's prompt."""
    answers = {answer.id: answer for answer in read_generations(run.folder.generation("tuned"))}
    rows = [row for row in read_examples(run.folder.held_out) if truth.of(row).topic_rows in GROUPS[group]]
    return [READINGS[reading](truth, row, answers[row.id]) for row in rows], [truth.of(row).topic for row in rows]


def share(found_values: Sequence[float], topics: Sequence[str]) -> str:
    """A share with its 95% interval, rows of one topic being one cluster."""
    low, high = share_interval(found_values, topics) or (None, None)
    count, total = sum(found_values), len(found_values)
    interval = "too few for an interval" if low is None or high is None else f"{100 * low:.0f}-{100 * high:.0f}%"
    return f"{count:.0f}/{total} ({100 * count / total:.0f}%, {interval})"


def changed(pairs: Sequence[tuple[AdvisorRun, AdvisorRun]], truth: KnownTruth) -> list[dict[str, Any]]:
    """drop less keep, on the same held-out rows, topics as clusters: whatever the seed, a topic is one case."""
    changes = []
    for group in GROUPS:
        for reading in READINGS:
            before: list[float] = []
            after: list[float] = []
            topics: list[str] = []
            for keep, drop in pairs:
                of_drop, of_rows = values(drop, truth, reading, group)
                before += values(keep, truth, reading, group)[0]
                after += of_drop
                topics += of_rows
            differences = [one - other for one, other in zip(after, before, strict=True)]
            changes.append(
                {
                    "group": group,
                    "reading": reading,
                    "difference": sum(differences) / len(differences),
                    "interval": paired_share_interval(after, before, topics),
                    "p": paired_test(differences, topics),
                }
            )
    return changes


def print_results(results: Sequence[dict[str, Any]]) -> None:
    names = [name for name in results[0] if name not in ("case", "seed")]
    print_row(["", *(f"{result['case']}, seed {result['seed']}" for result in results)], rule_below=True)
    for name in names:
        print_row([name, *(str(result[name]) for result in results)])
    print()


def print_changes(changes: Sequence[dict[str, Any]]) -> None:
    print_row(["drop less keep", "seed", "reading", "points", "p"], rule_below=True)
    for change in changes:
        low, high = change["interval"] or (None, None)
        interval = "" if low is None or high is None else f" ({100 * low:+.0f} to {100 * high:+.0f})"
        points = f"{100 * change['difference']:+.0f}{interval}"
        print_row([change["group"], change["seed"], change["reading"], points, f"{change['p']:.2g}"])


if __name__ == "__main__":
    main()
