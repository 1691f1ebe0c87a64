"""The command line: parse, call, print."""

from __future__ import annotations

import _thread
import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from relaytune.cli_text import noted_verdict_text, status_text, verdict_text
from relaytune.notebooks.platforms import Platform

if TYPE_CHECKING:
    from relaytune.core.results import Verdict
    from relaytune.core.screen import Screen
    from relaytune.pipeline import Job

INTERRUPTED = 130


class _Commands(TyperGroup):
    """Commands that say what Ctrl-C leaves behind; Typer by itself leaves without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # one that was asked for once more (_interrupt_again) would end the process by a signal instead
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print(
                "\nrelaytune: interrupted. What was finished is kept, nothing half-made is; "
                "the same command goes on from there.",
                file=sys.stderr,
            )
            sys.exit(INTERRUPTED)


app = typer.Typer(
    cls=_Commands,
    help="Fine-tune a language model on one narrow task, and learn honestly whether to keep it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file.", metavar="RECIPE")]
Runs = Annotated[Path, typer.Option("--runs", help="The folder that holds the run folders.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key, e.g. training.num_epochs=1; may be repeated."),
]
For = Annotated[Platform, typer.Option("--for", help="Where the notebook runs.")]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="HH:MM", help="Stop training in time for this time of day, here: session.limit."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else on standard output.")]


def main() -> None:
    """Entry point: errors become one message and an exit code, never a traceback."""
    from relaytune.core.errors import RelaytuneError

    for stream in (sys.stdout, sys.stderr):
        # a terminal or file that is not UTF-8 shows a `?` rather than ending the run
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.unraisablehook = _interrupt_again
    try:
        app()
    except RelaytuneError as error:
        print(f"relaytune: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Python swallows a Ctrl-C that happens to land in a destructor: ask for it once more."""
    if unraisable.exc_type is KeyboardInterrupt:
        threading.Timer(0.05, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)


def _job(recipe: Path, runs: Path, overrides: list[str] | None, as_json: bool, until: str | None = None) -> Job:
    from relaytune.pipeline import open_job

    return open_job(recipe, runs, overrides or [], _screen(as_json), until)


def _screen(as_json: bool) -> Screen:
    from rich.console import Console

    from relaytune.core.screen import Screen

    return Screen(Console(stderr=as_json))


def _print(as_json: bool, result: Any, text: Callable[[], str] = str) -> None:
    if as_json:
        print(json.dumps(result))
    elif text is not str:
        print(text())


def _leave_with(verdict: Verdict) -> None:
    if verdict.outcome == "discard":
        raise typer.Exit(1)


