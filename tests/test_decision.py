from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from hand_made import (
    BEATS,
    CUT_OFF,
    JUDGING,
    LABELS,
    evaluate,
    evaluate_values,
    make_recipe,
    make_steps,
    make_training,
    refusing_judge,
    right_in,
)
from relaytune.core.recipe import Recipe
from relaytune.core.results import EvaluationResult, Verdict, read_result, write_result
from relaytune.core.rule import DecisionRule
from relaytune.decision import decide, decide_answers, prompt_suffices
from relaytune.note import verdict_markdown

LEVEL = "tuned label_accuracy at least 0.7"
ONLY_LIKELIEST = "tuned likeliest_label_accuracy at least 0.5"


def _decide(recipe: Recipe, evaluation: EvaluationResult, rule_changed: bool = False) -> Verdict:
    return decide(recipe, evaluation, None, [], (), rule_changed)


def test_a_tuned_model_that_beats_the_prompt_and_meets_the_level_is_kept() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    evaluation = evaluate(recipe, 160, tuned=right_in(130, 160), base=right_in(60, 160))
    verdict = _decide(recipe, evaluation)
    assert verdict.outcome == "keep"
    assert verdict.next_change == ""
    assert all(clause.holds for clause in verdict.clauses)


def test_the_evidence_gives_counts_shares_intervals_difference_and_p() -> None:
    recipe = make_recipe(("tuned beats few_shot on label_accuracy",))
    evaluation = evaluate(recipe, 160, tuned=right_in(98, 160), few_shot=right_in(60, 160))
    (clause,) = _decide(recipe, evaluation).clauses
    assert clause.evidence == (
        "tuned 98/160 (61%, 54-68%) against few_shot 60/160 (38%, 30-45%); "
        "difference +24 points (+17 to +30), p < 0.001"
    )


def test_a_prompt_that_knows_no_more_than_chance_is_named_as_a_risk() -> None:
    recipe, expected = make_recipe(), LABELS * 30
    always_one = evaluate(recipe, expected, tuned=expected, few_shot=["shipping"] * 90)
    (risk,) = [risk for risk in _decide(recipe, always_one).remaining_risks if "chance" in risk]
    assert "always answering refund would be right in 30/90 (33%)" in risk
    assert "it gives shipping in 90 of 90 answers" in risk
    assert "For comparison: always answering refund" in verdict_markdown(
        _decide(recipe, always_one), always_one, recipe
    )
    knows_more = evaluate(recipe, expected, tuned=expected, few_shot=[*expected[:60], *["other"] * 30])
    assert not [risk for risk in _decide(recipe, knows_more).remaining_risks if "chance" in risk]


def test_a_tie_is_no_win_and_a_prompt_as_good_as_tuned_is_a_discard() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    evaluation = evaluate(recipe, 100, tuned=right_in(90, 100), base=right_in(90, 100))
    verdict = _decide(recipe, evaluation)
    assert verdict.outcome == "discard"
    assert verdict.reason.startswith("A prompt is as good: base meets every level")
    assert verdict.next_change == "do not fine-tune; use the base model as it is"


def test_a_tie_below_the_level_asked_is_not_settled_by_a_discard() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    evaluation = evaluate(recipe, 100, tuned=right_in(40, 100), base=right_in(40, 100))
    verdict = _decide(recipe, evaluation)
    assert verdict.outcome == "iterate"
    assert verdict.next_change


def test_a_significantly_worse_tuned_model_does_not_beat_anything() -> None:
    recipe = make_recipe()
    evaluation = evaluate(recipe, 100, tuned=right_in(20, 100), base=right_in(60, 100))
    verdict = _decide(recipe, evaluation)
    assert "difference -40 points" in verdict.clauses[0].evidence
    assert "p < 0.001" in verdict.clauses[0].evidence
    assert not verdict.clauses[0].holds
    assert verdict.outcome == "iterate"


