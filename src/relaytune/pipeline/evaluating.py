"""Answers of every contender on the same held-out rows, and what they amount to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relaytune.core.errors import RunError
from relaytune.core.files import read_json, write_json
from relaytune.core.records import Example, Generation, read_examples, write_generations
from relaytune.core.results import EvaluationResult, Plan, read_result, write_result
from relaytune.core.run_folder import now
from relaytune.core.sections import PROMPTS
from relaytune.pipeline.factuality import facts_stage, method_or_data_stage
from relaytune.pipeline.inputs import inputs
from relaytune.pipeline.job import Job
from relaytune.pipeline.judging import judge_stage
from relaytune.pipeline.scoring import score_stage
from relaytune.pipeline.standing import refuse_outdated

if TYPE_CHECKING:
    from relaytune.core.decoding import Sampling
    from relaytune.evaluation.generating import Answerer


def evaluate_prompts_stage(job: Job) -> EvaluationResult:
    """Answers of `base` and `few_shot`; the decision rule is stored before the first answer."""
    store_rule(job)
    answering = _answering(job)
    job.make(job.stage("base", answering), lambda: _answer_base(job), _device(job))
    shown = inputs(job, "training rows", "validation rows", "few_shot settings", "seed")
    job.make(job.stage("few_shot", {**answering, **shown}), lambda: _answer_few_shot(job), _device(job))
    _import_answers(job)
    return score_stage(job, with_tuned=False)


def evaluate_tuned_stage(job: Job) -> EvaluationResult:
    """Answers of `tuned` on the held-out rows, and on as many training rows."""
    refuse_outdated(job, "train")
    store_rule(job)
    stage = job.stage("tuned", {**inputs(job, "training rows", "adapter"), **_answering(job)})
    job.make(stage, lambda: _answer_tuned(job), _device(job))
    judge_stage(job)
    return _score(job)


def judge_and_score(job: Job) -> EvaluationResult:
    """Judge the answers that are there, and score everything anew.

    Raises:
        RunError: the recipe names no judge, or tuned has not answered yet.
    """
    if job.recipe.judging is None:
        raise RunError(f"{job.recipe_path}: names no judge; add a section `judging`, e.g. judging: {{judges: [...]}}")
    refuse_outdated(job, "tuned")
    judge_stage(job)
    return _score(job)


def _score(job: Job) -> EvaluationResult:
    facts_stage(job)
    result = score_stage(job, with_tuned=True)
    method_or_data_stage(job)
    return result


def _answering(job: Job) -> dict[str, Any]:
    """What every contender's answers depend on."""
    names = ("held-out rows", "max_new_tokens", "labels", "decoding", "saved with answers")
    return {**inputs(job, *names), **job.model_identity}


def _device(job: Job) -> str:
    return read_result(job.found(job.run.plan, "plan"), Plan).hardware.device


def _answerer(job: Job) -> Answerer:
    """The base model, loaded once for all contenders; `tuned` is the same with the adapter on."""
    from relaytune.evaluation.generating import Answerer

    if job.loaded.answerer is None:
        job.loaded.answerer = Answerer.load(job.recipe, job.model, _device(job), job.screen)
    return job.loaded.answerer


def _sampling(job: Job) -> Sampling | None:
    from relaytune.core.decoding import Sampling

    chosen = job.recipe.evaluation
    return Sampling(chosen.temperature, chosen.top_p, chosen.seed) if chosen.temperature else None


def _answer(
    job: Job, examples: Sequence[Example], label: str, shots: Sequence[Example] = ()
) -> list[Generation] | None:
    """Answers as the recipe wants them, and how likely the references are, where that is scored."""
    references = "reference_nats" in job.recipe.evaluation.scorers_for(job.recipe.contract)
    return _answerer(job).answer(examples, label, shots, sampling=_sampling(job), references=references)


def _answer_general(job: Job, contender: str) -> list[Path]:
    """Answers to the general set, where forgetting is measured."""
    if not job.recipe.evaluation.forgetting:
        return []
    path = job.run.generation(f"{contender}_on_general")
    write_generations(path, _answerer(job).answer_general(f"{contender}, general"))
    return [path]


def _answer_base(job: Job) -> Sequence[Path]:
    held_out = read_examples(job.run.held_out)
    generations = _answer(job, held_out, "base")
    if generations is None:
        raise RunError(
            "evaluation.max_new_tokens: the longest held-out prompt and its answer do not fit the model's context; "
            "shorten the instruction or lower max_new_tokens"
        )
    write_generations(job.run.generation("base"), generations)
    _count_look(job, "base")
    return [job.run.generation("base"), *_answer_general(job, "base")]


