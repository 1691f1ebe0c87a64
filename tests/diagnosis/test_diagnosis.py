from __future__ import annotations

from collections.abc import Sequence

from hand_made import (
    BEATS,
    CUT_OFF,
    LABELS,
    Answer,
    evaluate,
    make_recipe,
    make_steps,
    make_training,
    right_in,
)
from relaytune.core.recipe import Recipe
from relaytune.core.results import Diagnosis, EvaluationResult, TrainingResult, TrainingStep
from relaytune.diagnosis import diagnose

LEVEL = "tuned label_accuracy at least 0.7"
FALLING = [1.0, 0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.5]


def _first(
    recipe: Recipe,
    evaluation: EvaluationResult,
    training: TrainingResult | None = None,
    steps: Sequence[TrainingStep] = (),
) -> Diagnosis:
    return diagnose(recipe, evaluation, training, steps)[0]


def _names(diagnoses: Sequence[Diagnosis]) -> list[str]:
    return [diagnosis.name for diagnosis in diagnoses]


def test_a_prompt_that_meets_the_levels_is_as_good_as_a_tuned_model_that_adds_nothing() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    found = _first(recipe, evaluate(recipe, 100, tuned=right_in(88, 100), base=right_in(90, 100)))
    assert found.name == "prompt_as_good"
    assert "difference -2 points" in found.evidence
    assert found.next_change == "do not fine-tune; use the base model as it is"


def test_a_prompt_is_not_called_as_good_where_only_the_rows_are_too_few() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    found = _first(recipe, evaluate(recipe, 10, tuned=right_in(10, 10), base=right_in(7, 10)))
    assert found.name == "difference_not_detectable"


def test_an_unfinished_training_comes_before_any_judgement_of_it() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    evaluation = evaluate(recipe, 100, tuned=right_in(90, 100), base=right_in(90, 100))
    found = _first(recipe, evaluation, make_training(40, planned_steps=100))
    assert found.name == "training_unfinished"
    assert "40 of 100 steps" in found.evidence


def test_a_training_that_stopped_early_is_not_unfinished() -> None:
    recipe = make_recipe((LEVEL,))
    training = make_training(40, planned_steps=100, stopped_early=True)
    evaluation = evaluate(recipe, 100, tuned=right_in(90, 100))
    assert diagnose(recipe, evaluation, training, []) == ()


def test_training_far_above_held_out_with_an_early_best_step_asks_for_fewer_epochs() -> None:
    recipe = make_recipe((LEVEL,), num_epochs=4)
    evaluation = evaluate(recipe, 100, train=right_in(94, 100), tuned=right_in(60, 100))
    found = _first(recipe, evaluation, make_training(100, best_step=25))
    assert found.name == "overfitting"
    assert "94/100" in found.evidence
    assert "60/100" in found.evidence
    assert found.next_change == "set training.num_epochs to 1 (now 4)"


def test_training_far_above_held_out_with_a_late_best_step_asks_for_other_rows() -> None:
    recipe = make_recipe((LEVEL,))
    evaluation = evaluate(recipe, 100, train=right_in(94, 100), tuned=right_in(60, 100))
    found = _first(recipe, evaluation, make_training(100, best_step=90))
    assert found.name == "overfitting"
    assert found.next_change.startswith("add training rows that differ")


def test_a_gap_that_the_intervals_do_not_confirm_is_no_overfitting() -> None:
    recipe = make_recipe((LEVEL,))
    evaluation = evaluate(recipe, 10, train=right_in(9, 10), tuned=right_in(6, 10))
    assert "overfitting" not in _names(diagnose(recipe, evaluation, None, []))


def test_wrong_format_with_truncated_answers_asks_for_more_tokens() -> None:
    recipe = make_recipe((LEVEL,))
    answers: Sequence[Answer] = ["refund"] * 70 + [CUT_OFF] * 30
    found = _first(recipe, evaluate(recipe, 100, tuned=answers))
    assert found.name == "format_wrong"
    assert "30 of 100 answers were cut off at 64 tokens" in found.evidence
    assert found.next_change == "set evaluation.max_new_tokens to 128 (now 64)"


