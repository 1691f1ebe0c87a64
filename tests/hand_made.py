"""Recipes, evaluations and trainings made by hand, of which the right verdict is certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relaytune.core.recipe import Recipe, validate_recipe
from relaytune.core.records import Example, Generation, Score
from relaytune.core.results import (
    EvaluationResult,
    JudgingResult,
    PreferenceSummary,
    Share,
    TrainingResult,
    TrainingStep,
    WinLoss,
)
from relaytune.evaluation.summary import Evidence, measure_answers, summarize

LABELS = ("refund", "shipping", "other")
BEATS = "tuned beats best_prompt on label_accuracy"
JUDGING = {
    "judges": [{"model": "qwen3-32b", "base_url": "http://localhost:8000/v1"}],
    "criteria": {"clarity": "is clear", "factual_errors": "claims that are wrong"},
    "lower_is_better": ["factual_errors"],
}
CUT_OFF = "and then"  # an answer that was cut off

# an answer: its text, or its text and the log-probabilities of the labels, or None where there is none
Answer = str | tuple[str, Mapping[str, float]] | None


def make_recipe(
    keep_when: Sequence[str] = (BEATS,),
    discard_when: Sequence[str] = (),
    never_when: Sequence[str] = (),
    sections: Mapping[str, Any] | None = None,
    **training: Any,
) -> Recipe:
    """A recipe that asks for one of three labels, unless `sections` say otherwise."""
    values = {
        "name": "tickets",
        "task": {},
        "contract": {"labels": LABELS},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl"},
        "base_model": {"name": "a-model"},
        "training": training,
        "decision": {
            "keep_when": list(keep_when),
            "never_when": list(never_when),
            "discard_when": list(discard_when),
        },
        **(sections or {}),
    }
    return validate_recipe(values, "recipe.yaml")


def right_in(right: int, rows: int) -> list[str]:
    """So many right answers to rows that all expect `refund`, the others wrong but in the right format."""
    return ["refund"] * right + ["other"] * (rows - right)


def evaluate(
    recipe: Recipe,
    expected: Sequence[str] | int,
    train: Sequence[Answer] = (),
    **answers: Sequence[Answer],
) -> EvaluationResult:
    """An evaluation of these answers, a list per contender; `expected` may be a number of `refund` rows."""
    held_out = _examples(["refund"] * expected if isinstance(expected, int) else expected, "held out")
    train_rows = _examples(["refund"] * len(train), "training")
    generations = {name: _generations(held_out, given) for name, given in answers.items()}
    evidence = measure_answers(recipe.criteria, held_out, generations, train_rows, _generations(train_rows, train))
    return summarize(recipe.criteria, evidence)


def evaluate_values(
    recipe: Recipe,
    values: Mapping[str, Mapping[str, Sequence[float | None]]],
    preferences: Mapping[tuple[str, str], Sequence[float | None]] | None = None,
    judging: JudgingResult | None = None,
) -> EvaluationResult:
    """An evaluation of these values: metric → contender → a value a row; of preferences 1, 0, -1 or None."""
    lengths = {len(row) for by_contender in values.values() for row in by_contender.values()}
    lengths |= {len(row) for row in (preferences or {}).values()}
    (rows,) = lengths
    held_out = _examples(["refund"] * rows, "held out")
    names = {name for by_contender in values.values() for name in by_contender}
    names |= {name for pair in preferences or {} for name in pair}
    scores = [
        Score(example.id, contender, metric, value)
        for metric, by_contender in values.items()
        for contender, row in by_contender.items()
        for example, value in zip(held_out, row, strict=True)
    ]
    told = {
        pair: {example.id: value for example, value in zip(held_out, row, strict=True)}
        for pair, row in (preferences or {}).items()
    }
    generations = {name: _generations(held_out, ["refund"] * rows) for name in sorted(names)}
    return summarize(recipe.criteria, Evidence(held_out, generations, scores, preferences=told, judging=judging))


def refusing_judge(contender: str, other: str) -> JudgingResult:
    """One judge that contradicts itself, so that its verdict is refused."""
    unknown = Share(0, 0, None, None)
    summary = PreferenceSummary(
        judge="a judge",
        contender=contender,
        other=other,
        result=WinLoss(30, 0, 0, 1.0, (0.8, 1.0), 0.0001),
        num_inconsistent=30,
        num_identical=0,
        num_unscored=0,
        unscored_reasons={},
        consistency=Share(12, 30, 0.4, (0.25, 0.58)),
        first_slot=unknown,
        num_one_order=0,
        longer_wins=unknown,
        length_matched=WinLoss(0, 0, 0, None, None, 1.0),
        caution="",
        refused="only 12 of 30 pairs are judged alike in both orders",
    )
    return JudgingResult((summary,), (), (), (), 0, None, ())


def make_steps(train_losses: Sequence[float], validation_losses: Mapping[int, float]) -> list[TrainingStep]:
    """The steps of a run with these training losses; validation losses by step."""
    return [
        TrainingStep(step, 8 * step, 800 * step, loss, 2e-4, 1.0, step, validation_losses.get(step))
        for step, loss in enumerate(train_losses, start=1)
    ]


def make_training(
    num_steps: int,
    planned_steps: int | None = None,
    best_step: int | None = None,
    stopped_early: bool = False,
) -> TrainingResult:
    """What a session reports after so many steps."""
    return TrainingResult(
        num_sessions=1,
        device="cpu",
        precision="float32",
        num_steps=num_steps,
        num_skipped_steps=0,
        planned_steps=num_steps if planned_steps is None else planned_steps,
        num_examples=8 * num_steps,
        num_tokens=800 * num_steps,
        num_supervised_tokens=80 * num_steps,
        best_step=num_steps if best_step is None else best_step,
        best_validation_loss=0.5,
        first_validation_loss=1.0,
        stopped_early=stopped_early,
        wall_seconds=10.0,
        examples_per_second=1.0,
        peak_memory_gib=1.0,
        supervised_text_shown=(),
    )


def _examples(labels: Sequence[str], kind: str) -> list[Example]:
    return [
        Example.of([{"role": "user", "content": f"{kind} {number}"}], label, f"rows.jsonl:{number}")
        for number, label in enumerate(labels, start=1)
    ]


def _generations(examples: Sequence[Example], answers: Sequence[Answer]) -> list[Generation]:
    generations = []
    for example, answer in zip(examples, answers, strict=True):
        if answer is None:
            continue
        text, log_probs = (answer, None) if isinstance(answer, str) else answer
        finish_reason: Any = "length" if text == CUT_OFF else "stop"
        generations.append(Generation(example.id, example.messages, text, finish_reason, 2, log_probs))
    return generations
