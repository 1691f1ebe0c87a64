from __future__ import annotations

from collections.abc import Sequence

from diagnosing import FALLING, LEVEL, first, names

from hand_made import (
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
from relaytune.core.results import EvaluationResult
from relaytune.diagnosis import diagnose


def test_wrong_format_with_truncated_answers_asks_for_more_tokens() -> None:
    recipe = make_recipe((LEVEL,))
    answers: Sequence[Answer] = ["refund"] * 70 + [CUT_OFF] * 30
    found = first(recipe, evaluate(recipe, 100, tuned=answers))
    assert found.name == "format_wrong"
    assert "30 of 100 answers were cut off at 64 tokens" in found.evidence
    assert found.next_change == "set evaluation.max_new_tokens to 128 (now 64)"


def test_wrong_format_without_truncation_asks_for_more_training() -> None:
    recipe = make_recipe((LEVEL,), num_epochs=2)
    answers: Sequence[Answer] = ["refund"] * 60 + ["It is a refund."] * 40
    found = first(recipe, evaluate(recipe, 100, tuned=answers))
    assert (found.name, found.next_change) == ("format_wrong", "set training.num_epochs to 4 (now 2)")


def test_a_label_that_swallows_another_is_named_with_the_other() -> None:
    recipe = make_recipe((LEVEL,))
    expected = ["refund"] * 30 + ["shipping"] * 30 + ["other"] * 30
    answers = ["refund"] * 30 + ["refund"] * 25 + ["shipping"] * 5 + ["other"] * 30
    found = first(recipe, evaluate(recipe, expected, tuned=answers, base=["other"] * 90))
    # the level is met, the prompt beaten: the diagnosis stands all the same
    assert found.name == "one_label_swallows"
    assert "refund is given 55 times in 90, expected 30" in found.evidence
    assert "25 of the 30 rows of shipping" in found.evidence
    assert "shipping close to refund" in found.next_change


def test_a_label_that_is_never_expected_can_swallow_too() -> None:
    recipe = make_recipe((LEVEL,))
    found = first(recipe, evaluate(recipe, ["refund"] * 10, tuned=["other"] * 10))
    assert found.name == "one_label_swallows"
    assert "expected 0" in found.evidence


def test_errors_spread_over_the_labels_are_no_swallowing() -> None:
    recipe = make_recipe((LEVEL,))
    expected = [label for label in LABELS for _ in range(30)]
    answers: Sequence[Answer] = [
        given for label in LABELS for given in [label] * 10 + [other for other in LABELS if other != label] * 10
    ]
    found = first(recipe, evaluate(recipe, expected, tuned=answers))
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
    found = first(recipe, evaluation, make_training(8), steps)
    assert (found.name, found.next_change) == ("judgement_wrong", "use a larger base_model")
    assert "on training rows too it reaches only 35/60" in found.evidence


def test_wrong_judgement_on_training_rows_while_the_loss_falls_asks_for_more_epochs() -> None:
    recipe, evaluation = _misjudging(train_right=35)
    steps = make_steps(FALLING, {2: 0.9, 8: 0.6})
    found = first(recipe, evaluation, make_training(8), steps)
    assert found.name == "judgement_wrong"
    assert found.next_change == "set training.num_epochs to 4 (now 2)"


def test_a_model_whose_likeliest_label_is_better_than_its_written_one_is_found_out() -> None:
    recipe = make_recipe((LEVEL,))
    knows = {"refund": -0.1, "shipping": -3.0, "other": -3.0}
    answers: Sequence[Answer] = [("refund", knows)] * 50 + [("other", knows)] * 25 + [("shipping", knows)] * 25
    found = first(recipe, evaluate(recipe, 100, tuned=answers))
    assert found.name == "judgement_wrong"
    assert "its likeliest label is right in 100/100" in found.evidence
    assert "likeliest_label_accuracy" in found.next_change


def _neither(train_right: int) -> tuple[Recipe, EvaluationResult]:
    """Half of the answers break the contract, and half of the others are wrong."""
    recipe = make_recipe((LEVEL,))
    answers = ["refund"] * 25 + ["other"] * 15 + ["shipping"] * 10 + ["who knows"] * 50
    return recipe, evaluate(recipe, 100, train=right_in(train_right, 100), tuned=answers)


def test_form_and_judgement_wrong_even_on_training_rows_ask_for_a_larger_base() -> None:
    recipe, evaluation = _neither(train_right=30)
    found = diagnose(recipe, evaluation, make_training(8), make_steps(FALLING, {2: 0.6, 8: 0.6}))
    assert (found[0].name, found[0].next_change) == ("both_wrong", "use a larger base_model")
    assert "tuned keeps the contract in 50/100" in found[0].evidence
    assert "reaches label_accuracy 25/100" in found[0].evidence
    assert "below the 70% asked; on training rows 30/100" in found[0].evidence
    assert "format_wrong" not in names(found)


def test_where_training_rows_are_learnt_the_base_is_large_enough() -> None:
    recipe, evaluation = _neither(train_right=98)
    found = names(diagnose(recipe, evaluation, make_training(8), make_steps(FALLING, {2: 0.6, 8: 0.6})))
    assert "both_wrong" not in found
    assert "format_wrong" in found


def test_while_the_loss_falls_a_larger_base_is_not_asked_for() -> None:
    recipe, evaluation = _neither(train_right=30)
    found = names(diagnose(recipe, evaluation, make_training(8), make_steps(FALLING, {2: 0.9, 8: 0.6})))
    assert "both_wrong" not in found


def test_readable_answers_that_judge_well_lack_only_the_form() -> None:
    recipe = make_recipe((LEVEL,))
    answers = ["refund"] * 45 + ["other"] * 5 + ["who knows"] * 50
    evaluation = evaluate(recipe, 100, train=right_in(30, 100), tuned=answers)
    found = first(recipe, evaluation, make_training(8), make_steps(FALLING, {2: 0.6, 8: 0.6}))
    assert found.name == "format_wrong"