def test_a_prompt_is_not_as_good_where_one_prompt_has_the_format_and_another_the_judgement() -> None:
    recipe = make_recipe((BEATS, "tuned contract_pass at least 0.9", "tuned label_accuracy at least 0.3"))
    evaluation = evaluate(
        recipe,
        100,
        tuned=right_in(50, 100),
        base=["refund"] * 50 + ["a refund, I think"] * 50,
        few_shot=right_in(20, 100),
    )
    assert evaluation.best_prompt["contract_pass"] == "few_shot"
    assert evaluation.best_prompt["label_accuracy"] == "base"
    assert prompt_suffices(recipe, evaluation) == ""
    assert _decide(recipe, evaluation).outcome == "iterate"


def test_few_rows_prove_nothing_and_the_next_change_is_more_held_out_rows() -> None:
    recipe = make_recipe()
    evaluation = evaluate(recipe, 5, tuned=right_in(5, 5), base=right_in(0, 5))
    verdict = _decide(recipe, evaluation)
    assert verdict.outcome == "iterate"
    assert verdict.next_change == "enlarge the held-out set to about 6 rows (now 5 compared)"
    too_few = "5 held-out rows are too few to find even a true difference of 40 points with 80% power"
    assert verdict.remaining_risks[1].startswith(too_few)


def test_any_discard_clause_outweighs_a_rule_that_keeps() -> None:
    recipe = make_recipe((BEATS,), ("tuned label_accuracy at most 0.5",))
    evaluation = evaluate(recipe, 100, tuned=right_in(45, 100), base=right_in(10, 100))
    verdict = _decide(recipe, evaluation)
    assert [(clause.role, clause.holds) for clause in verdict.clauses] == [
        ("keep_when", True),
        ("discard_when", True),
    ]
    assert verdict.outcome == "discard"
    assert "tuned label_accuracy at most 0.5" in verdict.reason
    assert verdict.next_change.startswith("use the base model as it is (label_accuracy 10/100")


def test_a_prompt_that_beats_tuned_can_be_a_reason_to_discard() -> None:
    recipe = make_recipe((BEATS,), ("base beats tuned on label_accuracy",))
    evaluation = evaluate(recipe, 100, tuned=right_in(20, 100), base=right_in(60, 100))
    verdict = _decide(recipe, evaluation)
    assert verdict.outcome == "discard"
    assert "difference +40 points (+30 to +49)" in verdict.clauses[1].evidence


def test_what_cannot_be_scored_does_not_hold_and_says_so() -> None:
    recipe = make_recipe((ONLY_LIKELIEST,), ("tuned likeliest_label_accuracy at most 0.5",))
    verdict = _decide(recipe, evaluate(recipe, 4, tuned=right_in(4, 4), base=right_in(0, 4)))
    assert [clause.holds for clause in verdict.clauses] == [False, False]
    assert "none of tuned's 4 answers could be scored" in verdict.clauses[0].evidence
    assert verdict.outcome == "iterate"
    assert "delete generations/tuned.jsonl" in verdict.next_change


def test_without_a_tuned_model_the_next_change_is_to_train_it() -> None:
    recipe = make_recipe((BEATS, LEVEL))
    verdict = _decide(recipe, evaluate(recipe, 10, base=right_in(2, 10)))
    assert verdict.outcome == "iterate"
    assert "tuned was not evaluated" in verdict.clauses[0].evidence
    assert "relaytune train" in verdict.next_change


def test_without_few_shot_the_best_prompt_is_base_and_both_clause_and_risk_say_so() -> None:
    recipe = make_recipe()
    verdict = _decide(recipe, evaluate(recipe, 50, tuned=right_in(40, 50), base=right_in(10, 50)))
    assert verdict.clauses[0].evidence.startswith("best_prompt is base (few_shot was not evaluated): tuned")
    assert "few_shot was not evaluated: a prompt with examples may do as well" in verdict.remaining_risks


def test_a_clause_about_a_contender_that_is_missing_does_not_hold() -> None:
    recipe = make_recipe(("tuned beats few_shot on label_accuracy",))
    verdict = _decide(recipe, evaluate(recipe, 50, tuned=right_in(40, 50), base=right_in(10, 50)))
    assert not verdict.clauses[0].holds
    assert verdict.clauses[0].evidence == "cannot be evaluated: few_shot was not evaluated"


