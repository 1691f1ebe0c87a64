"""What the tests of diagnoses share."""

from __future__ import annotations

from collections.abc import Sequence

from relaytune.core.recipe import Recipe
from relaytune.core.results import Diagnosis, EvaluationResult, TrainingResult, TrainingStep
from relaytune.diagnosis import diagnose

LEVEL = "tuned label_accuracy at least 0.7"
FALLING = [1.0, 0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.5]


def first(
    recipe: Recipe,
    evaluation: EvaluationResult,
    training: TrainingResult | None = None,
    steps: Sequence[TrainingStep] = (),
) -> Diagnosis:
    return diagnose(recipe, evaluation, training, steps)[0]


def names(diagnoses: Sequence[Diagnosis]) -> list[str]:
    return [diagnosis.name for diagnosis in diagnoses]
