"""Answers of files, judged as those of a run are."""

from __future__ import annotations

from pathlib import Path

from relaytune.core.criteria import Criteria
from relaytune.core.errors import UsageError
from relaytune.core.judging import Judging, check_families, pairs_to_compare, rubric_of
from relaytune.core.records import write_judgements, write_ratings
from relaytune.core.screen import Screen
from relaytune.evaluation.summary import Evidence


def judge_answers(
    criteria: Criteria,
    judging: Judging,
    evidence: Evidence,
    criteria_path: Path | None,
    output: Path | None,
    screen: Screen,
) -> Evidence:
    """The evidence with what judges and people say. Without pairs named, the first file is held against the others.

    Raises:
        UsageError: there are judges and no folder to keep what they answer.
        RecipeError, JudgeError, DataError: as in a run.
    """
    from relaytune.evaluation.judging.conclusion import with_judging
    from relaytune.evaluation.judging.hearing import Hearing, answers_to_judge, hear

    if output is None:
        raise UsageError("--output: name a folder; what judges answer is kept there, so that nothing is asked twice")
    where = str(criteria_path)
    names = list(evidence.generations)
    stamps = check_families(judging, criteria.base_model, criteria.generator, where)
    pairs = pairs_to_compare(judging, names, where) or tuple((names[0], other) for other in names[1:])
    answers = answers_to_judge(evidence.generations, exclude_truncated=criteria.evaluation.exclude_truncated)
    hearing = Hearing(
        judging,
        rubric_of(judging, criteria.contract, where),
        pairs,
        criteria_path.parent if criteria_path else Path(),
        output / "judging",
        screen,
    )
    judgements, ratings = hear(hearing, evidence.held_out, answers)
    write_judgements(output / "judgements.jsonl", judgements)
    write_ratings(output / "ratings.jsonl", ratings)
    return with_judging(judging, evidence, answers, judgements, ratings, stamps)