def test_the_best_prompt_is_named_and_is_the_better_of_the_two() -> None:
    recipe = make_recipe()
    evaluation = evaluate(recipe, 100, tuned=right_in(60, 100), base=right_in(20, 100), few_shot=right_in(58, 100))
    verdict = _decide(recipe, evaluation)
    assert verdict.outcome == "iterate"
    assert verdict.clauses[0].evidence.startswith("best_prompt is few_shot: tuned 60/100")


def test_a_level_is_met_by_exactly_the_rate_it_asks() -> None:
    recipe = make_recipe((LEVEL,))
    assert _decide(recipe, evaluate(recipe, 30, tuned=right_in(21, 30))).outcome == "keep"
    assert _decide(recipe, evaluate(recipe, 30, tuned=right_in(20, 30))).outcome == "iterate"


def test_a_level_that_the_interval_does_not_pass_is_a_remaining_risk() -> None:
    recipe = make_recipe((LEVEL,))
    risks = _decide(recipe, evaluate(recipe, 100, tuned=right_in(75, 100))).remaining_risks
    expected = "tuned label_accuracy passes at least 70% with 75.0%, but its interval reaches down to 66%"
    assert expected in risks
    assert expected not in _decide(recipe, evaluate(recipe, 100, tuned=right_in(99, 100))).remaining_risks


def test_a_level_that_is_missed_is_not_said_to_be_passed_however_few_the_rows() -> None:
    recipe = make_recipe((LEVEL,))
    risks = _decide(recipe, evaluate(recipe, 5, tuned=right_in(2, 5))).remaining_risks
    assert not [risk for risk in risks if "passes" in risk]
    passed = _decide(recipe, evaluate(recipe, 5, tuned=right_in(4, 5))).remaining_risks
    assert "tuned label_accuracy passes at least 70% with 80.0%, but its interval cannot be stated" in passed


def test_truncated_and_unscored_answers_and_rare_labels_are_remaining_risks() -> None:
    recipe = make_recipe()
    expected = ["refund"] * 20 + ["other"] * 3
    evaluation = evaluate(recipe, expected, tuned=[*["refund"] * 20, CUT_OFF, "other", None], base=expected)
    risks = _decide(recipe, evaluation).remaining_risks
    assert "1 of 22 answers of tuned were cut off" in risks
    (unscored,) = [risk for risk in risks if risk.startswith("unscored answers of tuned: ")]
    assert "contract_pass 1, stopped 1" in unscored
    assert "label_accuracy 1" in unscored
    assert unscored.endswith("(scores.jsonl gives the reasons)")
    assert "2 of 3 labels have fewer than 10 held-out rows: shipping 0, other 2" in risks


def test_one_seed_and_one_source_are_always_said() -> None:
    recipe = make_recipe(seed=7)
    risks = _decide(recipe, evaluate(recipe, 2000, tuned=right_in(2000, 2000))).remaining_risks
    assert "one training run with one seed (7); another seed gives another model" in risks
    assert any("the same source as the training rows" in risk for risk in risks)


def test_a_rule_changed_after_the_evaluation_is_shown_first_among_the_risks() -> None:
    recipe = make_recipe((LEVEL,))
    evaluation = evaluate(recipe, 100, tuned=right_in(99, 100))
    history = ({"hash": "abc", "stated_at": "2025-01-01"}, {"hash": "def", "stated_at": "2025-02-01"})
    verdict = decide(recipe, evaluation, None, [], history, True)
    assert verdict.rule_changed_after_evaluation
    assert "rule was changed after an evaluation" in verdict.remaining_risks[0]
    note = verdict_markdown(verdict, evaluation, recipe)
    assert "changed after an evaluation**" in note
    assert "hash: abc, stated_at: 2025-01-01" in note


# never when


NEVER_FALLS = "contract_pass falls"


def _on_rows(rows: int, tuned_form: int, never: str = NEVER_FALLS) -> Verdict:
    """tuned judges better than base, and keeps the contract in so many rows; base in all."""
    recipe = make_recipe((BEATS,), never_when=(never,))
    tuned = ["refund"] * tuned_form + ["well"] * (rows - tuned_form)
    return _decide(recipe, evaluate(recipe, rows, tuned=tuned, base=["other"] * rows))


