"""Judges and people compare the answers, blind; what they said is kept, and read anew whenever scores are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relaytune.core.judging import JudgeChoice, check_families, pairs_to_compare, rubric_of
from relaytune.core.records import (
    Judgement,
    Rating,
    read_examples,
    read_generations,
    write_judgements,
    write_ratings,
)
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
    made_from = inputs(job, "held-out rows", "judging", "human labels", *(f"{name} answers" for name in names))
    job.make(job.stage("judge", made_from), lambda: _judge(job, names))


def contenders_answered(job: Job) -> list[str]:
    """Those whose answers to the held-out rows are there, tuned first."""
    names = ("tuned", "few_shot", "base", *job.recipe.evaluation.imported)
    return [name for name in names if job.run.generation(name).exists()]


def _judge(job: Job, names: Sequence[str]) -> Sequence[Path]:
    from relaytune.evaluation.judging.asking import ask_judge
    from relaytune.evaluation.judging.human_labels import read_human_labels

    judging, where = job.recipe.judging, str(job.recipe_path)
    assert judging is not None
    held_out = read_examples(job.run.held_out)
    answers = {name: {row.id: row.completion for row in read_generations(job.run.generation(name))} for name in names}
    pairs = pairs_to_compare(judging, list(names), where)
    rubric = rubric_of(judging, job.recipe.contract, where)
    judgements: list[Judgement] = []
    ratings: list[Rating] = []
    for judge in judging.judges:
        said = ask_judge(judging, judge, rubric, held_out, answers, pairs, _log(job, judge), job.screen, _device(job))
        judgements += said.judgements
        ratings += said.ratings
        job.screen.say(f"{judge.title}: {said.spending.words}")
        for kind, count in said.changes.items():
            job.screen.say(f"  {kind} in the answers shown, made harmless: {count}")
    if judging.human_labels:
        labels = job.recipe_path.parent / judging.human_labels
        ids = {example.id for example in held_out}
        people = read_human_labels(labels, ids, names, judging.criteria, judging.scale)
        judgements += people.judgements
        ratings += people.ratings
    write_judgements(job.run.judgements, judgements)
    write_ratings(job.run.ratings, ratings)
    return [job.run.judgements, job.run.ratings]


def _log(job: Job, judge: JudgeChoice) -> Path:
    """Where a judge's answers are kept as they come."""
    name = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in judge.title)
    return job.run.path / "judging" / f"{name}.jsonl"


def _device(job: Job) -> str:
    return read_result(job.found(job.run.plan, "plan"), Plan).hardware.device
