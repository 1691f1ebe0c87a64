from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hand_made import CUT_OFF, JUDGING, evaluate, evaluate_values, make_recipe, refusing_judge, right_in
from relaytune.core.records import Example, Generation
from relaytune.core.results import EvaluationResult
from relaytune.evaluation.summary import measure_answers, summarize
from relaytune.weaknesses import weaknesses_of

FREE_TEXT = {"contract": {"free_text": "polite"}}


def _of(evaluation: EvaluationResult, part: str) -> list[str]:
    return [sentence for sentence in weaknesses_of(evaluation) if part in sentence]


def _two(rows: int) -> EvaluationResult:
    return evaluate(make_recipe(), rows, tuned=right_in(rows, rows), base=right_in(rows // 2, rows))


def test_a_small_held_out_set_says_what_difference_it_misses() -> None:
    assert _of(_two(100), "80% power") == [
        "100 held-out rows find a true difference with 80% power only from 18 points on (where 40% of the rows tell "
        "two contenders apart)"
    ]
    assert _of(_two(10), "80% power") == [
        "10 held-out rows are too few to find even a true difference of 40 points with 80% power (where 40% of the "
        "rows tell two contenders apart)"
    ]
    assert _of(_two(500), "80% power") == []


def _on_clarity(sections: Mapping[str, Any]) -> EvaluationResult:
    recipe = make_recipe(("tuned beats best_prompt on clarity",), sections=sections)
    return evaluate_values(recipe, {"clarity": {"tuned": [4.0] * 10, "base": [3.0] * 10}})


def test_what_difference_of_shares_is_found_is_not_said_where_a_mean_decides() -> None:
    assert _of(_on_clarity({"judging": JUDGING}), "rows tell two contenders apart") == []


def test_repeated_prompts_are_counted_and_the_rows_said_by_prompt() -> None:
    recipe = make_recipe()
    rows = [
        Example.of([{"role": "user", "content": f"prompt {number % 40}"}], "refund", f"rows.jsonl:{number}")
        for number in range(40)
    ]
    rows += [Example(f"again {row.id}", row.messages, row.completion, row.source) for row in rows[:10]]
    answers = {
        name: [Generation(row.id, row.messages, "refund", "stop", 1) for row in rows] for name in ("tuned", "base")
    }
    evaluation = summarize(recipe.criteria, measure_answers(recipe.criteria, rows, answers))
    assert _of(evaluation, "repeat the prompt") == [
        "10 of 50 held-out rows repeat the prompt of another; a prompt counts as one case in every interval and test"
    ]
    assert _of(evaluation, "40 different prompts")
    assert _of(_two(50), "repeat the prompt") == []


def test_cut_off_and_unscored_answers_are_counted_for_each_contender() -> None:
    tuned = [CUT_OFF, None, *["refund"] * 38]
    evaluation = evaluate(make_recipe(), 40, tuned=tuned, base=["refund"] * 40)
    assert _of(evaluation, "cut off") == ["1 of 39 answers of tuned were cut off"]
    (unscored,) = _of(evaluation, "unscored")
    assert unscored.startswith("unscored answers of tuned: label_accuracy 1, contract_pass 1, ")
    # of base every answer is too short to repeat itself: not measured, rather than missing
    assert "likeliest_label_accuracy" not in unscored


def _free_text(sections: Mapping[str, Any]) -> EvaluationResult:
    recipe = make_recipe(("tuned contract_pass at least 0.5",), sections={**FREE_TEXT, **sections})
    answers: Sequence[str] = ["a reply"] * 40
    return evaluate(recipe, 40, tuned=answers, base=answers)


def test_overlap_alone_is_called_closeness_and_not_quality() -> None:
    assert _of(_free_text({}), "only the overlap with references was measured")
    assert _of(_free_text({"judging": JUDGING}), "only the overlap") == []
    data = {"train": "train.jsonl", "held_out": "held_out.jsonl", "facts": {"sources": "handbook"}}
    assert _of(_free_text({"data": data}), "only the overlap") == []
    assert _of(_two(40), "only the overlap") == []


def test_a_verdict_that_is_refused_to_a_judge_is_named() -> None:
    recipe = make_recipe(("tuned beats best_prompt on preference",), sections={"judging": JUDGING})
    preferences = {("tuned", "base"): [1.0] * 40}
    evaluation = evaluate_values(recipe, {}, preferences, refusing_judge("tuned", "base"))
    assert _of(evaluation, "no verdict of a judge on tuned against base: only 12 of 30 pairs are judged alike")
    assert _of(evaluation, "one judge, a judge, and no labels of people to hold it against")
