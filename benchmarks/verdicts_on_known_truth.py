"""What relaytune concludes where the truth is known: models trained for real, each with several seeds.

    python benchmarks/verdicts_on_known_truth.py --source FOLDER --runs runs/truth --parallel 2
    python benchmarks/verdicts_on_known_truth.py --runs runs/truth --from-answers

FOLDER is that of banking77/prepare.py. Each run is a whole `relaytune run` of banking77/recipe.yaml, but for what is
said here; the held-out rows and their labels are the recipe's in all of them.

improvement  SmolLM2, tuned on the 600 training rows.
shuffled     SmolLM2, tuned on these rows with their labels dealt anew: the form of an answer can be learnt, which
             label is right cannot. SmolLM2 hardly knows it either, so there is little to lose.
null         A good base, the improvement of the same seed merged into SmolLM2, tuned on further rows labelled with its
             own answers (those that are a label): they tell it nothing that it does not know, while its weights and
             some answers change.
harm         The good base tuned on the rows of `null`, in which two labels are exchanged wherever they stand.

The truth is not only argued: the best prompt and tuned also answer rows of banking77 that are used for nothing else.

A run folder that is up to date is left as it is. `--from-answers` concludes anew, with the code of now, from the
answers in the run folders; it needs neither models nor adapters. A seed changes the order of the rows, which of them
validate, the examples in the prompt and the adapter's start.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

from rich.console import Console

from banking77 import prepare
from handoff_cost import begin_worker
from relaytune.core.contract import read_answer
from relaytune.core.files import folder_replaced, read_json, sha256_of_file
from relaytune.core.lineage import read_metrics
from relaytune.core.model import find_model
from relaytune.core.recipe import load_recipe
from relaytune.core.records import Example, read_examples, read_generations, write_examples, write_generations
from relaytune.core.results import (
    Comparison,
    EvaluationResult,
    FewShotChoice,
    Plan,
    TrainingResult,
    Verdict,
    read_result,
)
from relaytune.core.run_folder import ADAPTER_WEIGHTS, RunFolder
from relaytune.core.screen import Screen
from relaytune.data.loading import load_rows
from relaytune.data.rendering import render
from relaytune.decision import decide
from relaytune.evaluation.generating import Answerer
from relaytune.evaluation.summary import measure_answers, summarize
from relaytune.evidence import SIGNIFICANCE, compare, estimate_of
from relaytune.pipeline import Job, open_job, run_all
from relaytune.pipeline.inputs import inputs

RECIPE = Path(__file__).parent / "banking77" / "recipe.yaml"
METRIC = "label_accuracy"
FROM_SMOLLM2, FROM_GOOD_BASE = ("improvement", "shuffled"), ("null", "harm")
CASES = (*FROM_SMOLLM2, *FROM_GOOD_BASE)
# taken for one another by many; a careless labeller could exchange them
EXCHANGED = {"card_arrival": "card_delivery_estimate", "card_delivery_estimate": "card_arrival"}
OUTCOMES = ("keep", "iterate", "discard")


@dataclass(frozen=True)
class Run:
    """One model to train and to judge; `runs` is the folder of all run folders."""

    case: str
    seed: int
    runs: Path
    base_model: str | None  # where SmolLM2 lies, if not where the recipe says
    overrides: tuple[str, ...]

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.runs / f"{self.case}-{self.seed}")

    @property
    def good_base(self) -> Path:
        """The improvement of this seed, merged, and the rows that `null` and `harm` are trained on."""
        adapter = replace(self, case="improvement").folder.adapter / ADAPTER_WEIGHTS
        return self.runs / "bases" / sha256_of_file(adapter)[:16]

    def all_overrides(self) -> list[str]:
        data = self.runs / "data"
        train = {"improvement": data / "train.csv", "shuffled": data / f"shuffled-{self.seed}.csv"}
        base = [f"base_model.name={self.base_model}"] if self.base_model else []
        if self.case in FROM_GOOD_BASE:
            train[self.case] = self.good_base / f"{self.case}.csv"
            base = [f"base_model.name={self.good_base}", "base_model.sha256=null"]
        return [
            f"name={self.folder.path.name}",
            f"data.train={train[self.case]}",
            f"data.held_out={data / 'held_out.csv'}",
            f"training.seed={self.seed}",
            *base,
            *self.overrides,
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value, for every run")
    parser.add_argument("--source", type=Path, help="folder with banking77's train.csv and test.csv")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the run folders")
    parser.add_argument("--cases", default=",".join(CASES), help="with commas between")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--parallel", type=int, default=1, help="runs side by side, on one GPU too")
    parser.add_argument(
        "--most-rows",
        type=int,
        default=544,
        help="of those that the good base labels, and of those that show the truth",
    )
    parser.add_argument("--base-model", help="where SmolLM2 lies, if not in its package: a .gguf file")
    parser.add_argument("--from-answers", action="store_true", help="make nothing, conclude anew from saved answers")
    arguments = parser.parse_args()
    cases, seeds = arguments.cases.split(","), [int(seed) for seed in arguments.seeds.split(",")]
    if unknown := set(cases) - set(CASES):
        parser.error(f"--cases: {', '.join(sorted(unknown))}: known are {', '.join(CASES)}")
    if arguments.source is None and not arguments.from_answers:
        parser.error("--source: the folder with banking77's train.csv and test.csv is needed")
    runs = [
        Run(case, seed, arguments.runs.resolve(), arguments.base_model, tuple(arguments.overrides))
        for case in CASES
        if case in cases
        for seed in seeds
    ]
    faults = []
    if not arguments.from_answers:
        write_data(arguments.source, arguments.runs / "data", seeds, arguments.most_rows)
        faults = make_all(runs, arguments.parallel)
    print_tables([run for run in runs if run.folder.provenance("truth").exists()])
    if faults:
        sys.exit("\n".join(faults))


# the rows


def write_data(source: Path, folder: Path, seeds: Sequence[int], most_rows: int) -> None:
    """The recipe's own rows, these with labels dealt anew, and further rows: to label, and to know the truth by."""
    train, held_out, left_of_train, left_of_test = prepare.splits(source)
    further = prepare.draw(left_of_train, prepare.TRAIN_ROWS_PER_INTENT)
    unused = [*left_of_test, *prepare.without(left_of_train, further)]
    random.Random(0).shuffle(unused)
    prepare.write_rows(folder / "train.csv", train)
    prepare.write_rows(folder / "held_out.csv", held_out)
    prepare.write_rows(folder / "further.csv", further[:most_rows])
    prepare.write_rows(folder / "truth.csv", unused[:most_rows])
    for seed in seeds:
        labels = [row["category"] for row in train]
        random.Random(seed).shuffle(labels)
        rows = [row | {"category": label} for row, label in zip(train, labels, strict=True)]
        prepare.write_rows(folder / f"shuffled-{seed}.csv", rows)


