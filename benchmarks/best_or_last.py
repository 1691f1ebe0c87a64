"""What the adapter with the best validation loss knows, and what that of the last step knows: advisor, several recipes.

    python benchmarks/best_or_last.py --runs runs/best_or_last --parallel 6

One training row of each topic is taken out to ask by, unless its own answer is a single error of its topic. Held-out
rows are not read. A line for each recipe (--recipes learning rate, epochs, rank, examples
a step; several with spaces between): of the questions on topics whose rows are all right how many get the right value,
and of those whose rows are all wrong how many the planted one (truth.jsonl).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor_runs import ADVISOR, NOT_AUDITED, AdvisorRun, make_all, print_row
from advisor_truth import read_truth
from relaytune.core.files import read_json, write_json, write_jsonl
from relaytune.core.model import find_model
from relaytune.core.recipe import load_recipe
from relaytune.core.records import question_of, read_examples
from relaytune.core.results import TrainingResult, read_result
from relaytune.pipeline import check_stage, plan_stage, train_stage

ASKED_BY = 3  # the third row of a topic
RECIPES = "3e-3,10,32,16 2e-3,12,64,16 5e-3,8,32,16 2e-3,9,32,8 1e-3,14,128,16 3e-3,12,64,16"


@dataclass(frozen=True)
class Recipe:
    """One training: what it is told by, and its run."""

    name: str
    run: AdvisorRun
    device: str

    @property
    def found(self) -> Path:
        return self.run.folder.path / "best_or_last.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value, for every run")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the run folders")
    parser.add_argument("--recipes", default=RECIPES)
    parser.add_argument("--parallel", type=int, default=1, help="runs side by side, on one GPU too")
    parser.add_argument("--device", default="cpu", help="that answers: cpu or cuda")
    arguments = parser.parse_args()
    runs = arguments.runs.resolve()
    split(runs)
    find_model(load_recipe(ADVISOR / "recipe.yaml", arguments.overrides).base_model, print)  # converted once, here
    recipes = [made_of(text, runs, arguments.overrides, arguments.device) for text in arguments.recipes.split()]
    if faults := make_all(recipes, train_and_ask, arguments.parallel):
        sys.exit("\n".join(faults))
    counted = ("right", "planted")
    print_row(["rate, epochs, rank, examples a step", "best after", *counted, "last step", *counted], rule_below=True)
    for recipe in recipes:
        print_row([recipe.name, *map(str, read_json(recipe.found))])


def split(runs: Path) -> None:
    """Write the rows to train on and those to ask by."""
    truth = [row for row in read_truth(ADVISOR) if row.file == "train.jsonl"]
    lines = (ADVISOR / "train.jsonl").read_text(encoding="utf-8").splitlines()
    seen: Counter[str] = Counter()
    train: list[Any] = []
    asked: list[Any] = []
    for known, line in zip(truth, lines, strict=True):
        seen[known.topic] += 1
        scattered = known.verdict == "wrong" and known.topic_rows == "scattered"
        (asked if seen[known.topic] == ASKED_BY and not scattered else train).append(json.loads(line))
    runs.mkdir(parents=True, exist_ok=True)
    write_jsonl(runs / "train.jsonl", train)
    write_jsonl(runs / "asked.jsonl", asked)


def made_of(text: str, runs: Path, overrides: Sequence[str], device: str) -> Recipe:
    rate, epochs, rank, examples = text.split(",")
    settings = (
        *NOT_AUDITED,
        f"data.held_out={runs / 'asked.jsonl'}",
        f"training.learning_rate={rate}",
        f"training.num_epochs={epochs}",
        f"lora.rank={rank}",
        f"lora.alpha={2 * int(rank)}",
        f"training.examples_per_step={examples}",
        "training.keep=best",
        "training.early_stopping_patience=1000",
        *overrides,
    )
    run = AdvisorRun(text.replace(",", "-"), str(runs / "train.jsonl"), 0, runs, settings)
    return Recipe(text.replace(",", ", "), run, device)


def train_and_ask(recipe: Recipe) -> None:
    """Train, and ask the adapter with the best validation loss and that of the last step; writes what they know."""
    from relaytune.evaluation.generating import Answerer

    job = recipe.run.open()
    check_stage(job)
    plan_stage(job)
    if not train_stage(job):
        raise RuntimeError("the training was stopped before its end; the same command goes on")
    training = read_result(job.run.training, TrainingResult)
    asked, truth = read_examples(job.run.held_out), {row.question: row for row in read_truth(ADVISOR)}
    answerer = Answerer.load(job.recipe, job.model, recipe.device, job.screen)
    cells: list[int] = []
    last = max(job.run.handoffs.iterdir())
    for step, adapter in ((training.best_step, job.run.adapter), (training.num_steps, last)):
        with answerer.adapted(adapter):
            answers = answerer.answer(asked, "tuned")
        if answers is None:
            raise RuntimeError("the answering was stopped before its end; the same command goes on")
        known = [truth[question_of(row)] for row in asked]
        says = Counter(
            (one.topic_rows, one.reading(answer.completion)) for one, answer in zip(known, answers, strict=True)
        )
        cells += [step, says["right", "right"], says["wrong", "wrong"]]
    write_json(recipe.found, cells)


if __name__ == "__main__":
    main()
