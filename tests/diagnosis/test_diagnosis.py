from __future__ import annotations

from diagnosing import FALLING, LEVEL, names

from hand_made import (
    BEATS,
    LABELS,
    evaluate,
    make_recipe,
    make_steps,
    make_training,
    right_in,
)
from relaytune.diagnosis import diagnose


def test_more_training_rows_is_said_only_where_nothing_else_is_found() -> None:
    recipe = make_recipe((BEATS, "tuned contract_pass at least 0.99"))
    evaluation = evaluate(recipe, 100, tuned=right_in(50, 100), base=right_in(50, 100))
    # the prompt keeps the contract as well, so it is as good
    assert names(diagnose(recipe, evaluation, None, [])) == ["prompt_as_good"]
    beats_only = make_recipe()
    (found,) = diagnose(beats_only, evaluation, None, [])
    assert (found.name, found.next_change) == ("cause_unknown", "add training rows")


def test_nothing_is_diagnosed_where_the_rule_keeps_and_nothing_is_wrong() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    expected = [label for label in LABELS for _ in range(30)]
    evaluation = evaluate(recipe, expected, tuned=expected, base=["refund"] * 90)
    steps = make_steps(FALLING, {4: 0.5, 8: 0.5})
    assert diagnose(recipe, evaluation, make_training(8), steps) == ()
