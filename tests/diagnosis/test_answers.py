from __future__ import annotations

from collections.abc import Sequence

from diagnosing import LEVEL, first, names

from hand_made import (
    BEATS,
    JUDGING,
    Answer,
    evaluate,
    evaluate_values,
    make_recipe,
    refusing_judge,
    right_in,
)
from relaytune.core.recipe import Recipe
from relaytune.core.results import EvaluationResult
from relaytune.core.rule import DecisionRule
from relaytune.diagnosis import diagnose, diagnose_answers

FREE_TEXT = {"judging": JUDGING, "contract": {"free_text": "polite"}}


def test_a_prompt_that_meets_the_levels_is_as_good_as_a_tuned_model_that_adds_nothing() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    found = first(recipe, evaluate(recipe, 100, tuned=right_in(88, 100), base=right_in(90, 100)))
    assert found.name == "prompt_as_good"
    assert "difference -2 points" in found.evidence
    assert found.next_change == "do not fine-tune; use the base model as it is"


def test_a_prompt_is_not_called_as_good_where_only_the_rows_are_too_few() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    found = first(recipe, evaluate(recipe, 10, tuned=right_in(10, 10), base=right_in(7, 10)))
    assert found.name == "difference_not_detectable"


def test_an_undetectable_difference_says_how_many_rows_would_show_it() -> None:
    recipe = make_recipe()
    evaluation = evaluate(recipe, 50, tuned=right_in(30, 50), base=right_in(25, 50))
    found = first(recipe, evaluation)
    assert found.name == "difference_not_detectable"
    assert "p = 0.062" in found.evidence
    # Connor 1987 with 10% discordant pairs, all in favour of tuned
    assert found.next_change == "enlarge the held-out set to about 77 rows (now 50 compared)"


def test_a_difference_too_small_to_measure_does_not_ask_for_thousands_of_rows() -> None:
    recipe = make_recipe()
    half = ["refund"] * 100 + ["other"] * 100
    answers: Sequence[Answer] = ["refund", *half[:-1]][::-1]
    found = first(recipe, evaluate(recipe, 200, tuned=answers, base=half))
    assert found.name == "difference_not_detectable"
    assert found.next_change.startswith("add training rows")


def _audited(clarity: float, errors: float, rows: int = 60) -> EvaluationResult:
    """tuned gains so much clarity, and makes so many more errors, than base."""
    spread = [row % 3 - 1.0 for row in range(rows)]
    return evaluate_values(
        _judged_recipe(),
        {
            "clarity": {"base": [3.0] * rows, "tuned": [3 + clarity + each for each in spread]},
            "factual_errors": {"base": [1.0] * rows, "tuned": [1 + errors + each for each in spread]},
        },
    )


def _judged_recipe(*keep_when: str) -> Recipe:
    return make_recipe(keep_when or ("tuned beats best_prompt on clarity",), sections={"judging": JUDGING})


def test_a_model_that_the_judges_like_and_that_errs_more_sounds_better_than_it_is() -> None:
    evaluation = _audited(clarity=1, errors=1)
    assert "sounds_better" in names(diagnose(_judged_recipe(), evaluation, None, []))
    found = first(_judged_recipe(), evaluation)
    assert found.name == "sounds_better"
    assert found.evidence.startswith("tuned is better in clarity: tuned 4 (")
    assert "and worse in factual_errors: tuned 2 (" in found.evidence
    assert "difference +1 (" in found.evidence
    assert found.next_change.startswith("audit the training answers against sources")


def test_a_model_that_errs_less_or_is_liked_less_does_not_only_sound_better() -> None:
    for evaluation in (
        _audited(clarity=1, errors=-1),  # better in both
        _audited(clarity=-1, errors=1),  # worse in both
        _audited(clarity=-1, errors=-1),  # clarity is no matter of substance
        _audited(clarity=1, errors=0),
    ):
        assert "sounds_better" not in names(diagnose(_judged_recipe(), evaluation, None, []))


def test_of_several_points_of_the_judges_some_differ_by_chance() -> None:
    signs = [1.0] * 15 + [-1.0] * 5 + [0.0] * 40  # p = 0.041 for one, 0.083 for two
    shifted = {"base": [3.0] * 60, "tuned": [3 + sign for sign in signs]}
    evaluation = evaluate_values(_judged_recipe(), {"clarity": shifted, "factual_errors": shifted})
    assert "sounds_better" not in names(diagnose(_judged_recipe(), evaluation, None, []))


