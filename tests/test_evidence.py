"""What an evaluation says about one clause of a rule, of every kind and in both directions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hand_made import JUDGING, evaluate, evaluate_values, make_recipe, refusing_judge, right_in
from relaytune.core.recipe import Recipe
from relaytune.core.results import ClauseResult, ClauseRole, EvaluationResult
from relaytune.evidence import apply_clause, compare, say_comparison, say_estimate

FEW, MANY = [float(row % 3) for row in range(60)], [1.0 + row // 3 % 3 for row in range(60)]
JUDGED = {"judging": JUDGING}


def _recipe(keep_when: Sequence[str], never_when: Sequence[str] = ()) -> Recipe:
    return make_recipe(keep_when, never_when=never_when, sections=JUDGED)


def _kept(sentence: str, evaluation: EvaluationResult) -> ClauseResult:
    return apply_clause(_recipe([sentence]).decision.keep_when[0], "keep_when", evaluation)


def _never(sentence: str, evaluation: EvaluationResult) -> ClauseResult:
    (clause,) = _recipe(["tuned stopped at least 0.5"], [sentence]).decision.never_when
    return apply_clause(clause, "never_when", evaluation)


def _signs(wins: int, losses: int, ties: int = 0) -> tuple[list[float], list[float]]:
    """Values of two contenders on the same rows."""
    return [1.0] * wins + [0.0] * losses + [0.0] * ties, [0.0] * wins + [1.0] * losses + [0.0] * ties


def _points(tuned: Sequence[float], base: Sequence[float], metric: str = "clarity") -> EvaluationResult:
    return evaluate_values(_recipe(["tuned stopped at least 0.5"]), {metric: {"tuned": tuned, "base": base}})


# beats


def test_a_mean_is_beaten_in_the_direction_that_is_better() -> None:
    high, low = [3.0 + row % 3 for row in range(40)], [1.0 + row // 3 % 3 for row in range(40)]
    clearer = _kept("tuned beats base on clarity", _points(high, low))
    assert clearer.holds
    assert "tuned 3.98 (" in clearer.evidence
    assert "difference +2.05 (" in clearer.evidence
    assert not _kept("tuned beats base on clarity", _points(low, high)).holds
    more_errors = _kept("tuned beats base on factual_errors", _points(high, low, "factual_errors"))
    assert not more_errors.holds
    assert "p < 0.001" in more_errors.evidence
    assert _kept("tuned beats base on factual_errors", _points(low, high, "factual_errors")).holds


def test_a_mean_of_few_rows_is_shown_without_an_interval_and_does_not_win() -> None:
    clause = _kept("tuned beats base on clarity", _points([4.0] * 8, [2.0] * 8))
    assert not clause.holds  # eight of eight: p = 2 / 2^8
    assert "tuned 4 (too few for an interval, 8 scored)" in clause.evidence
    assert "difference +2 (too few for an interval), p = 0.008; no win, since of a mean the interval" in clause.evidence


def _two_metrics(clarity_wins: int, loops_wins: int) -> EvaluationResult:
    tuned_clarity, base_clarity = _signs(clarity_wins, 20 - clarity_wins, 20)
    tuned_stopped, base_stopped = _signs(loops_wins, 20 - loops_wins, 20)
    return evaluate_values(
        _recipe(["tuned stopped at least 0.5"]),
        {
            "clarity": {"tuned": tuned_clarity, "base": base_clarity},
            "stopped": {"tuned": tuned_stopped, "base": base_stopped},
        },
    )


def test_one_of_two_metrics_has_to_be_beaten_with_p_corrected_for_both() -> None:
    # 15 of 20: p = 0.041; 16 of 20: p = 0.012
    assert _kept("tuned beats base on clarity", _two_metrics(15, 10)).holds
    by_two = _kept("tuned beats base on clarity or stopped", _two_metrics(15, 10))
    assert not by_two.holds
    assert by_two.evidence.endswith("corrected for 2 metrics (Holm): clarity p = 0.083, stopped p = 1.000")
    assert by_two.evidence.startswith("clarity: tuned 0.375 (")
    assert _kept("tuned beats base on clarity or stopped", _two_metrics(16, 10)).holds
    assert _kept("tuned beats base on clarity or stopped", _two_metrics(10, 16)).holds


def test_a_metric_on_which_tuned_is_worse_does_not_win_by_its_small_p() -> None:
    assert not _kept("tuned beats base on clarity or stopped", _two_metrics(10, 4)).holds


def test_a_metric_that_cannot_be_compared_still_counts_in_the_correction() -> None:
    tuned, base = _signs(15, 5, 20)
    evaluation = evaluate_values(_recipe(["tuned stopped at least 0.5"]), {"clarity": {"tuned": tuned, "base": base}})
    assert _kept("tuned beats base on clarity", evaluation).holds
    clause = _kept("tuned beats base on clarity or stopped", evaluation)
    assert not clause.holds
    assert "stopped: cannot be evaluated: no row is scored for both tuned and base" in clause.evidence
    assert clause.evidence.endswith("corrected for 2 metrics (Holm): clarity p = 0.083")


# preferences


def _preferred(wins: int, losses: int, ties: int, refused: bool = False) -> EvaluationResult:
    return evaluate_values(
        _recipe(["tuned beats base on preference"]),
        {},
        {("tuned", "base"): [1.0] * wins + [-1.0] * losses + [0.0] * ties},
        refusing_judge("tuned", "base") if refused else None,
    )


def test_a_preference_is_shown_as_pairs_won_lost_and_tied() -> None:
    clause = _kept("tuned beats base on preference", _preferred(25, 5, 10))
    assert clause.holds
    assert clause.evidence.startswith("tuned preferred on 25 rows, base on 5, 10 ties; difference +50 points (")
    assert not _kept("base beats tuned on preference", _preferred(25, 5, 10)).holds
    assert not _kept("tuned beats base on preference", _preferred(12, 10, 18)).holds


def test_a_verdict_that_is_refused_decides_nothing() -> None:
    evaluation = _preferred(30, 0, 10, refused=True)
    clause = _kept("tuned beats base on preference", evaluation)
    assert not clause.holds
    assert clause.evidence == ("cannot be evaluated: a judge: only 12 of 30 pairs are judged alike in both orders")
    assert compare(evaluation, "preference", "tuned", "base") is None
    assert not _kept("base beats tuned on preference", evaluation).holds


# no worse


@pytest.mark.parametrize(("rows", "holds"), [(40, False), (400, True)])
def test_no_worse_holds_where_the_interval_excludes_the_margin(rows: int, holds: bool) -> None:
    recipe = make_recipe(("tuned no worse than base on label_accuracy within 0.05",))
    answers = right_in(rows * 3 // 4, rows)
    swapped = answers[1:] + answers[:1]
    evaluation = evaluate(recipe, rows, tuned=answers, base=swapped)
    clause = apply_clause(recipe.decision.keep_when[0], "keep_when", evaluation)
    assert clause.holds is holds
    assert clause.evidence.endswith(f"a loss of 5 points is {'excluded' if holds else 'not excluded'}")


def test_no_worse_excludes_a_rise_where_lower_is_better() -> None:
    few, many = FEW, MANY
    sentence = "tuned no worse than base on factual_errors within 0.5"
    better = _kept(sentence, _points(few, many, "factual_errors"))
    assert better.holds
    assert better.evidence.endswith("a loss of 0.5 is excluded")
    assert not _kept(sentence, _points(many, few, "factual_errors")).holds
    # a rise of 0.3 may be one of 0.6, and no fall excludes that
    noisy = [value + (1.8 if row % 6 == 0 else 0) for row, value in enumerate(FEW)]
    unsure = _kept(sentence, _points(noisy, few, "factual_errors"))
    assert "difference +0.3 (+0.1" in unsure.evidence
    assert not unsure.holds


def test_no_worse_is_not_shown_by_rows_that_are_too_few_for_an_interval() -> None:
    recipe = make_recipe(("tuned no worse than base on contract_pass within 0.5",))
    evaluation = evaluate(recipe, 9, tuned=right_in(9, 9), base=right_in(9, 9))
    clause = apply_clause(recipe.decision.keep_when[0], "keep_when", evaluation)
    assert not clause.holds
    assert "(too few for an interval)" in clause.evidence


# never when


def _stopping(tuned: int, base: int, rows: int) -> EvaluationResult:
    """So many of each one's answers end by themselves, the same rows first."""
    return evaluate_values(
        _recipe(["tuned stopped at least 0.5"]),
        {
            "stopped": {
                "tuned": [1.0] * tuned + [0.0] * (rows - tuned),
                "base": [1.0] * base + [0.0] * (rows - base),
            }
        },
    )