def test_a_tuned_model_is_kept_where_the_harm_is_excluded() -> None:
    verdict = _on_rows(200, tuned_form=200)
    assert verdict.outcome == "keep"
    assert [(clause.role, clause.holds) for clause in verdict.clauses] == [("keep_when", True), ("never_when", False)]


def test_harm_forbids_to_keep_what_otherwise_wins() -> None:
    verdict = _on_rows(200, tuned_form=150)
    assert verdict.outcome == "iterate"
    assert verdict.clauses[0].holds
    assert verdict.reason.startswith("This clause of never_when forbids to keep: contract_pass falls (")
    assert "a fall of 5 points is not excluded" in verdict.reason
    assert verdict.next_change


def test_harm_that_too_few_rows_cannot_exclude_asks_for_held_out_rows() -> None:
    verdict = _on_rows(40, tuned_form=40)
    assert verdict.outcome == "iterate"
    assert verdict.next_change.startswith("enlarge the held-out set to about ")
    assert verdict.next_change.endswith("(now 40 compared)")


def test_where_only_harm_is_in_the_way_excluding_it_comes_before_more_training() -> None:
    recipe = make_recipe((BEATS,), never_when=(NEVER_FALLS,))
    evaluation = evaluate(recipe, 40, tuned=right_in(40, 40), base=right_in(0, 40))
    verdict = decide(recipe, evaluation, make_training(8), make_steps([0.5] * 4, {2: 0.9, 4: 0.6}), (), False)
    assert "validation_still_falling" in [diagnosis.name for diagnosis in verdict.diagnoses]
    assert verdict.next_change.startswith("enlarge the held-out set")


def test_harm_that_was_not_measured_is_not_excluded() -> None:
    verdict = _on_rows(200, tuned_form=200, never="general_right falls")
    assert verdict.outcome == "iterate"
    assert (
        "general_right falls (best_prompt is base (few_shot was not evaluated): cannot be evaluated" in verdict.reason
    )


def test_a_discard_outweighs_what_forbids_to_keep() -> None:
    recipe = make_recipe((BEATS,), ("tuned contract_pass at most 0.9",), (NEVER_FALLS,))
    answers = ["refund"] * 150 + ["well"] * 50
    verdict = _decide(recipe, evaluate(recipe, 200, tuned=answers, base=["other"] * 200))
    assert verdict.outcome == "discard"
    assert verdict.reason.startswith("This clause of discard_when holds")


def test_the_note_lists_what_forbids_to_keep_under_a_heading_of_its_own() -> None:
    recipe = make_recipe((BEATS,), never_when=(NEVER_FALLS,))
    evaluation = evaluate(recipe, 40, tuned=right_in(40, 40), base=right_in(0, 40))
    note = verdict_markdown(_decide(recipe, evaluation), evaluation, recipe)
    assert "Never keep when any of these holds:\n\n- **holds**: contract_pass falls" in note


# preferences


PREFERRED = "tuned beats best_prompt on preference"


def _judged(wins: int, losses: int, refused: bool = False, discard_when: Sequence[str] = ()) -> Verdict:
    recipe = make_recipe((PREFERRED,), discard_when, sections={"judging": JUDGING})
    judging = refusing_judge("tuned", "base") if refused else None
    preferences = {("tuned", "base"): [1.0] * wins + [-1.0] * losses}
    return _decide(recipe, evaluate_values(recipe, {}, preferences, judging))


def test_a_rule_about_preference_alone_keeps_what_is_preferred() -> None:
    assert _judged(40, 10).outcome == "keep"
    lost = _judged(10, 40)
    assert lost.outcome == "iterate"
    assert "base on 40, 0 ties" in lost.reason


def test_a_verdict_refused_to_the_judges_keeps_and_discards_nothing() -> None:
    verdict = _judged(50, 0, refused=True, discard_when=("base beats tuned on preference",))
    assert verdict.outcome == "iterate"
    assert "only 12 of 30 pairs are judged alike in both orders" in verdict.reason
    assert verdict.next_change.startswith("choose another judge")
    assert _judged(0, 50, refused=True, discard_when=("base beats tuned on preference",)).outcome == "iterate"


def test_what_to_use_instead_of_a_model_that_is_liked_less_has_no_score() -> None:
    verdict = _judged(10, 40, discard_when=("base beats tuned on preference",))
    assert verdict.outcome == "discard"
    assert verdict.next_change.startswith("use the base model as it is; before any other try: ")