def _answer_few_shot(job: Job) -> Sequence[Path]:
    from relaytune.evaluation.prompting import choose_shots

    train, validation = read_examples(job.run.train), read_examples(job.run.validation)
    held_out = read_examples(job.run.held_out)
    choice = choose_shots(
        job.recipe,
        train,
        validation,
        lambda shots: _answer(job, validation, f"k={len(shots)} on validation rows", shots),
        job.screen.say,
    )
    by_id = {example.id: example for example in train}
    generations = None
    if choice is not None:
        shots = [by_id[id] for id in choice.chosen.example_ids]
        job.screen.say(f"Chosen on validation rows: k={choice.chosen.k}, draw {choice.chosen.draw + 1}")
        generations = _answer(job, held_out, "few_shot", shots)
    if choice is None or generations is None:
        job.screen.say("few_shot: no prompt with examples fits this model's context; there is no such contender")
        job.run.generation("few_shot").unlink(missing_ok=True)
        write_json(job.run.few_shot_choice, None)
        return [job.run.few_shot_choice]
    write_result(job.run.few_shot_choice, choice)
    write_generations(job.run.generation("few_shot"), generations)
    _count_look(job, "few_shot")
    return [job.run.few_shot_choice, job.run.generation("few_shot")]


def _import_answers(job: Job) -> None:
    """Answers that were made elsewhere, as the recipe names them, become contenders."""
    if not job.recipe.evaluation.imported:
        return

    def work() -> Sequence[Path]:
        from relaytune.comparing.reading import read_for_rows

        held_out = read_examples(job.run.held_out)
        for name, file in job.recipe.evaluation.imported.items():
            write_generations(job.run.generation(name), read_for_rows(job.recipe_path.parent / file, held_out))
        return [job.run.generation(name) for name in job.recipe.evaluation.imported]

    job.make(job.stage("imported", inputs(job, "held-out rows", "imported files")), work)


def _answer_tuned(job: Job) -> Sequence[Path]:
    held_out, train = read_examples(job.run.held_out), read_examples(job.run.train)
    sample = random.Random(job.recipe.training.seed).sample(train, min(len(train), len(held_out)))
    with _answerer(job).adapted(job.run.adapter):
        answers = {"tuned": _answer(job, held_out, "tuned"), "tuned_on_train": _answer(job, sample, "training rows")}
        outputs = _answer_general(job, "tuned")
    for name, generations in answers.items():
        if generations is None:
            raise RunError(f"{name}: the longest prompt and its answer do not fit the model's context")
        write_generations(job.run.generation(name), generations)
        outputs.append(job.run.generation(name))
    _count_look(job, "tuned")
    return outputs


def store_rule(job: Job) -> None:
    """Keep the decision rule with its hash and the time, before (or, if it changed, after) the first evaluation."""
    history = rule_history(job)
    rule = job.recipe.decision
    if history and history[-1]["hash"] == rule.hash:
        return
    seen = job.run.looks.exists() or any(job.run.generation(name).exists() for name in (*PROMPTS, "tuned"))
    entry = {
        "hash": rule.hash,
        "stored_at": now(),
        "after_evaluation": "yes" if seen else "no",
        "rule": rule.sentence,
    }
    write_json(job.run.rule, [*history, entry])
    when = "AFTER held-out rows were answered; the report says so" if seen else "before any held-out row is answered"
    job.screen.say(f"Decision rule stored {when} (sha256 {rule.hash[:12]}…)")


def rule_history(job: Job) -> list[dict[str, str]]:
    """Every rule that this run has had, oldest first."""
    return read_json(job.run.rule) if job.run.rule.exists() else []


def rule_changed_after_evaluation(job: Job) -> bool:
    """Whether the rule in force is another than the last one written down before held-out rows were answered."""
    before = [entry["hash"] for entry in rule_history(job) if entry["after_evaluation"] == "no"]
    return not before or before[-1] != job.recipe.decision.hash


def _count_look(job: Job, contender: str) -> None:
    """Held-out rows wear out: every time that they are answered is kept."""
    looks = read_json(job.run.looks) if job.run.looks.exists() else []
    look = {"contender": contender, "at": now(), "recipe": job.recipe.hash}
    if contender == "tuned":
        look |= {"adapter": inputs(job, "adapter")["adapter"]}
    write_json(job.run.looks, [*looks, look])
