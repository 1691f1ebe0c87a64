"""Method or data? The test's verdict where it is known which of them does harm: advisor, each case with several seeds.

    python benchmarks/method_or_data.py --runs runs/method_or_data --parallel 6
    python benchmarks/method_or_data.py --runs runs/method_or_data --part table --output method_or_data.json

No model knows a university that does not exist, and where base errs nearly always, no harm can be seen. So base is
taught first: SmolLM2 is tuned on the clean twin, and the adapter merged into its weights. On this base:

data     tuned on train.jsonl, of whose topics some are wrong in all their rows: the data are to blame.
clean    tuned on the clean twin with the same settings: nothing is to be shown.
method   tuned on the clean twin with a learning rate far too high (--harmful-rate): the method is to blame.

All of them keep the weights of the last step, as the recipe says. The table names the step with the best validation
loss, which would be kept otherwise: that guards against the very harm of `method`.

The verdict is stated twice: as a user gets it, from the audit by the verifier that needs no model, and from the truth
(truth.jsonl), for the training rows and for the answers alike.

teach    the bases.          tune     the runs, as `relaytune run` makes them, with every row audited.
table    what came of it.    A part that is up to date is left as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from advisor_runs import ADVISOR, AUDITED, CLEAN, NOT_AUDITED, WITH_ERRORS, AdvisorRun, KnownTruth, make_all, print_row
from relaytune.core.claims import AnswerVerdict
from relaytune.core.files import folder_replaced, sha256_of_file, sha256_of_value, write_json
from relaytune.core.lineage import read_metrics
from relaytune.core.method_or_data import Finding, MethodOrData
from relaytune.core.model import find_model
from relaytune.core.recipe import load_recipe
from relaytune.core.records import read_examples, read_generations
from relaytune.core.results import EvaluationResult, TrainingResult, read_result
from relaytune.core.run_folder import ADAPTER_WEIGHTS
from relaytune.evidence import estimate_of, say_estimate
from relaytune.pipeline import audit_stage, check_stage, plan_stage, run_all, train_stage
from relaytune.pipeline.factuality import nearest_training_rows
from relaytune.tracing.strata import HeldOutRow, method_or_data

PARTS = ("teach", "tune", "table")
EXPECTED: dict[str, Finding] = {"data": "data", "clean": "nothing", "method": "method_or_both"}
TRAINED_ON = {"data": WITH_ERRORS, "clean": CLEAN, "method": CLEAN}
TEACHING_SEED = 1000  # added to a run's seed
NO_MORE_THAN_NEEDED = ("evaluation.forgetting=false", "evaluation.few_shot={ks: [2], draws: 1}")


@dataclass(frozen=True)
class Case:
    """One model to train on a taught base."""

    name: str
    seed: int
    runs: Path
    harmful_rate: float
    teaching_epochs: float
    overrides: tuple[str, ...]

    @property
    def teaching(self) -> AdvisorRun:
        settings = (*NOT_AUDITED, *self.overrides, f"training.num_epochs={self.teaching_epochs}")
        return AdvisorRun(f"teaching-{self.seed}", CLEAN, TEACHING_SEED + self.seed, self.runs, settings)

    @property
    def base(self) -> Path:
        """Where the taught base lies: named by its adapter, so that another teaching makes another base."""
        return (self.runs / "bases" / sha256_of_file(self.teaching.folder.adapter / ADAPTER_WEIGHTS)[:16]).resolve()

    @property
    def run(self) -> AdvisorRun:
        rate = (f"training.learning_rate={self.harmful_rate}",) if self.name == "method" else ()
        base = (f"base_model.name={self.base}", "base_model.sha256=null")
        settings = (*AUDITED, *NO_MORE_THAN_NEEDED, *self.overrides, *base, *rate)
        name = f"method-{self.harmful_rate:g}" if self.name == "method" else self.name
        return AdvisorRun(f"{name}-{self.seed}", TRAINED_ON[self.name], self.seed, self.runs, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value, for every run")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the run folders")
    parser.add_argument("--cases", default=",".join(EXPECTED), help="with commas between")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--part", action="append", choices=PARTS, help="may be repeated; none: all, in order")
    parser.add_argument("--parallel", type=int, default=1, help="runs side by side, on one GPU too")
    parser.add_argument("--harmful-rate", type=float, default=2e-2, help="learning rate of `method`")
    parser.add_argument("--teaching-epochs", type=float, default=12)
    parser.add_argument("--output", type=Path, help="a JSON file for the results, beside the table")
    arguments = parser.parse_args()
    parts, names = arguments.part or PARTS, arguments.cases.split(",")
    if unknown := set(names) - set(EXPECTED):
        parser.error(f"--cases: {', '.join(sorted(unknown))}: known are {', '.join(EXPECTED)}")
    cases = [
        Case(
            name,
            int(seed),
            arguments.runs.resolve(),
            arguments.harmful_rate,
            arguments.teaching_epochs,
            tuple(arguments.overrides),
        )
        for name in EXPECTED
        if name in names
        for seed in arguments.seeds.split(",")
    ]
    find_model(load_recipe(ADVISOR / "recipe.yaml", arguments.overrides).base_model, print)  # converted once, here
    if "teach" in parts:
        teachings = list({case.seed: case.teaching for case in cases}.values())
        leave_on(make_all(teachings, teach, arguments.parallel))
    if "tune" in parts:
        leave_on(make_all([case.run for case in cases], tune, arguments.parallel))
    if "table" in parts:
        rows = [conclusions(case) for case in cases]
        print_table(rows)
        if arguments.output:
            write_json(arguments.output, rows)


def leave_on(faults: Sequence[str]) -> None:
    if faults:
        sys.exit("\n".join(faults))


# the runs


def teach(run: AdvisorRun) -> None:
    """Tune SmolLM2 on what is true, and merge the adapter into its weights."""
    from merged_base import save_merged

    job = run.open()
    check_stage(job)
    plan_stage(job)
    if not train_stage(job):
        raise RuntimeError("the teaching was stopped before its end; the same command goes on")
    folder = (run.runs / "bases" / sha256_of_file(job.run.adapter / ADAPTER_WEIGHTS)[:16]).resolve()
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_replaced(folder) as new:
        save_merged(job, new)


def tune(run: AdvisorRun) -> None:
    """From rows to verdict as `relaytune run` does it."""
    job = run.open()
    check_stage(job)
    audit_stage(job)
    if run_all(job) is None:
        raise RuntimeError("the training was stopped before its end; the same command goes on")


# what came of it


def conclusions(case: Case) -> dict[str, Any]:
    """What the test says by the verifier, and by the truth."""
    run = case.run.folder
    training, evaluation = read_result(run.training, TrainingResult), read_result(run.evaluation, EvaluationResult)
    losses = {step.step: step.validation_loss for step in read_metrics(run) if step.validation_loss is not None}
    rates = {
        f"{name} {metric}": say_estimate(estimate_of(evaluation, name, metric))
        for name in ("base", "tuned")
        for metric in ("factual_errors", "unchecked", "abstained")
    }
    return {
        "case": case.name,
        "seed": case.seed,
        "expected": EXPECTED[case.name],
        "by verifier": asdict(read_result(run.method_or_data, MethodOrData)),
        "by truth": asdict(by_truth(case)),
        "step kept": training.num_steps,
        "step of the best validation loss": min(losses, key=lambda step: losses[step]),
        **rates,
    }


def by_truth(case: Case) -> MethodOrData:
    """The test with what is known of the training rows, and of the answers, in place of what was verified."""
    job, truth = case.run.open(), KnownTruth()
    held_out, train = read_examples(job.run.held_out), read_examples(job.run.train)
    verified: dict[str, AnswerVerdict] = {
        row.id: "false" if case.name == "data" and truth.of(row).verdict == "wrong" else "right" for row in train
    }
    neighbours, encoder = nearest_training_rows(job)
    answers = {
        name: {answer.id: answer for answer in read_generations(job.run.generation(name))} for name in ("base", "tuned")
    }
    rows = [
        HeldOutRow(
            row.id,
            sha256_of_value(list(row.messages)),
            neighbours[row.id],
            truth.errs(row, answers["base"][row.id]),
            truth.errs(row, answers["tuned"][row.id]),
        )
        for row in held_out
    ]
    return method_or_data(rows, verified, encoder)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """A line for each run and each way to know, and how many verdicts are right."""
    errors = ("base errs", "tuned", "points", "p")
    header = ("case", "seed", "known", "rows right: prompts", *errors, "rows wrong: prompts", *errors)
    print_row((*header, "finding", "level", "right", "best validation loss after step"), rule_below=True)
    for row in rows:
        for known in ("by verifier", "by truth"):
            found = row[known]
            shown = "nothing" if found["level"] == "exploratory" else found["finding"]
            print_row(
                [
                    row["case"],
                    str(row["seed"]),
                    known,
                    *stratum_cells(found["right"]),
                    *stratum_cells(found["wrong"]),
                    found["finding"],
                    found["level"],
                    "yes" if shown == row["expected"] else "**no**",
                    f"{row['step of the best validation loss']} of {row['step kept']}",
                ]
            )
    print()
    for row in rows:
        print(f"- {row['case']}, seed {row['seed']}: {row['by verifier']['conclusion']}.")
        for name in ("base", "tuned"):
            said = ", ".join(
                f"{metric} {row[f'{name} {metric}']}" for metric in ("factual_errors", "unchecked", "abstained")
            )
            print(f"  - {name}: {said}")


def stratum_cells(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return ["0", "", "", "", ""]
    base, tuned = (f"{100 * found[name]['value']:.0f}%" for name in ("base", "tuned"))
    low, high = found["interval"] or (None, None)
    interval = "" if low is None or high is None else f" ({100 * low:+.0f} to {100 * high:+.0f})"
    points = f"{100 * found['difference']:+.0f}{interval}"
    return [str(found["num_prompts"]), base, tuned, points, f"{found['p_value']:.2g}"]


if __name__ == "__main__":
    main()