def test_closeness_to_the_references_with_a_preference_lost_is_the_same_case() -> None:
    recipe = make_recipe(("tuned beats best_prompt on preference",), sections=FREE_TEXT)
    values = {"rouge_l": {"base": [0.2] * 60, "tuned": [0.3 + row % 3 / 10 for row in range(60)]}}
    lost = {("tuned", "base"): [-1.0] * 40 + [1.0] * 10 + [0.0] * 10}
    found = first(recipe, evaluate_values(recipe, values, lost))
    assert found.name == "sounds_better"
    assert "better in rouge_l: tuned" in found.evidence
    assert "worse in preference: tuned preferred on 10 rows, base on 40, 10 ties" in found.evidence


def test_a_preference_that_the_judges_are_refused_for_is_no_sign_of_anything() -> None:
    recipe = make_recipe(("tuned beats best_prompt on preference",), sections=FREE_TEXT)
    values = {"rouge_l": {"base": [0.2] * 60, "tuned": [0.3 + row % 3 / 10 for row in range(60)]}}
    lost = {("tuned", "base"): [-1.0] * 40 + [1.0] * 10 + [0.0] * 10}
    found = diagnose(recipe, evaluate_values(recipe, values, lost, refusing_judge("tuned", "base")), None, [])
    assert names(found) == ["judges_refused"]
    assert "a judge: only 12 of 30 pairs are judged alike in both orders" in found[0].evidence
    assert found[0].next_change.startswith("choose another judge")


def test_judgements_that_fall_while_the_wording_comes_closer_are_found_too() -> None:
    recipe = make_recipe(sections={"evaluation": {"scorers": ["rouge_l"]}})
    values = {
        "rouge_l": {"base": [0.2] * 60, "tuned": [0.3 + row % 3 / 10 for row in range(60)]},
        "label_accuracy": {"base": [1.0] * 60, "tuned": [1.0] * 30 + [0.0] * 30},
    }
    found = first(recipe, evaluate_values(recipe, values))
    assert found.name == "sounds_better"
    assert "worse in label_accuracy: tuned 30/60" in found.evidence


def _preferred(wins: int, losses: int, ties: int) -> EvaluationResult:
    recipe = _judged_recipe("tuned beats best_prompt on preference")
    return evaluate_values(recipe, {}, {("tuned", "base"): [1.0] * wins + [-1.0] * losses + [0.0] * ties})


def test_a_preference_too_small_to_show_asks_for_more_pairs() -> None:
    found = first(_judged_recipe("tuned beats best_prompt on preference"), _preferred(20, 10, 10))
    assert found.name == "difference_not_detectable"
    assert "tuned preferred on 20 rows, base on 10, 10 ties" in found.evidence
    assert found.next_change.startswith("enlarge the held-out set to about ")
    assert found.next_change.endswith("(now 40 compared)")


def test_a_preference_that_is_lost_is_said_as_such_and_not_as_unscored() -> None:
    found = first(_judged_recipe("tuned beats best_prompt on preference"), _preferred(10, 20, 10))
    assert found.name == "cause_unknown"
    assert found.evidence.startswith("tuned preferred on 10 rows, base on 20, 10 ties; difference -25 points")


def test_pairs_that_nobody_judged_are_to_be_judged_first() -> None:
    recipe = _judged_recipe("tuned beats best_prompt on preference")
    (found,) = diagnose(recipe, evaluate(recipe, 20, tuned=right_in(20, 20), base=right_in(0, 20)), None, [])
    assert (found.name, found.evidence) == ("not_evaluated", "no pair of tuned and base is judged")


# harm that is not excluded


def _never(sentence: str, rows: int, tuned: int, base: int) -> list[tuple[str, str]]:
    recipe = make_recipe(("tuned label_accuracy at least 0.5",), never_when=(sentence,))
    right: Sequence[Answer] = ["refund"] * rows
    answers = {"tuned": [*right[:tuned], *["I see"] * (rows - tuned)], "base": [*right[:base], *["no"] * (rows - base)]}
    evaluation = evaluate(recipe, rows, **answers)
    found = diagnose(recipe, evaluation, None, [])
    return [(each.name, each.next_change) for each in found if each.name == "harm_not_excluded"]


