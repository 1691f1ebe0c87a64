from __future__ import annotations

from dataclasses import replace

from diagnosing import FALLING, LEVEL, first, names

from hand_made import (
    BEATS,
    evaluate,
    make_recipe,
    make_steps,
    make_training,
    right_in,
)
from relaytune.core.recipe import Recipe
from relaytune.core.records import Finding
from relaytune.core.results import EvaluationResult
from relaytune.diagnosis import diagnose


def test_an_unfinished_training_comes_before_any_judgement_of_it() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    evaluation = evaluate(recipe, 100, tuned=right_in(90, 100), base=right_in(90, 100))
    found = first(recipe, evaluation, make_training(40, planned_steps=100))
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
    found = first(recipe, evaluation, make_training(100, best_step=25))
    assert found.name == "overfitting"
    assert "94/100" in found.evidence
    assert "60/100" in found.evidence
    assert found.next_change == "set training.num_epochs to 1 (now 4)"


def test_training_far_above_held_out_with_a_late_best_step_asks_for_other_rows() -> None:
    recipe = make_recipe((LEVEL,))
    evaluation = evaluate(recipe, 100, train=right_in(94, 100), tuned=right_in(60, 100))
    found = first(recipe, evaluation, make_training(100, best_step=90))
    assert found.name == "overfitting"
    assert found.next_change.startswith("add training rows that differ")


def test_a_gap_that_the_intervals_do_not_confirm_is_no_overfitting() -> None:
    recipe = make_recipe((LEVEL,))
    evaluation = evaluate(recipe, 10, train=right_in(9, 10), tuned=right_in(6, 10))
    assert "overfitting" not in names(diagnose(recipe, evaluation, None, []))


def test_a_validation_loss_still_falling_asks_for_more_epochs() -> None:
    recipe = make_recipe((LEVEL,), num_epochs=1.5)
    evaluation = evaluate(recipe, 100, tuned=right_in(90, 100))
    found = first(recipe, evaluation, make_training(8), make_steps(FALLING, {4: 0.9, 8: 0.8}))
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
    found = first(recipe, evaluation, make_training(8), make_steps([1.0] * 8, {}))
    assert (found.name, found.next_change) == (
        "loss_flat",
        "set training.learning_rate to 5e-05 (now 0.0002)",
    )
    assert "1.000" in found.evidence


def test_a_loss_that_ends_far_above_that_before_training_is_a_broken_model_and_asks_for_a_lower_learning_rate() -> None:
    recipe = make_recipe((LEVEL,), learning_rate=1e-2)
    evaluation = evaluate(recipe, 100, tuned=right_in(0, 100))
    # it leaps up and then falls for the rest of the training, as a diverged one does
    found = first(recipe, evaluation, make_training(8), make_steps([0.4, 0.2, 30, 20, 9, 8, 7, 6.5], {4: 30.0, 8: 6.5}))
    assert (found.name, found.next_change) == ("training_diverged", "set training.learning_rate to 0.0025 (now 0.01)")
    assert "was 1.000 before training, and the training loss is 6.750 in the last quarter" in found.evidence


def test_a_loss_that_wavers_by_less_than_a_nat_has_not_diverged() -> None:
    recipe = make_recipe((LEVEL,), learning_rate=1e-2)
    evaluation = evaluate(recipe, 100, tuned=right_in(0, 100))
    steps = make_steps([0.4, 0.2, 1.9, 1.0, 1.0, 1.0, 1.3, 1.3], {4: 1.0, 8: 1.3})
    assert "training_diverged" not in names(diagnose(recipe, evaluation, make_training(8), steps))


def test_a_training_loss_flat_under_a_tiny_learning_rate_asks_for_a_higher_one() -> None:
    recipe = make_recipe((LEVEL,), learning_rate=1e-6)
    evaluation = evaluate(recipe, 100, tuned=right_in(30, 100))
    found = first(recipe, evaluation, make_training(8), make_steps([1.0] * 8, {}))
    assert found.next_change == "set training.learning_rate to 4e-06 (now 1e-06)"


def test_a_validation_loss_never_below_that_of_the_base_model_asks_for_another_learning_rate() -> None:
    recipe = make_recipe((LEVEL,), learning_rate=2e-4)
    evaluation = evaluate(recipe, 100, tuned=right_in(30, 100))
    found = first(recipe, evaluation, make_training(8, best_step=0), make_steps(FALLING, {4: 1.1, 8: 1.2}))
    assert found.name == "loss_flat"
    assert "in 8 steps the validation loss was never below the one before training (1.000)" in found.evidence