def test_wrong_format_without_truncation_asks_for_more_training() -> None:
    recipe = make_recipe((LEVEL,), num_epochs=2)
    answers: Sequence[Answer] = ["refund"] * 60 + ["It is a refund."] * 40
    found = _first(recipe, evaluate(recipe, 100, tuned=answers))
    assert (found.name, found.next_change) == ("format_wrong", "set training.num_epochs to 4 (now 2)")


def test_a_label_that_swallows_another_is_named_with_the_other() -> None:
    recipe = make_recipe((LEVEL,))
    expected = ["refund"] * 30 + ["shipping"] * 30 + ["other"] * 30
    answers = ["refund"] * 30 + ["refund"] * 25 + ["shipping"] * 5 + ["other"] * 30
    found = _first(recipe, evaluate(recipe, expected, tuned=answers, base=["other"] * 90))
    # the level is met, the prompt beaten: the diagnosis stands all the same
    assert found.name == "one_label_swallows"
    assert "refund is given 55 times in 90, expected 30" in found.evidence
    assert "25 of the 30 rows of shipping" in found.evidence
    assert "shipping close to refund" in found.next_change


def test_a_label_that_is_never_expected_can_swallow_too() -> None:
    recipe = make_recipe((LEVEL,))
    found = _first(recipe, evaluate(recipe, ["refund"] * 10, tuned=["other"] * 10))
    assert found.name == "one_label_swallows"
    assert "expected 0" in found.evidence


def test_errors_spread_over_the_labels_are_no_swallowing() -> None:
    recipe = make_recipe((LEVEL,))
    expected = [label for label in LABELS for _ in range(30)]
    answers: Sequence[Answer] = [
        given for label in LABELS for given in [label] * 10 + [other for other in LABELS if other != label] * 10
    ]
    found = _first(recipe, evaluate(recipe, expected, tuned=answers))
    assert found.name == "judgement_wrong"
    assert "below the 70% asked" in found.evidence
    assert found.next_change.startswith("add training rows for the label refund (10 of its 30")


def _misjudging(train_right: int) -> tuple[Recipe, EvaluationResult]:
    recipe = make_recipe((LEVEL,))
    expected = [label for label in LABELS for _ in range(20)]
    answers = ["refund"] * 11 + ["other"] * 9 + ["shipping"] * 11 + ["refund"] * 9
    answers += ["other"] * 11 + ["shipping"] * 9
    return recipe, evaluate(recipe, expected, train=right_in(train_right, 60), tuned=answers)


def test_wrong_judgement_on_training_rows_too_asks_for_a_larger_model() -> None:
    recipe, evaluation = _misjudging(train_right=35)
    steps = make_steps(FALLING, {2: 0.6, 8: 0.6})
    found = _first(recipe, evaluation, make_training(8), steps)
    assert (found.name, found.next_change) == ("judgement_wrong", "use a larger base_model")
    assert "on training rows too it reaches only 35/60" in found.evidence


def test_wrong_judgement_on_training_rows_while_the_loss_falls_asks_for_more_epochs() -> None:
    recipe, evaluation = _misjudging(train_right=35)
    steps = make_steps(FALLING, {2: 0.9, 8: 0.6})
    found = _first(recipe, evaluation, make_training(8), steps)
    assert found.name == "judgement_wrong"
    assert found.next_change == "set training.num_epochs to 4 (now 2)"


def test_a_model_whose_likeliest_label_is_better_than_its_written_one_is_found_out() -> None:
    recipe = make_recipe((LEVEL,))
    knows = {"refund": -0.1, "shipping": -3.0, "other": -3.0}
    answers: Sequence[Answer] = [("refund", knows)] * 50 + [("other", knows)] * 25 + [("shipping", knows)] * 25
    found = _first(recipe, evaluate(recipe, 100, tuned=answers))
    assert found.name == "judgement_wrong"
    assert "its likeliest label is right in 100/100" in found.evidence
    assert "likeliest_label_accuracy" in found.next_change