@pytest.mark.parametrize(
    ("tuned", "base", "rows", "holds"),
    [
        (200, 200, 200, False),  # the interval reaches down to 2 points
        (40, 40, 40, True),  # to 9 points: too few rows to exclude a fall of 5
        (150, 200, 200, True),  # it falls
        (200, 150, 200, False),  # it rises
    ],
)
def test_a_fall_forbids_to_keep_unless_the_interval_excludes_it(tuned: int, base: int, rows: int, holds: bool) -> None:
    clause = _never("stopped falls", _stopping(tuned, base, rows))
    assert clause.holds is holds
    assert clause.evidence.startswith("best_prompt is base (few_shot was not evaluated): tuned ")
    assert clause.evidence.endswith(f"a fall of 5 points is {'not excluded' if holds else 'excluded'}")


def test_the_margin_of_a_fall_may_be_stated() -> None:
    evaluation = _stopping(40, 40, 40)
    assert not _never("stopped falls by more than 0.1", evaluation).holds
    assert "a fall of 10 points is excluded" in _never("stopped falls by more than 0.1", evaluation).evidence
    assert _never("stopped falls by more than 0.02", evaluation).holds


def test_a_rise_forbids_to_keep_unless_the_interval_excludes_it() -> None:
    few, many = FEW, MANY
    sentence = "factual errors rise by more than 0.3"
    assert _never(sentence, _points(many, few, "factual_errors")).holds
    assert not _never(sentence, _points(few, many, "factual_errors")).holds
    assert "a rise of 0.3 is" in _never(sentence, _points(few, many, "factual_errors")).evidence