# answers made elsewhere


def test_a_rule_decides_between_files_of_any_name() -> None:
    rule = DecisionRule.model_validate(
        "keep when mine beats theirs on label_accuracy; discard when theirs beats mine on label_accuracy"
    )
    recipe = make_recipe()
    won = evaluate(recipe, 60, mine=right_in(50, 60), theirs=right_in(20, 60))
    lost = evaluate(recipe, 60, mine=right_in(20, 60), theirs=right_in(50, 60))
    drawn = evaluate(recipe, 60, mine=right_in(50, 60), theirs=right_in(50, 60))
    assert decide_answers(rule, won).outcome == "keep"
    assert decide_answers(rule, drawn).outcome == "iterate"
    discarded = decide_answers(rule, lost)
    assert discarded.outcome == "discard"
    assert "base" not in discarded.next_change
    assert decide_answers(rule, won).rule_hash == rule.hash


def test_iterate_always_names_one_next_change_and_keep_never_does() -> None:
    draw = random.Random(0)
    outcomes = set()
    for _ in range(150):
        never_when = draw.choice(((), ("contract_pass falls", "loops rise")))
        recipe = make_recipe((BEATS, LEVEL), ("tuned contract_pass at most 0.2",), never_when)
        rows = draw.choice((1, 4, 20, 60))
        expected = draw.choices(LABELS, k=rows)
        contenders = {}
        for name in ("tuned", "base", "few_shot"):
            skill = draw.random()
            contenders[name] = [
                label if draw.random() < skill else draw.choice([*LABELS, "hm", CUT_OFF, None]) for label in expected
            ]
        if draw.random() < 0.2:
            del contenders[draw.choice(list(contenders))]
        num_steps = draw.choice((1, 12))
        steps = make_steps([draw.random() for _ in range(num_steps)], {1: 1.0, num_steps: draw.random()})
        training = make_training(num_steps, planned_steps=draw.choice((num_steps, 20)), best_step=1)
        evaluation = evaluate(recipe, expected, train=right_in(draw.randint(0, 10), 10), **contenders)
        verdict = decide(recipe, evaluation, training, steps, (), False)
        outcomes.add(verdict.outcome)
        assert (verdict.next_change == "") == (verdict.outcome == "keep")
        assert all(diagnosis.next_change and diagnosis.evidence for diagnosis in verdict.diagnoses)
        assert verdict_markdown(verdict, evaluation, recipe)
    assert outcomes == {"keep", "iterate", "discard"}


def test_a_verdict_survives_being_written_and_read(tmp_path: Path) -> None:
    recipe = make_recipe()
    verdict = _decide(recipe, evaluate(recipe, 20, tuned=right_in(9, 20), base=right_in(8, 20)))
    write_result(tmp_path / "verdict.json", verdict)
    assert read_result(tmp_path / "verdict.json", Verdict) == verdict


def test_before_training_a_prompt_that_meets_every_level_is_named() -> None:
    recipe = make_recipe((BEATS, LEVEL, "tuned contract_pass at least 0.95"))
    evaluation = evaluate(recipe, 50, base=right_in(10, 50), few_shot=right_in(45, 50))
    sentence = prompt_suffices(recipe, evaluation)
    assert sentence.startswith("few_shot alone meets every level")
    assert "label_accuracy 45/50 (90%" in sentence


def test_a_prompt_suffices_for_no_rule_without_levels_and_for_no_level_unmet() -> None:
    beats_only = make_recipe()
    assert prompt_suffices(beats_only, evaluate(beats_only, 50, base=right_in(50, 50))) == ""
    level = make_recipe((BEATS, LEVEL))
    assert prompt_suffices(level, evaluate(level, 50, base=right_in(30, 50))) == ""