def test_a_validation_loss_still_falling_asks_for_more_epochs() -> None:
    recipe = make_recipe((LEVEL,), num_epochs=1.5)
    evaluation = evaluate(recipe, 100, tuned=right_in(90, 100))
    found = _first(recipe, evaluation, make_training(8), make_steps(FALLING, {4: 0.9, 8: 0.8}))
    assert found.name == "validation_still_falling"
    assert "from 0.900 to 0.800" in found.evidence
    assert found.next_change == "set training.num_epochs to 3 (now 1.5)"


def test_a_validation_loss_that_has_levelled_off_says_nothing() -> None:
    recipe = make_recipe((LEVEL,))
    evaluation = evaluate(recipe, 100, tuned=right_in(90, 100))
    for losses in ({4: 0.8, 8: 0.799}, {4: 0.8, 8: 0.9}, {8: 0.8}, {}):
        assert diagnose(recipe, evaluation, make_training(8), make_steps(FALLING, losses)) == ()


def test_a_training_loss_that_never_falls_asks_for_another_learning_rate() -> None:
    recipe = make_recipe((LEVEL,), learning_rate=2e-4)
    evaluation = evaluate(recipe, 100, tuned=right_in(30, 100))
    found = _first(recipe, evaluation, make_training(8), make_steps([1.0] * 8, {}))
    assert (found.name, found.next_change) == (
        "loss_flat",
        "set training.learning_rate to 5e-05 (now 0.0002)",
    )
    assert "1.000" in found.evidence


def test_a_training_loss_flat_under_a_tiny_learning_rate_asks_for_a_higher_one() -> None:
    recipe = make_recipe((LEVEL,), learning_rate=1e-6)
    evaluation = evaluate(recipe, 100, tuned=right_in(30, 100))
    found = _first(recipe, evaluation, make_training(8), make_steps([1.0] * 8, {}))
    assert found.next_change == "set training.learning_rate to 4e-06 (now 1e-06)"


def test_a_validation_loss_never_below_that_of_the_base_model_asks_for_another_learning_rate() -> None:
    recipe = make_recipe((LEVEL,), learning_rate=2e-4)
    evaluation = evaluate(recipe, 100, tuned=right_in(30, 100))
    found = _first(recipe, evaluation, make_training(8, best_step=0), make_steps(FALLING, {4: 1.1, 8: 1.2}))
    assert found.name == "loss_flat"
    assert "in 8 steps the validation loss was never below the one before training (1.000)" in found.evidence


def test_an_undetectable_difference_says_how_many_rows_would_show_it() -> None:
    recipe = make_recipe()
    evaluation = evaluate(recipe, 50, tuned=right_in(30, 50), base=right_in(25, 50))
    found = _first(recipe, evaluation)
    assert found.name == "difference_not_detectable"
    assert "p = 0.062" in found.evidence
    # Connor 1987 with 10% discordant pairs, all in favour of tuned
    assert found.next_change == "enlarge the held-out set to about 77 rows (now 50 compared)"


def test_a_difference_too_small_to_measure_does_not_ask_for_thousands_of_rows() -> None:
    recipe = make_recipe()
    half = ["refund"] * 100 + ["other"] * 100
    answers: Sequence[Answer] = ["refund", *half[:-1]][::-1]
    found = _first(recipe, evaluate(recipe, 200, tuned=answers, base=half))
    assert found.name == "difference_not_detectable"
    assert found.next_change.startswith("add training rows")


def test_more_training_rows_is_said_only_where_nothing_else_is_found() -> None:
    recipe = make_recipe((BEATS, "tuned contract_pass at least 0.99"))
    evaluation = evaluate(recipe, 100, tuned=right_in(50, 100), base=right_in(50, 100))
    # the prompt keeps the contract as well, so it is as good
    assert _names(diagnose(recipe, evaluation, None, [])) == ["prompt_as_good"]
    beats_only = make_recipe()
    (found,) = diagnose(beats_only, evaluation, None, [])
    assert (found.name, found.next_change) == ("cause_unknown", "add training rows")


def test_nothing_is_diagnosed_where_the_rule_keeps_and_nothing_is_wrong() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    expected = [label for label in LABELS for _ in range(30)]
    evaluation = evaluate(recipe, expected, tuned=expected, base=["refund"] * 90)
    steps = make_steps(FALLING, {4: 0.5, 8: 0.5})
    assert diagnose(recipe, evaluation, make_training(8), steps) == ()
