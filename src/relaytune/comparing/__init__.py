"""Files of answers that were made anywhere, compared: without a run, without a model, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relaytune.comparing.criteria import load_criteria
from relaytune.comparing.reading import Matched, read_answers
from relaytune.core.criteria import Criteria
from relaytune.core.errors import UsageError
from relaytune.core.files import write_jsonl, write_text
from relaytune.core.records import Score, as_json
from relaytune.core.results import EvaluationResult, Verdict, write_result
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

    Raises:
        UsageError: fewer than two files, or two of the same name.
    """
    if len(paths) < 2:
        raise UsageError(
            f"{paths[0]}: one file of answers; name at least two, and the first is compared with the others"
        )
    names = [path.stem for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two files are called {', '.join(twice)}; a contender is called by its file, so rename one")
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
    """
    from relaytune.comparing.judging import judge_answers
    from relaytune.decision import decide_answers
    from relaytune.evaluation.summary import measure_answers, summarize

    matched = read_answers(files, references)
    criteria = load_criteria(criteria_path, list(files), with_references=matched.num_references > 0)
    screen = screen or Screen.silent()
    evidence = measure_answers(criteria, matched.rows, matched.generations)
    if criteria.judging is not None:
        evidence = judge_answers(criteria, criteria.judging, evidence, criteria_path, output, screen)
    evaluation = summarize(criteria, evidence)
    verdict = decide_answers(criteria.rule, evaluation) if criteria.rule else None
    if output is not None:
        _write(output, evaluation, criteria, evidence.scores, verdict)
    return FilesCompared(evaluation, verdict, matched)


def _write(
    folder: Path, evaluation: EvaluationResult, criteria: Criteria, scores: Sequence[Score], verdict: Verdict | None
) -> None:
    from relaytune.note import evaluation_markdown

    write_result(folder / "evaluation.json", evaluation)
    write_text(folder / "evaluation.md", evaluation_markdown(evaluation, criteria.generator))
    write_jsonl(folder / "scores.jsonl", (as_json(row) for row in scores))
    if verdict is not None:
        write_result(folder / "verdict.json", verdict)