def _level_off(after: int, steps: int) -> list[float]:
    """A loss that falls for so many steps and then stays."""
    return [max(2.0 - step / after, 1.0) for step in range(steps)]


def _unlearnt() -> tuple[Recipe, EvaluationResult]:
    recipe = make_recipe((LEVEL,), learning_rate=2e-4)
    return recipe, evaluate(recipe, 100, train=right_in(40, 100), tuned=right_in(40, 100))


def test_a_loss_flat_after_150_steps_on_rows_not_learnt_asks_for_another_learning_rate() -> None:
    recipe, evaluation = _unlearnt()
    found = first(recipe, evaluation, make_training(300), make_steps(_level_off(100, 300), {}))
    assert (found.name, found.next_change) == ("loss_flat", "set training.learning_rate to 5e-05 (now 0.0002)")
    assert "flat after step 150: 1.000 in the next 25 steps, 1.000 in the last" in found.evidence
    assert "on training rows tuned reaches label_accuracy 40/100" in found.evidence


def test_contradictory_training_rows_are_named_before_the_learning_rate() -> None:
    recipe, evaluation = _unlearnt()
    places = tuple(f"train.jsonl:{number}" for number in range(1, 9))
    contradictions = [Finding("warning", "near_contradictions", "alike", places)]
    steps = make_steps(_level_off(100, 300), {})
    found = diagnose(recipe, evaluation, make_training(300), steps, contradictions)[0]
    assert found.name == "loss_flat"
    assert found.next_change == (
        "settle the training rows that contradict each other: train.jsonl:1, train.jsonl:2, train.jsonl:3, "
        "train.jsonl:4, train.jsonl:5, train.jsonl:6 and 2 more"
    )


def test_contradictory_rows_are_no_matter_where_the_loss_falls() -> None:
    recipe = make_recipe((LEVEL,))
    evaluation = evaluate(recipe, 100, train=right_in(95, 100), tuned=right_in(90, 100))
    contradictions = [Finding("warning", "near_contradictions", "alike", ("train.jsonl:1", "train.jsonl:2"))]
    steps = make_steps(_level_off(300, 300), {})
    assert diagnose(recipe, evaluation, make_training(300), steps, contradictions) == ()


def test_a_loss_that_is_flat_because_the_rows_are_learnt_is_no_fault() -> None:
    recipe = make_recipe((LEVEL,))
    evaluation = evaluate(recipe, 100, train=right_in(99, 100), tuned=right_in(95, 100))
    steps = make_steps(_level_off(100, 300), {})
    assert "loss_flat" not in names(diagnose(recipe, evaluation, make_training(300), steps))


def test_a_loss_still_falling_after_150_steps_is_not_flat() -> None:
    recipe, evaluation = _unlearnt()
    steps = make_steps(_level_off(300, 300), {})
    assert "loss_flat" not in names(diagnose(recipe, evaluation, make_training(300), steps))


def test_a_training_too_short_to_tell_is_not_called_flat_after_150_steps() -> None:
    recipe, evaluation = _unlearnt()
    steps = make_steps(_level_off(100, 190), {})
    assert "loss_flat" not in names(diagnose(recipe, evaluation, make_training(190), steps))


def _overfitted(num_steps: int, rank: int) -> str:
    """What is asked for after so many steps of 8 rows in one epoch, the last step being the best."""
    recipe = make_recipe((LEVEL,), sections={"lora": {"rank": rank}}, num_epochs=1)
    evaluation = evaluate(recipe, 100, train=right_in(94, 100), tuned=right_in(60, 100))
    found = first(recipe, evaluation, make_training(num_steps, best_step=num_steps))
    assert found.name == "overfitting"
    return found.next_change


def test_many_rows_learnt_by_heart_ask_for_a_lower_rank() -> None:
    assert _overfitted(num_steps=100, rank=32) == "set lora.rank to 16 (now 32)"


def test_few_rows_learnt_by_heart_or_a_rank_already_small_ask_for_other_rows() -> None:
    other_rows = "add training rows that differ from those there: other wordings, other cases"
    assert _overfitted(num_steps=50, rank=32) == other_rows  # 400 rows
    assert _overfitted(num_steps=100, rank=8) == other_rows


def test_a_loss_that_was_no_number_is_left_out_of_the_means() -> None:
    recipe, evaluation = _unlearnt()
    losses: list[float | None] = [None if step % 7 == 0 else loss for step, loss in enumerate(_level_off(100, 300))]
    steps = [replace(step, train_loss=loss) for step, loss in zip(make_steps([1.0] * 300, {}), losses, strict=True)]
    assert first(recipe, evaluation, make_training(300), steps).name == "loss_flat"