@app.command()
def doctor(
    recipe: Annotated[
        Path | None, typer.Argument(help="A recipe: its base model and its store are tried too.", metavar="[RECIPE]")
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Try whether this machine can train; exit 1 if not.

    Kernels and a step of training are really run; nothing is downloaded.
    """
    from relaytune.doctor import examine, summary

    screen, checks = _screen(as_json), []
    for check in examine(None if recipe is None else _job(recipe, runs, None, as_json).recipe, runs):
        screen.say(check.text(screen.console.width))
        checks.append(check)
    screen.say(f"\n{summary(checks)}")
    _print(as_json, [check.as_json() for check in checks])
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(1)


@app.command()
def check(recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, as_json: Json = False) -> None:
    """Check recipe and rows; freeze the splits.

    Every row is held against the contract; all faults are shown at once.
    """
    from relaytune.pipeline import check_stage

    findings = check_stage(_job(recipe, runs, set_, as_json))
    _print(as_json, [asdict(finding) for finding in findings])


@app.command()
def audit(
    recipe: RecipePath,
    runs: Runs = Path("runs"),
    set_: Set = None,
    to_label: Annotated[
        Path | None, typer.Option("--to-label", help="Write the audited rows as a CSV file for people to label.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold a sample of the training answers against sources.

    Each answer is split into claims, each claim is held against the best passages. The rates come with intervals. Exit
    1 if the gate refuses the data.
    """
    from relaytune.core.results import as_dict
    from relaytune.pipeline import audit_stage, audited_text, check_stage, write_rows_to_label

    job = _job(recipe, runs, set_, as_json)
    check_stage(job)
    result = audit_stage(job)
    num_to_label = write_rows_to_label(job, to_label) if to_label else 0
    _print(as_json, as_dict(result), lambda: audited_text(job, result))
    if to_label:
        job.screen.say(f"{num_to_label} rows to label: {to_label}")
    if not result.gate.passed:
        raise typer.Exit(1)


@app.command()
def plan(recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, as_json: Json = False) -> None:
    """Measure this machine; predict memory and time."""
    from relaytune.core.files import read_json
    from relaytune.pipeline import check_stage, plan_stage

    job = _job(recipe, runs, set_, as_json)
    check_stage(job)
    plan_stage(job)
    _print(as_json, read_json(job.run.plan))


@app.command()
def train(
    recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, until: Until = None, as_json: Json = False
) -> None:
    """Train one session of the run.

    Begins the run or goes on with it, until its end, the session's limit or a signal.
    """
    from relaytune.core.files import read_json
    from relaytune.pipeline import check_and_audit, plan_stage, train_stage

    job = _job(recipe, runs, set_, as_json, until)
    check_and_audit(job)
    plan_stage(job)
    train_stage(job)
    _print(as_json, read_json(job.run.training if job.run.training.exists() else job.run.last_session / "session.json"))


@app.command()
def evaluate(
    paths: Annotated[
        list[Path], typer.Argument(help="A recipe; or two files of answers and more.", metavar="RECIPE | ANSWERS…")
    ],
    references: Annotated[
        Path | None, typer.Option("--references", help="With files of answers: the rows with the expected ones.")
    ] = None,
    criteria: Annotated[
        Path | None, typer.Option("--criteria", help="With files of answers: contract, scorers and rule; or a recipe.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="With files of answers: a folder for the scores and evaluation.json."),
    ] = None,
    runs: Runs = Path("runs"),
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Answer the held-out rows; or compare files of answers.

    With a recipe: every contender that there is so far; the answers are scored. With files (.jsonl, .json, .csv) that
    any tool made: no run, no model and no torch are needed; exit 1 on a discard.
    """
    recipes = [path for path in paths if path.suffix.lower() in (".yaml", ".yml")]
    if recipes and len(paths) > 1:
        _refuse_recipe_among(recipes[0], paths)
    if recipes:
        _refuse_options(references=references, criteria=criteria, output=output)
        _evaluate_run(paths[0], runs, set_, as_json)
    else:
        _refuse_options(set=set_)
        _compare_files(paths, references, criteria, output, as_json)


def _refuse_recipe_among(recipe: Path, paths: Sequence[Path]) -> None:
    from relaytune.core.errors import UsageError

    raise UsageError(
        f"{recipe} stands among {len(paths)} files: a recipe is evaluated by itself, and files of answers are measured "
        f"by one with --criteria {recipe}"
    )


def _refuse_options(**given: Any) -> None:
    from relaytune.core.errors import UsageError

    if names := [f"--{name}" for name, value in given.items() if value]:
        about = "a recipe" if "--set" in names else "files of answers"
        raise UsageError(f"{', '.join(names)}: goes with {about} only; see `relaytune evaluate --help`")


def _compare_files(
    paths: Sequence[Path], references: Path | None, criteria: Path | None, output: Path | None, as_json: bool
) -> None:
    from relaytune.comparing import compare_files, name_contenders
    from relaytune.comparing.words import comparison_text
    from relaytune.core.results import as_dict

    compared = compare_files(name_contenders(paths), references, criteria, output, _screen(as_json))
    verdict = compared.verdict
    _print(
        as_json,
        {"evaluation": as_dict(compared.evaluation), "verdict": as_dict(verdict) if verdict else None},
        lambda: comparison_text(compared) + (f"\n{verdict_text(verdict)}" if verdict else ""),
    )
    if verdict:
        _leave_with(verdict)


def _evaluate_run(recipe: Path, runs: Path, set_: list[str] | None, as_json: bool) -> None:
    from relaytune.core.results import as_dict
    from relaytune.pipeline import check_stage, evaluate_prompts_stage, evaluate_tuned_stage, plan_stage

    job = _job(recipe, runs, set_, as_json)
    check_stage(job)
    plan_stage(job)
    result = evaluate_prompts_stage(job)
    if job.run.provenance("train").exists():
        result = evaluate_tuned_stage(job)
    else:
        job.screen.say("tuned: not trained yet")
    _print(as_json, as_dict(result))


@app.command()
def judge(recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, as_json: Json = False) -> None:
    """Let the recipe's judges compare the answers.

    Blind, and each pair in both orders. Only answers that are there are judged; what a judge has said is not asked
    again.
    """
    from relaytune.core.results import as_dict
    from relaytune.pipeline import judge_and_score

    _print(as_json, as_dict(judge_and_score(_job(recipe, runs, set_, as_json))))


@app.command()
def decide(recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, as_json: Json = False) -> None:
    """Apply the rule of the recipe; exit 1 on a discard."""
    from relaytune.core.results import as_dict
    from relaytune.pipeline import decide_stage

    job = _job(recipe, runs, set_, as_json)
    verdict = decide_stage(job)
    _print(as_json, as_dict(verdict), lambda: noted_verdict_text(job, verdict))
    _leave_with(verdict)


@app.command()
def trace(
    recipe: RecipePath,
    rows: Annotated[
        list[str] | None, typer.Argument(help="Held-out rows, by FILE:LINE or id; none: all.", metavar="[ROW]…")
    ] = None,
    contender: Annotated[str, typer.Option("--contender", help="Whose wrong answers are traced.")] = "tuned",
    quarantine: Annotated[
        str | None, typer.Option("--quarantine", metavar="ROW[,ROW…]|taught", help="Take these rows out of training.")
    ] = None,
    runs: Runs = Path("runs"),
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Find the training rows behind wrong answers.

    By words, by meaning and by the adapter's gradients, each with its reasons; `--quarantine taught` takes out the rows
    that are marked as having taught a wrong answer, and prints those alone.
    """
    from relaytune.cli_text import quarantine_text, trace_text
    from relaytune.core.results import as_dict
    from relaytune.pipeline import quarantine_traced, trace_stage

    job = _job(recipe, runs, set_, as_json)
    found = trace_stage(job, rows or [], contender)
    chosen = None if quarantine is None else [id.strip() for id in quarantine.split(",")]
    added = [] if chosen is None else quarantine_traced(job, found, chosen)
    _print(
        as_json,
        {"trace": as_dict(found), "quarantined": [asdict(row) for row in added]},
        lambda: trace_text(job, found) if chosen is None else quarantine_text(job, added),
    )


@app.command()
def report(recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, as_json: Json = False) -> None:
    """Write one HTML file with all that is known so far."""
    from relaytune.pipeline import report_stage

    path = report_stage(_job(recipe, runs, set_, as_json))
    _print(as_json, {"report": str(path)}, lambda: f"Report: {path}")


@app.command()
def package(recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, as_json: Json = False) -> None:
    """Write the adapter with its card, evaluation and checksums."""
    from relaytune.pipeline import package_stage

    path = package_stage(_job(recipe, runs, set_, as_json))
    _print(as_json, {"package": str(path)}, lambda: f"Package: {path}")


@app.command()
def notebook(
    recipe: RecipePath, platform: For, runs: Runs = Path("runs"), set_: Set = None, as_json: Json = False
) -> None:
    """Write the next session as a notebook for Kaggle or Colab.

    It takes the last handoff from session.store, trains until the platform's limit, and leaves the next one there.
    """
    from relaytune.pipeline import write_next_session

    made = write_next_session(_job(recipe, runs, set_, as_json), platform)
    metadata = made.kernel_metadata
    _print(
        as_json,
        {"session": made.session, "notebook": str(made.path), "kernel_metadata": metadata and str(metadata)},
        lambda: (
            f"Session {made.session}: {made.path}"
            + (f"\nFor `kaggle kernels push`: {metadata} (write your user name into it first)" if metadata else "")
        ),
    )


@app.command()
def run(
    recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, until: Until = None, as_json: Json = False
) -> None:
    """Everything, in order; what is up to date is skipped.

    Exit 1 on a discard or an unfinished training.
    """
    from relaytune.core.results import as_dict
    from relaytune.pipeline import run_all

    job = _job(recipe, runs, set_, as_json, until)
    verdict = run_all(job)
    if verdict is None:
        _print(as_json, None)
        raise typer.Exit(1)
    _print(
        as_json,
        as_dict(verdict),
        lambda: f"{noted_verdict_text(job, verdict)}\nReport: {job.run.report}\nPackage: {job.run.package}",
    )
    _leave_with(verdict)


@app.command()
def status(recipe: RecipePath, runs: Runs = Path("runs"), set_: Set = None, as_json: Json = False) -> None:
    """Where the run stands, and the next command."""
    from relaytune.pipeline import lineage, standing, store_standing

    job = _job(recipe, runs, set_, as_json)
    rows, trained, store = standing(job), lineage(job), store_standing(job)
    _print(
        as_json,
        {
            "stages": [asdict(row) for row in rows],
            "sessions": [{**asdict(stretch), "record": stretch.record.model_dump(mode="json")} for stretch in trained],
            "store": asdict(store) if store else None,
        },
        lambda: status_text(job, rows, trained, store),
    )


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from relaytune.core.run_folder import relaytune_version

        print(relaytune_version())
        raise typer.Exit
