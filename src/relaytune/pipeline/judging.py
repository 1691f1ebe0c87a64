"""Judges and people compare the answers, blind; what they said is kept, and read anew whenever scores are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relaytune.core.judging import check_families, pairs_to_compare, rubric_of
from relaytune.core.records import read_examples, read_generations, write_judgements, write_ratings
from relaytune.core.results import Plan, read_result
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job


def refuse_related_judges(job: Job) -> tuple[str, ...]:
    """Refuse judges that are of the family of what they judge; returns what every report with them must say.

    Raises:
        RecipeError: a judge is a relative, and the recipe does not allow it.
    """
    if job.recipe.judging is None:
        return ()
    recipe, where = job.recipe, str(job.recipe_path)
    return check_families(job.recipe.judging, recipe.base_model.name, recipe.data.generator, where)


def judge_stage(job: Job) -> None:
    """Ask every judge of the recipe, and read the people's labels; nothing is asked twice.

    Raises:
        JudgeError: a judge does not answer; what it has answered is kept.
        DataError: the file of human labels is faulty.
    """
    judging = job.recipe.judging
    if judging is None:
        return
    refuse_related_judges(job)
    names = contenders_answered(job)
    made_from = inputs(
        job, "held-out rows", "judging", "human labels", "contract", "relatives", *(f"{name} answers" for name in names)
    )
    job.make(job.stage("judge", made_from), lambda: _judge(job, names))


def contenders_answered(job: Job) -> list[str]:
    """Those whose answers to the held-out rows are there, tuned first."""
    names = ("tuned", "few_shot", "base", *job.recipe.evaluation.imported)
    return [name for name in names if job.run.generation(name).exists()]


def _judge(job: Job, names: Sequence[str]) -> Sequence[Path]:
    from relaytune.evaluation.judging.hearing import Hearing, answers_to_judge, hear

    judging, where = job.recipe.judging, str(job.recipe_path)
    assert judging is not None
    hearing = Hearing(
        judging,
        rubric_of(judging, job.recipe.contract, where),
        pairs_to_compare(judging, list(names), where),
        job.recipe_path.parent,
        job.run.judging,
        job.screen,
        read_result(job.found(job.run.plan, "plan"), Plan).hardware.device,
    )
    generations = {name: read_generations(job.run.generation(name)) for name in names}
    answers = answers_to_judge(generations, exclude_truncated=job.recipe.evaluation.exclude_truncated)
    judgements, ratings = hear(hearing, read_examples(job.run.held_out), answers)
    write_judgements(job.run.judgements, judgements)
    write_ratings(job.run.ratings, ratings)
    return [job.run.judgements, job.run.ratings]