def examples_of(job: Job, path: Path) -> list[Example]:
    return [example for row in load_rows(path)[0] if (example := render(row, job.recipe)[0]) is not None]


# the runs


def make_all(runs: Sequence[Run], parallel: int) -> list[str]:
    """Make what is not up to date, what others begin from first; returns what went wrong."""
    improvements = [replace(run, case="improvement") for run in runs if run.case in FROM_GOOD_BASE]
    first = list(dict.fromkeys([*improvements, *(run for run in runs if run.case in FROM_SMOLLM2)]))
    second = [run for run in runs if run.case in FROM_GOOD_BASE]
    find_model(load_recipe(RECIPE, first[0].all_overrides()).base_model, print)  # converted once, here
    faults = []
    print_row(HEADER, rule_below=True)
    threads = max(1, (cpu_count() or 1) // parallel)
    with ProcessPoolExecutor(parallel, get_context("spawn"), initializer=begin_worker, initargs=(threads,)) as pool:
        for wave in (first, second):
            futures = {pool.submit(make, run): run for run in wave}
            for future in as_completed(futures):
                run = futures[future]
                if error := future.exception():
                    faults.append(f"{run.folder.path.name}: {type(error).__name__}: {error}")
                    continue
                print_row(cells(run, conclude(run.folder)), f"{future.result():.0f} s")
    return faults


def make(run: Run) -> float:
    """From rows to verdict as `relaytune run` does it, then the answers that show the truth; returns seconds."""
    began = time.perf_counter()
    run.runs.mkdir(parents=True, exist_ok=True)
    with run.folder.path.with_suffix(".log").open("a", encoding="utf-8") as log:
        job = open_job(RECIPE, run.runs, run.all_overrides(), Screen(Console(file=log, width=120)))
        if run_all(job) is None:
            raise RuntimeError("the training was stopped before its end; the same command goes on")
        answer_for_truth(job, run.runs / "data" / "truth.csv")
        if run.case == "improvement" and not run.good_base.exists():
            make_good_base(job, run)
    return time.perf_counter() - began


def answer_for_truth(job: Job, file: Path) -> None:
    """Answers of the best prompt and of tuned to rows that are used for nothing else."""
    examples = examples_of(job, file)
    made_from = inputs(job, "adapter", "few_shot choice", "evaluation result", "max_new_tokens", "labels")

    def work() -> list[Path]:
        prompt = read_result(job.run.evaluation, EvaluationResult).best_prompt[METRIC]
        shots: list[Example] = []
        if prompt == "few_shot":
            by_id = {example.id: example for example in read_examples(job.run.train)}
            shots = [by_id[id] for id in read_result(job.run.few_shot_choice, FewShotChoice).chosen.example_ids]
        outputs = [truth_rows(job.run)]
        write_examples(outputs[0], examples)
        answerer = Answerer.load(job.recipe, job.model, device_of(job), job.screen)
        of_prompt = answerer.answer(examples, f"{prompt}, for the truth", shots)
        with answerer.adapted(job.run.adapter):
            of_tuned = answerer.answer(examples, "tuned, for the truth")
        for name, generations in ((prompt, of_prompt), ("tuned", of_tuned)):
            assert generations is not None, "the prompts do not fit the model's context"
            outputs.append(truth_answers(job.run, name))
            write_generations(outputs[-1], generations)
        return outputs

    job.make(job.stage("truth", {**made_from, **job.model_identity, "rows": sha256_of_file(file)}), work)


def truth_rows(run: RunFolder) -> Path:
    return run.path / "data" / "truth.jsonl"


def truth_answers(run: RunFolder, contender: str) -> Path:
    return run.generation(f"truth_{contender}")


def device_of(job: Job) -> str:
    return read_result(job.run.plan, Plan).hardware.device


def make_good_base(job: Job, run: Run) -> None:
    """Merge the adapter into the base model, and label the further rows with what the merged model answers."""
    from merged_base import save_merged

    answerer = Answerer.load(job.recipe, job.model, device_of(job), job.screen)
    further = run.runs / "data" / "further.csv"
    with answerer.adapted(job.run.adapter):
        generations = answerer.answer(examples_of(job, further), "labels of the good base")
    assert generations is not None, "the prompts do not fit the model's context"
    labels = [read_answer(job.recipe.contract, generation.completion).label for generation in generations]
    texts = [row.values["text"] for row in load_rows(further)[0]]
    rows = [{"text": text, "category": label} for text, label in zip(texts, labels, strict=True) if label is not None]
    job.screen.say(f"{len(labels) - len(rows)} of {len(labels)} further rows left out: answered with no allowed label")
    if not rows:
        raise RuntimeError(f"the good base answers none of {further} with an allowed label")
    exchanged = [row | {"category": EXCHANGED.get(row["category"], row["category"])} for row in rows]

    with folder_replaced(run.good_base) as folder:
        save_merged(job, folder)
        prepare.write_rows(folder / "null.csv", rows)
        prepare.write_rows(folder / "harm.csv", exchanged)


# what they say


@dataclass(frozen=True)
class Conclusion:
    """What the answers in a run folder amount to."""

    evaluation: EvaluationResult
    verdict: Verdict
    truth: EvaluationResult  # of the best prompt and tuned, on the rows that are used for nothing else

    @property
    def best_prompt(self) -> str:
        return self.evaluation.best_prompt[METRIC]

    def against_best_prompt(self, metric: str = METRIC) -> Comparison:
        """tuned against the prompt that is best on label_accuracy, whatever the metric."""
        return compared(self.evaluation, metric, self.best_prompt)

    @property
    def true_difference(self) -> Comparison:
        return compared(self.truth, METRIC, self.best_prompt)


def compared(evaluation: EvaluationResult, metric: str, prompt: str) -> Comparison:
    comparison = compare(evaluation, metric, "tuned", prompt)
    assert comparison is not None, f"no row is scored for both tuned and {prompt}"
    return comparison


def conclude(run: RunFolder) -> Conclusion:
    """Score the saved answers and apply the rule, with the code of now."""
    recipe = load_recipe(run.recipe)
    held_out, train = read_examples(run.held_out), {example.id: example for example in read_examples(run.train)}
    fit = read_generations(run.generation("tuned_on_train"))
    names = [name for name in ("base", "few_shot", "tuned") if run.generation(name).exists()]
    answers = {name: read_generations(run.generation(name)) for name in names}
    shots = read_result(run.few_shot_choice, FewShotChoice) if "few_shot" in names else None
    evidence = measure_answers(recipe.criteria, held_out, answers, [train[row.id] for row in fit], fit)
    evaluation = summarize(recipe.criteria, replace(evidence, few_shot=shots))
    verdict = decide(recipe, evaluation, read_result(run.training, TrainingResult), read_metrics(run), (), False)

    for_truth = {name: truth_answers(run, name) for name in names if truth_answers(run, name).exists()}
    true_answers = {name: read_generations(path) for name, path in for_truth.items()}
    truth = summarize(recipe.criteria, measure_answers(recipe.criteria, read_examples(truth_rows(run)), true_answers))
    return Conclusion(evaluation, verdict, truth)


HEADER = (
    "case",
    "seed",
    "right label: best prompt",
    "tuned",
    "difference, points",
    "p",
    "in truth, points",
    "contract kept: best prompt",
    "tuned",
    "likeliest label right: best prompt",
    "tuned",
    "tuned, right label on training rows",
    "verdict",
)


def cells(run: Run, conclusion: Conclusion) -> list[str]:
    evaluation, prompt = conclusion.evaluation, conclusion.best_prompt
    comparison, truth = conclusion.against_best_prompt(), conclusion.true_difference

    def rates(metric: str) -> list[str]:
        return [share(evaluation, name, metric) for name in (prompt, "tuned")]

    right = rates(METRIC)
    trained_on = evaluation.train_estimate
    said = read_json(run.folder.verdict)["outcome"]
    outcome = conclusion.verdict.outcome
    return [
        run.case,
        str(run.seed),
        f"{prompt} {right[0]}",
        right[1],
        points(comparison),
        f"{comparison.p_value:.1g}",
        f"{points(truth)}, {truth.num_pairs} rows",
        *rates("contract_pass"),
        *rates("likeliest_label_accuracy"),
        f"{trained_on.value:.0%}" if trained_on and trained_on.value is not None else "",
        outcome if outcome == said else f"{outcome} (then: {said})",
    ]


def share(evaluation: EvaluationResult, contender: str, metric: str) -> str:
    found = estimate_of(evaluation, contender, metric)
    return f"{found.value:.1%}" if found is not None and found.value is not None else "unscored"


def points(comparison: Comparison) -> str:
    assert comparison.low is not None, "too few rows for an interval"
    assert comparison.high is not None
    low, high = 100 * comparison.low, 100 * comparison.high
    return f"{100 * comparison.difference:+.1f} ({low:+.1f} to {high:+.1f})"


def print_tables(runs: Sequence[Run]) -> None:
    """Every run, then a line for each case."""
    concluded = [(run, conclude(run.folder)) for run in runs]
    print()
    print_row(HEADER, rule_below=True)
    for run, conclusion in concluded:
        print_row(cells(run, conclusion))
    print()
    print_row(
        ("case", "seeds", "in truth, points: mean, least, most", "better on contract_pass", *OUTCOMES), rule_below=True
    )
    for case in dict.fromkeys(run.case for run in runs):
        of_case = [conclusion for run, conclusion in concluded if run.case == case]
        truths = [100 * conclusion.true_difference.difference for conclusion in of_case]
        better = [conclusion.against_best_prompt("contract_pass") for conclusion in of_case]
        outcomes = Counter[str](conclusion.verdict.outcome for conclusion in of_case)
        print_row(
            (
                case,
                str(len(of_case)),
                f"{statistics.mean(truths):+.1f}, {min(truths):+.1f}, {max(truths):+.1f}",
                str(sum(one.difference > 0 and one.p_value <= SIGNIFICANCE for one in better)),
                *(str(outcomes[outcome]) for outcome in OUTCOMES),
            )
        )


def print_row(texts: Sequence[str], more: str = "", *, rule_below: bool = False) -> None:
    print(f"| {' | '.join(texts)} |{more and '  ' + more}", flush=True)
    if rule_below:
        print("|" + " --- |" * len(texts), flush=True)


if __name__ == "__main__":
    main()