def test_the_note_begins_with_the_outcome_and_shows_every_clause_and_contender() -> None:
    recipe = make_recipe((BEATS, LEVEL), ("tuned contract_pass at most 0.5",))
    evaluation = evaluate(
        recipe, 60, train=right_in(9, 10), tuned=right_in(30, 60), base=right_in(10, 60), few_shot=[None] * 60
    )
    verdict = _decide(recipe, evaluation)
    note = verdict_markdown(verdict, evaluation, recipe)
    assert note.startswith("# tickets: iterate\n")
    assert f"**Next change:** {verdict.next_change}." in note
    for clause in verdict.clauses:
        assert clause.text in note
        assert clause.evidence in note
    assert "|  | tuned | few_shot | base |" in note
    judged = "30/60 (50%, 38-62%) | nothing scored of 60 | 10/60 (17%, 9-28%)"
    assert f"| label_accuracy | {judged} |" in note
    assert "| contract_pass | 60/60 (100%, 94-100%) | nothing scored of 60 | 60/60 (100%, 94-100%) |" in note
    assert "| answers, cut off | 60, 0 | 0, 0 | 60, 0 |" in note
    assert "| label_accuracy on 10 training rows | 9/10 (90%, 60-98%) |  |  |" in note
    assert verdict.rule_hash[:16] in note
    assert all(risk in note for risk in verdict.remaining_risks)


def _liked_and_contradicted(rule: Mapping[str, Sequence[str]]) -> Verdict:
    """Judges prefer tuned on 40 rows of 60; sources contradict it on 15, base on 2."""
    judging = {**JUDGING, "criteria": {"clarity": "is clear"}, "lower_is_better": []}
    data = {"train": "train.jsonl", "held_out": "held_out.jsonl", "facts": {"sources": "handbook"}}
    recipe = make_recipe(**rule, sections={"judging": judging, "contract": {"free_text": "polite"}, "data": data})
    errors = {"base": [1.0] * 2 + [0.0] * 58, "tuned": [0.0] * 45 + [1.0] * 15}
    preferences = {("tuned", "base"): [1.0] * 40 + [-1.0] * 10 + [0.0] * 10}
    evaluation = evaluate_values(recipe, {"factual_errors": errors}, preferences)
    return decide(recipe, evaluation, None, [], (), False)


PREFERRED = "tuned beats base on preference"


def test_a_rule_without_a_word_on_facts_discards_a_liked_model_that_errs_more() -> None:
    verdict = _liked_and_contradicted({"keep_when": [PREFERRED]})
    assert verdict.outcome == "discard"
    assert "base beats tuned on factual_errors" in verdict.reason
    assert verdict.next_change.startswith("leave out (data.facts.on_contradiction: drop)")


def test_a_model_that_errs_more_is_not_answered_with_a_base_that_knows_nothing() -> None:
    """base errs less since it hardly claims anything: verified 1 of 60."""
    data = {"train": "train.jsonl", "held_out": "held_out.jsonl", "facts": {"sources": "handbook"}}
    recipe = make_recipe(["tuned beats base on verified"], sections={"contract": {"free_text": "true"}, "data": data})
    values = {
        "factual_errors": {"base": [1.0] * 2 + [0.0] * 58, "tuned": [0.0] * 45 + [1.0] * 15},
        "verified": {"base": [1.0] + [0.0] * 59, "tuned": [1.0] * 5 + [0.0] * 55},
    }
    verdict = decide(recipe, evaluate_values(recipe, values, {}), None, [], (), False)
    assert verdict.outcome == "discard"
    assert "base beats tuned on factual_errors" in verdict.reason
    assert verdict.next_change.startswith("leave out (data.facts.on_contradiction: drop) or correct the training rows")
    assert "use the base model" not in verdict.next_change


def test_judge_up_and_facts_down_is_a_discard_where_the_rule_would_iterate() -> None:
    rule = {"keep_when": [PREFERRED], "never_when": ["factual errors rise"]}
    verdict = _liked_and_contradicted(rule)
    assert verdict.outcome == "discard"
    assert verdict.reason.startswith("The judges like it better, and it is less true: tuned is better in preference")
    assert verdict.next_change.startswith("leave out (data.facts.on_contradiction: drop)")


def test_a_rule_that_allows_so_many_errors_is_taken_at_its_word() -> None:
    rule = {"keep_when": [PREFERRED, "tuned factual_errors at most 0.3"]}
    verdict = _liked_and_contradicted(rule)
    assert verdict.outcome == "keep"
    assert verdict.diagnoses[0].name == "judge_up_and_facts_down"
