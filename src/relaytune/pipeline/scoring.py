"""What the saved answers and judgements amount to: scores, estimates, comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from relaytune.core.checked_answers import read_checked_answers
from relaytune.core.files import read_json, write_jsonl
from relaytune.core.records import (
    Example,
    as_json,
    read_examples,
    read_generations,
    read_judgements,
    read_ratings,
)
from relaytune.core.results import EvaluationResult, FewShotChoice, Forgetting, read_result, write_result
from relaytune.core.sections import PROMPTS
from relaytune.evidence import say_estimate
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job
from relaytune.pipeline.judging import refuse_related_judges

if TYPE_CHECKING:
    from relaytune.evaluation.summary import Evidence


def score_stage(job: Job, *, with_tuned: bool) -> EvaluationResult:
    """Score the saved answers; a pure function of them, the contract, the scorers and the rule's main metric."""
    run = job.run
    names = [
        name
        for name in (*PROMPTS, *job.recipe.evaluation.imported, *(("tuned",) if with_tuned else ()))
        if run.generation(name).exists()
    ]
    general = ["base_on_general", "tuned_on_general"] if with_tuned and job.recipe.evaluation.forgetting else []
    answers = [f"{name} answers" for name in (*names, *(("tuned_on_train",) if with_tuned else ()), *general)]
    made_from = inputs(job, *answers, "few_shot choice", "contract", "scorers", "main metric")
    made_from |= inputs(job, "imported contenders")
    if with_tuned and job.recipe.judging:
        made_from |= inputs(job, "judging", "judgements", "ratings", "relatives")
    if with_tuned and job.recipe.data.facts:
        made_from |= inputs(job, "checked answers")
    evaluation_path = run.evaluation if with_tuned else run.prompts_evaluation
    stage = job.stage("score" if with_tuned else "score_prompts", made_from)
    job.make(stage, lambda: _score(job, names, evaluation_path, with_tuned=with_tuned))
    result = read_result(evaluation_path, EvaluationResult)
    for line in contender_lines(result):
        job.screen.say(line)
    return result


def _score(job: Job, names: Sequence[str], path: Path, *, with_tuned: bool) -> Sequence[Path]:
    from relaytune.evaluation.closeness import with_closeness
    from relaytune.evaluation.factuality import with_facts
    from relaytune.evaluation.judging.conclusion import with_judging
    from relaytune.evaluation.judging.hearing import answers_to_judge
    from relaytune.evaluation.summary import measure_answers, summarize

    run, criteria = job.run, job.recipe.criteria
    held_out = read_examples(run.held_out)
    generations = {name: read_generations(run.generation(name)) for name in names}
    fit = read_generations(run.generation("tuned_on_train")) if with_tuned else []
    by_id: dict[str, Example] = {example.id: example for example in read_examples(run.train)} if fit else {}
    evidence = measure_answers(criteria, held_out, generations, [by_id[answer.id] for answer in fit], fit)
    if with_tuned and job.recipe.judging:
        evidence = with_judging(
            job.recipe.judging,
            evidence,
            answers_to_judge(generations, exclude_truncated=criteria.evaluation.exclude_truncated),
            read_judgements(run.judgements),
            read_ratings(run.ratings),
            refuse_related_judges(job),
        )
    if with_tuned and criteria.facts:
        evidence = with_facts(criteria, evidence, read_checked_answers(run.facts))
    if with_tuned and job.recipe.evaluation.forgetting:
        evidence = _with_general(job, evidence)
    evidence = with_closeness(criteria, evidence, job.screen)
    chosen = read_json(run.few_shot_choice)
    few_shot = read_result(run.few_shot_choice, FewShotChoice) if chosen else None
    result = summarize(criteria, replace(evidence, few_shot=few_shot))
    write_result(path, result)
    if not with_tuned:
        return [path]
    write_jsonl(run.scores, (as_json(row) for row in evidence.scores))
    return [path, run.scores]


def _with_general(job: Job, evidence: Evidence) -> Evidence:
    from relaytune.evaluation.general import load_general, score_general

    general = load_general()
    scores = [
        row
        for name in ("base", "tuned")
        for row in score_general(read_generations(job.run.generation(f"{name}_on_general")), name)
    ]
    counts = Forgetting(len(general.questions), len(general.texts))
    return replace(evidence, scores=[*evidence.scores, *scores], forgetting=counts)


def contender_lines(result: EvaluationResult) -> list[str]:
    """One line per contender: its judgement, format and judges' points, and how many answers were cut off."""
    lines = []
    for name, contender in result.contenders.items():
        shown = [
            f"{metric.name} {say_estimate(found)}"
            for metric in result.metrics.values()
            if metric.group in ("judgement", "facts", "format", "judge", "overlap")
            and (found := contender.estimates.get(metric.name)) is not None
        ]
        cut = f"; {contender.num_truncated} cut off" if contender.num_truncated else ""
        lines.append(f"  {name:9} {', '.join(shown)}{cut}")
    return lines