def test_harm_that_few_rows_cannot_exclude_asks_for_the_rows_that_could() -> None:
    ((_, change),) = _never("contract_pass falls", rows=40, tuned=40, base=40)
    assert change.startswith("enlarge the held-out set to about ")
    needed = int(change.split("about ")[1].split()[0])
    assert _never("contract_pass falls", rows=needed, tuned=needed, base=needed) == []


def test_rows_too_few_for_an_interval_exclude_nothing() -> None:
    assert _never("contract_pass falls", rows=8, tuned=8, base=8) == [
        ("harm_not_excluded", "enlarge the held-out set (now 8 compared)")
    ]


def _never_rises(metric: str, by: float, rows: int) -> list[tuple[str, str]]:
    """What is found where `metric` is 0 in every row of both, and tuned is clearer."""
    recipe = make_recipe(
        ("tuned beats best_prompt on clarity",),
        never_when=(f"{metric} rises by more than {by}",),
        sections={"judging": JUDGING, "evaluation": {"scorers": ["reference_nats"]}},
    )
    clearer = {"tuned": [1.0 + row % 3 for row in range(rows)], "base": [0.0 + row // 3 % 3 for row in range(rows)]}
    none = {"tuned": [0.0] * rows, "base": [0.0] * rows}
    found = diagnose(recipe, evaluate_values(recipe, {"clarity": clearer, metric: none}), None, [])
    return [(diagnosis.name, diagnosis.next_change) for diagnosis in found]


def test_errors_in_no_answer_exclude_a_rise_and_too_few_rows_say_how_many_do() -> None:
    assert _never_rises("factual_errors", 0.5, rows=28) == []
    ((name, change),) = _never_rises("factual_errors", 0.5, rows=24)
    assert (name, change) == ("harm_not_excluded", "enlarge the held-out set to about 27 rows (now 24 compared)")
    ((_, change),) = _never_rises("factual_errors", 0.05, rows=100)
    assert change == "enlarge the held-out set to about 292 rows (now 100 compared)"


def test_values_that_hardly_vary_and_have_no_upper_end_ask_for_a_level_and_not_for_ever_more_rows() -> None:
    ((name, change),) = _never_rises("reference_nats", 0.1, rows=300)
    assert name == "harm_not_excluded"
    assert change.startswith("ask for a level under keep_when, 'tuned reference_nats at most …'")


def test_harm_that_is_seen_is_not_to_be_measured_better() -> None:
    assert _never("contract_pass falls", rows=100, tuned=80, base=100) == []


def test_harm_that_takes_thousands_of_rows_to_exclude_asks_for_a_wider_margin() -> None:
    ((_, change),) = _never("contract_pass falls by more than 0.001", rows=100, tuned=100, base=100)
    assert change.startswith("allow more in 'contract_pass falls by more than 0.001'")


def test_a_rise_of_what_is_better_when_lower_is_looked_for_above() -> None:
    recipe = make_recipe(("tuned label_accuracy at least 0.5",), never_when=("loops rise",))
    evaluation = evaluate(recipe, 40, tuned=["refund"] * 40, base=["other"] * 40)
    found = diagnose(recipe, evaluation, None, [])
    assert names(found) == ["harm_not_excluded"]
    assert found[0].evidence.startswith("'loops rise': no harm is shown, and none excluded: tuned 0/40")


def test_a_fall_that_is_not_excluded_is_no_harm_where_a_rise_would_be() -> None:
    recipe = make_recipe(("tuned label_accuracy at least 0.5",), never_when=("loops rise",))
    looping = "refund again and again " * 10
    tuned = [looping] * 2 + ["refund"] * 98
    base = ["refund"] * 2 + [looping] * 4 + ["refund"] * 94
    evaluation = evaluate(recipe, 100, tuned=tuned, base=base)
    assert "harm_not_excluded" not in names(diagnose(recipe, evaluation, None, []))


def test_no_worse_than_a_contender_is_harm_to_exclude_too() -> None:
    recipe = make_recipe(("tuned no worse than base on contract_pass within 0.05",))
    evaluation = evaluate(recipe, 40, tuned=["refund"] * 40, base=["refund"] * 40)
    assert names(diagnose(recipe, evaluation, None, [])) == ["harm_not_excluded"]


def test_a_mean_too_small_to_show_asks_for_the_rows_of_its_own_spread() -> None:
    # differences of -2 … +3, mean 0.5, standard deviation 1.7: p is about 0.1 with 30 rows
    recipe = _judged_recipe()
    values = {"clarity": {"base": [3.0] * 30, "tuned": [3.0 + (row % 6 - 2) for row in range(30)]}}
    found = first(recipe, evaluate_values(recipe, values))
    assert found.name == "difference_not_detectable"
    needed = int(found.next_change.split("about ")[1].split()[0])
    assert 80 <= needed <= 110  # (2.8 * 1.74 / 0.5)^2 = 95 by the textbook


# answers made elsewhere


def test_of_files_the_two_that_the_rule_compares_are_diagnosed() -> None:
    rule = DecisionRule.model_validate({"keep_when": ["mine beats theirs on label_accuracy"]})
    recipe = make_recipe()
    evaluation = evaluate(recipe, 50, mine=right_in(30, 50), theirs=right_in(25, 50))
    (found,) = diagnose_answers(rule, evaluation)
    assert found.name == "difference_not_detectable"
    assert found.evidence.startswith("mine 30/50 (60%")
    won = evaluate(recipe, 50, mine=right_in(50, 50), theirs=right_in(25, 50))
    assert diagnose_answers(rule, won) == ()


def test_of_files_nothing_is_said_of_a_training() -> None:
    rule = DecisionRule.model_validate({"keep_when": ["mine beats theirs on label_accuracy"]})
    lost = evaluate(make_recipe(), 50, mine=right_in(20, 50), theirs=right_in(25, 50))
    (found,) = diagnose_answers(rule, lost)
    assert (found.name, found.next_change) == (
        "cause_unknown",
        "read the answers of mine that are wrong or lose",
    )
    unscored = evaluate(make_recipe(), 50, mine=[None] * 50, theirs=right_in(25, 50))
    (found,) = diagnose_answers(rule, unscored)
    assert found.name == "not_evaluated"
    assert "scores.jsonl" in found.next_change


def test_of_files_a_prompt_that_meets_the_levels_is_as_good() -> None:
    rule = DecisionRule.model_validate({"keep_when": [BEATS, LEVEL]})
    evaluation = evaluate(make_recipe(), 100, tuned=right_in(90, 100), base=right_in(90, 100))
    assert names(diagnose_answers(rule, evaluation)) == ["prompt_as_good"]


# facts


def _held_against_sources(*keep_when: str, **rule: Sequence[str]) -> Recipe:
    judging = {**JUDGING, "criteria": {"clarity": "is clear"}, "lower_is_better": []}
    data = {"train": "train.jsonl", "held_out": "held_out.jsonl", "facts": {"sources": "handbook"}}
    sections = {"judging": judging, "contract": {"free_text": "polite"}, "data": data}
    return make_recipe(keep_when or ("tuned beats best_prompt on preference",), sections=sections, **rule)


def _with_errors(recipe: Recipe, base: int, tuned: int, liked: float = 1.0) -> EvaluationResult:
    """Of 60 answers so many are contradicted; the judges prefer tuned, or its opposite, on 40 rows of 60."""
    errors = {"base": [1.0] * base + [0.0] * (60 - base), "tuned": [0.0] * (60 - tuned) + [1.0] * tuned}
    preferences = {("tuned", "base"): [liked] * 40 + [-liked] * 10 + [0.0] * 10}
    return evaluate_values(recipe, {"factual_errors": errors}, preferences)


def test_judge_up_and_facts_down_is_the_first_thing_said_and_asks_for_an_audit() -> None:
    recipe = _held_against_sources()
    found = first(recipe, _with_errors(recipe, base=2, tuned=15))
    assert found.name == "judge_up_and_facts_down"
    assert "better in preference: tuned preferred on 40 rows" in found.evidence
    assert "worse in factual_errors: tuned 15/60" in found.evidence
    assert found.next_change.startswith("leave out (data.facts.on_contradiction: drop) or correct the training rows")


def test_more_errors_that_nobody_likes_ask_for_an_audit_too() -> None:
    recipe = _held_against_sources()
    found = first(recipe, _with_errors(recipe, base=2, tuned=15, liked=-1.0))
    assert found.name == "errs_more"
    assert found.next_change.startswith("leave out (data.facts.on_contradiction: drop)")


def test_errors_that_may_be_chance_or_are_fewer_are_no_fact_down() -> None:
    recipe = _held_against_sources()
    for tuned in (0, 2, 5):
        found = names(diagnose(recipe, _with_errors(recipe, base=2, tuned=tuned), None, []))
        assert "judge_up_and_facts_down" not in found
        assert "errs_more" not in found
