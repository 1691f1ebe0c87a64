"""Files of answers that were made anywhere, compared: without a run, without a model, without torch."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relaytune.comparing.criteria import load_criteria
from relaytune.comparing.reading import Matched, read_answers
from relaytune.core.criteria import Criteria
from relaytune.core.errors import DataError, RecipeError, UsageError
from relaytune.core.files import write_jsonl, write_text
from relaytune.core.records import Score, as_json
from relaytune.core.results import EvaluationResult, Verdict, write_result
from relaytune.core.rule import BEST_PROMPT
from relaytune.core.screen import Screen

__all__ = ["FilesCompared", "compare_files", "name_contenders"]


@dataclass(frozen=True)
class FilesCompared:
    """What the comparison found; `verdict` is None without a rule."""

    evaluation: EvaluationResult
    verdict: Verdict | None
    matched: Matched


def name_contenders(paths: Sequence[Path]) -> dict[str, Path]:
    """Each file by its name without ending, which is what its contender is called.

    A rule names contenders in words of letters, digits and underscores: any other character becomes an underscore.

    Raises:
        UsageError: fewer than two files, two of the same name, or one with the name of no single contender.
    """
    if len(paths) < 2:
        raise UsageError(
            f"{paths[0]}: one file of answers; name at least two, and the first is compared with the others"
        )
    problems = []
    # a Mac takes an accented letter of a file's name apart
    names = [re.sub(r"\W+", "_", unicodedata.normalize("NFC", path.stem)) for path in paths]
    for name in sorted({name for name in names if names.count(name) > 1}):
        files = ", ".join(str(path) for path, other in zip(paths, names, strict=True) if other == name)
        problems.append(f"two files would be called {name} ({files}); a contender is called by its file, so rename one")
    if BEST_PROMPT in names:
        problems.append(f"{BEST_PROMPT} is whichever of base and few_shot does better, so no file can be called that")
    if problems:
        raise UsageError("; ".join(problems))
    return dict(zip(names, paths, strict=True))


def compare_files(
    files: Mapping[str, Path],
    references: Path | None = None,
    criteria_path: Path | None = None,
    output: Path | None = None,
    screen: Screen | None = None,
) -> FilesCompared:
    """Measure every file's answers to the rows that all of them have, compare them in pairs, and apply the rule.

    With `output`, a folder, evaluation.json, evaluation.md, scores.jsonl and (with a rule) verdict.json are written
    there, and what judges answer.

    Raises:
        DataError: the files cannot be read or matched.
        RecipeError: the criteria are wrong.
        UsageError: nothing can be written to `output`.
    """
    from relaytune.comparing.factuality import hold_against_sources
    from relaytune.comparing.judging import judge_answers
    from relaytune.decision import decide_answers
    from relaytune.evaluation.closeness import with_closeness
    from relaytune.evaluation.summary import measure_answers, summarize

    screen = screen or Screen.silent()
    for name, path in files.items():
        if name != unicodedata.normalize("NFC", path.stem):
            screen.say(f"{path} is called {name} here")
    matched, criteria = _read(files, references, criteria_path)
    if output is not None:
        _make_folder(output)
    evidence = with_closeness(criteria, measure_answers(criteria, matched.rows, matched.generations), screen)
    if criteria.facts is not None and criteria_path is not None:
        evidence = hold_against_sources(criteria, criteria.facts, evidence, criteria_path.parent, output, screen)
    if criteria.judging is not None:
        evidence = judge_answers(criteria, criteria.judging, evidence, criteria_path, output, screen)
    evaluation = summarize(criteria, evidence)
    verdict = decide_answers(criteria.rule, evaluation) if criteria.rule else None
    if output is not None:
        _write(output, evaluation, criteria, evidence.scores, verdict)
    return FilesCompared(evaluation, verdict, matched)


def _read(files: Mapping[str, Path], references: Path | None, criteria_path: Path | None) -> tuple[Matched, Criteria]:
    """Answers and criteria; what is wrong with either is said at once."""
    try:
        matched = read_answers(files, references)
    except DataError as wrong_answers:
        try:
            load_criteria(criteria_path, list(files), with_references=True)
        except RecipeError as wrong_criteria:
            raise DataError(f"{wrong_answers}\n{wrong_criteria}") from wrong_answers
        raise
    return matched, load_criteria(criteria_path, list(files), with_references=matched.num_references > 0)


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file has that name" if isinstance(error, FileExistsError) else error.strerror
        raise UsageError(f"--output {output}: no folder can be made there ({reason}); name another") from error
    if not os.access(output, os.W_OK | os.X_OK):
        raise UsageError(f"--output {output}: nothing may be written there; name another folder, or allow it")


def _write(
    folder: Path, evaluation: EvaluationResult, criteria: Criteria, scores: Sequence[Score], verdict: Verdict | None
) -> None:
    from relaytune.note import evaluation_markdown

    write_result(folder / "evaluation.json", evaluation)
    write_text(folder / "evaluation.md", evaluation_markdown(evaluation, criteria.generator))
    write_jsonl(folder / "scores.jsonl", (as_json(row) for row in scores))
    if verdict is not None:
        write_result(folder / "verdict.json", verdict)