def test_rise_and_fall_go_by_the_value_and_not_by_what_is_better() -> None:
    few, many = FEW, MANY
    assert not _never("factual errors fall by more than 0.3", _points(many, few, "factual_errors")).holds
    assert _never("factual errors fall by more than 0.3", _points(few, many, "factual_errors")).holds


@pytest.mark.parametrize(
    "sentence",
    [
        "clarity falls by more than 0.5",
        "base beats tuned on clarity",
        "tuned clarity at most 2",
        "exported stopped at most 0.5",
        "base beats tuned on preference",
    ],
)
def test_what_cannot_be_evaluated_is_not_excluded_and_forbids_to_keep(sentence: str) -> None:
    clause = _never(sentence, _stopping(200, 200, 200))
    assert clause.holds
    assert "cannot be evaluated: " in clause.evidence
    assert clause.evidence.endswith(", so that it is not excluded")


@pytest.mark.parametrize("role", ["keep_when", "discard_when"])
@pytest.mark.parametrize("sentence", ["base beats tuned on clarity", "tuned clarity at most 2"])
def test_elsewhere_what_cannot_be_evaluated_does_not_hold(role: ClauseRole, sentence: str) -> None:
    clause = _recipe([sentence]).decision.keep_when[0]
    assert not apply_clause(clause, role, _stopping(200, 200, 200)).holds


def test_a_refused_preference_forbids_to_keep_under_never_when() -> None:
    assert _never("base beats tuned on preference", _preferred(30, 0, 10, refused=True)).holds
    assert not _never("base beats tuned on preference", _preferred(30, 0, 10)).holds


# words


def test_means_and_shares_are_said_with_what_is_unscored() -> None:
    evaluation = evaluate_values(
        _recipe(["tuned stopped at least 0.5"]),
        {
            "stopped": {"tuned": [1.0] * 30 + [0.0] * 10 + [None] * 2},
            "clarity": {"tuned": [float(row % 5) for row in range(40)] + [None, None]},
            "loops": {"tuned": [None] * 42},
        },
    )
    estimates = evaluation.contenders["tuned"].estimates
    assert say_estimate(estimates["stopped"]) == "30/40 (75%, 60-86%; 2 unscored)"
    assert say_estimate(estimates["clarity"]).startswith("2 (")
    assert say_estimate(estimates["clarity"]).endswith(", 40 scored; 2 unscored)")
    assert say_estimate(estimates["loops"]) == "nothing scored of 42"
    assert say_estimate(None) == "nothing scored"


def test_a_comparison_read_the_other_way_round_is_mirrored() -> None:
    evaluation = _stopping(150, 200, 200)
    ours, theirs = compare(evaluation, "stopped", "tuned", "base"), compare(evaluation, "stopped", "base", "tuned")
    assert ours is not None
    assert theirs is not None
    assert "difference -25 points (-31 to -19)" in say_comparison(evaluation, ours)
    assert "difference +25 points (+19 to +31)" in say_comparison(evaluation, theirs)


def test_points_that_hardly_vary_win_by_the_interval_that_their_scale_allows() -> None:
    clause = _kept("tuned beats base on clarity", _points([2.0] * 60, [1.0] * 60))
    assert clause.holds
    assert clause.evidence.startswith("tuned 2 (1.84 to 2.08, 60 scored) against base 1 (0.92 to 1.16, 60 scored)")
    assert "difference +1 (+0.681 to +1.16), p < 0.001" in clause.evidence


def test_a_mean_that_hardly_varies_and_has_no_upper_end_has_no_interval_however_many_rows_there_are() -> None:
    recipe = _recipe(["tuned beats base on general_nats"])
    evaluation = evaluate_values(recipe, {"general_nats": {"tuned": [1.0] * 60, "base": [2.0] * 60}})
    said = _kept("tuned beats base on general_nats", evaluation).evidence
    assert said.startswith("tuned 1 (no interval, nearly all the same, 60 scored) against base 2 (no interval, ")
    assert "difference -1 (no interval, nearly all the same), p < 0.001" in said


def test_rows_left_out_are_counted_beside_a_comparison() -> None:
    evaluation = evaluate_values(
        _recipe(["tuned stopped at least 0.5"]),
        {"stopped": {"tuned": [1.0] * 20 + [None], "base": [None] * 2 + [0.0] * 19}},
    )
    assert _kept("tuned beats base on stopped", evaluation).evidence.endswith(
        "; 18 rows compared, 3 unscored for one or both"
    )
