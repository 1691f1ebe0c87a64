from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pytest

from relaytune.core.recipe import Recipe, validate_recipe
from relaytune.core.records import Example, Generation
from relaytune.core.results import Comparison, Estimate, EvaluationResult, read_result, write_result
from relaytune.core.statistics import mcnemar_exact, wilson_interval
from relaytune.evaluation.measuring import measure
from relaytune.evaluation.summary import Evidence, summarize

LABELS = ("refund", "shipping", "other")


JUDGING = {"judges": [{"model": "qwen3-32b", "base_url": "http://localhost:8000/v1"}]}


def _recipe(keep_when: Sequence[str] = ("tuned label_accuracy at least 0.5",), **sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "tickets",
        "task": {},
        "contract": {"labels": LABELS},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl"},
        "base_model": {"name": "a-model"},
        "decision": {"keep_when": list(keep_when)},
        **sections,
    }
    return validate_recipe(values, "recipe.yaml")


def _examples(labels: Sequence[str], kind: str = "held out") -> list[Example]:
    return [
        Example.of([{"role": "user", "content": f"{kind} {number}"}], label, f"rows.jsonl:{number}")
        for number, label in enumerate(labels, start=1)
    ]


def _answers(examples: Sequence[Example], given: Sequence[str | None]) -> list[Generation]:
    return [
        Generation(example.id, example.messages, text, "length" if text == "…" else "stop", len(text))
        for example, text in zip(examples, given, strict=True)
        if text is not None
    ]


def _summarize(
    expected: Sequence[str], recipe: Recipe | None = None, **given: Sequence[str | None]
) -> EvaluationResult:
    examples = _examples(expected)
    return _of_examples(examples, recipe or _recipe(), **given)


def _of_examples(examples: Sequence[Example], recipe: Recipe, **given: Sequence[str | None]) -> EvaluationResult:
    answers = {name: _answers(examples, texts) for name, texts in given.items()}
    scores = [row for name, found in answers.items() for row in measure(recipe.criteria, examples, found, name)[0]]
    return summarize(recipe.criteria, Evidence(examples, answers, scores))


def _on(metric: str, evaluation: EvaluationResult) -> list[Comparison]:
    return [row for row in evaluation.comparisons if row.metric == metric]


def test_estimates_count_right_scored_and_unscored_apart() -> None:
    evaluation = _summarize(["refund"] * 12, tuned=["refund"] * 6 + ["other"] * 5 + [None])
    found = evaluation.contenders["tuned"].estimates["label_accuracy"]
    assert (found.right, found.scored, found.unscored, found.value) == (6, 11, 1, 6 / 11)
    assert (found.low, found.high) == pytest.approx(wilson_interval(6, 11))


def test_a_metric_with_nothing_scored_has_no_value() -> None:
    evaluation = _summarize(["refund"] * 2, tuned=["refund"] * 2, base=["other"] * 2)
    found = evaluation.contenders["tuned"].estimates["likeliest_label_accuracy"]
    assert (found.scored, found.unscored, found.value, found.low, found.high) == (0, 2, None, None, None)
    (compared,) = _on("likeliest_label_accuracy", evaluation)
    assert (compared.num_pairs, compared.low, compared.high, compared.p_value) == (0, None, None, 1)


def test_pairs_are_the_rows_scored_for_both_and_the_rest_is_counted() -> None:
    evaluation = _summarize(
        ["refund"] * 6,
        base=["refund", "other", "other", "other", None, "refund"],
        tuned=["refund", "refund", "refund", "other", "refund", None],
    )
    (row,) = _on("label_accuracy", evaluation)
    assert (row.contender, row.other) == ("tuned", "base")
    assert (row.num_pairs, row.num_unscored, row.num_clusters) == (4, 2, 4)
    assert (row.both_right, row.wins, row.losses) == (1, 2, 0)
    assert row.difference == 0.5
    # the traits of an answer count the rows without one as well
    assert {(row.num_pairs, row.num_unscored) for row in _on("loops", evaluation)} == {(4, 2)}


def test_a_tie_is_never_counted_as_a_win() -> None:
    evaluation = _summarize(["refund"] * 5, tuned=["refund"] * 5, base=["refund"] * 5)
    assert {(row.wins, row.losses, row.difference) for row in evaluation.comparisons} == {(0, 0, 0)}
    assert {row.p_value for row in evaluation.comparisons} == {1}


def test_every_pair_of_contenders_is_compared_on_every_metric_tuned_first() -> None:
    right = ["refund"]
    evaluation = _summarize(right, base=right, few_shot=right, tuned=right, exported=right)
    pairs = [(row.contender, row.other) for row in evaluation.comparisons if row.metric == "contract_pass"]
    assert pairs[:3] == [("tuned", "exported"), ("tuned", "few_shot"), ("tuned", "base")]
    assert len(pairs) == 6
    measured = evaluation.contenders["tuned"].estimates.keys()
    assert len(evaluation.comparisons) == 6 * len(measured)
    assert evaluation.metrics.keys() - measured == {"general_right", "general_nats"}  # of rows that were not asked


def test_the_confusion_shows_what_was_given_for_what_and_answers_without_a_label() -> None:
    evaluation = _summarize(
        ["refund", "refund", "refund", "other"], tuned=["refund", "shipping", "I cannot say", "refund"]
    )
    assert evaluation.contenders["tuned"].confusion == {
        "refund": {"refund": 1, "shipping": 1, "(none)": 1},
        "other": {"refund": 1},
    }


def test_the_best_prompt_is_chosen_per_metric_and_base_on_a_tie() -> None:
    evaluation = _summarize(
        ["refund"] * 4,
        base=["refund", "refund", "a refund", "a refund"],
        few_shot=["refund", "refund", "other", "other"],
    )
    assert evaluation.best_prompt["contract_pass"] == "few_shot"
    assert evaluation.best_prompt["label_accuracy"] == "base"


def test_without_few_shot_the_best_prompt_is_base() -> None:
    evaluation = _summarize(["refund"], base=["other"], tuned=["refund"])
    assert set(evaluation.best_prompt.values()) == {"base"}


def test_training_rows_give_an_estimate_of_their_own_and_no_comparison() -> None:
    recipe, examples, train = _recipe(), _examples(["refund"] * 2), _examples(["other"] * 3, "training")
    tuned, fit = _answers(examples, ["other", "other"]), _answers(train, ["other", "other", "refund"])
    evaluation = summarize(
        recipe.criteria,
        Evidence(
            examples,
            {"tuned": tuned},
            measure(recipe.criteria, examples, tuned, "tuned")[0],
            measure(recipe.criteria, train, fit, "tuned")[0],
        ),
    )
    assert evaluation.train_estimate is not None
    assert (evaluation.train_estimate.right, evaluation.train_estimate.scored) == (2, 3)
    assert evaluation.num_train_answered == 3
    assert evaluation.contenders["tuned"].estimates["label_accuracy"].right == 0


def test_truncated_answers_are_counted() -> None:
    result = _summarize(["refund"] * 3, tuned=["refund", "…", "…"]).contenders["tuned"]
    assert (result.num_answers, result.num_truncated) == (3, 2)
    assert result.mean_num_tokens == pytest.approx((6 + 1 + 1) / 3)


def test_a_contender_that_answered_nothing_is_unscored_throughout() -> None:
    result = _summarize(["refund"] * 3, tuned=[None] * 3).contenders["tuned"]
    assert (result.num_answers, result.mean_num_tokens, result.mean_num_characters) == (0, 0, 0)
    assert {(found.scored, found.unscored) for found in result.estimates.values()} == {(0, 3)}


def test_the_length_of_answers_stands_beside_their_scores() -> None:
    result = _summarize(["refund"] * 2, tuned=["refund", "of"]).contenders["tuned"]
    assert result.mean_num_characters == 4


def _prompts_twice(rows: int) -> list[Example]:
    """Every prompt twice, with references that are worded differently, so that no two rows are one."""
    return [
        Example.of([{"role": "user", "content": f"prompt {number}"}], f"a reply, version {version}", f"rows:{number}")
        for version in (1, 2)
        for number in range(rows)
    ]


def test_every_prompt_twice_changes_no_p_value_and_no_interval() -> None:
    replies = [f"a reply, version {1 + number % 2} " + "again " * (number % 7) for number in range(40)]
    terse = ["a reply" if number % 3 else "" for number in range(40)]
    contract = {"free_text": "a reply"}
    recipe = _recipe(("tuned contract_pass at least 0.5",), contract=contract)
    examples = [replace(example, completion="a reply, version 1") for example in _prompts_twice(40)]
    once = _of_examples(examples[:40], recipe, tuned=replies, base=terse)
    twice = _of_examples(examples, recipe, tuned=replies * 2, base=terse * 2)
    assert (once.num_prompts, twice.num_prompts, twice.num_held_out) == (40, 40, 80)
    assert twice.smallest_detectable_difference == once.smallest_detectable_difference
    assert {"contract_pass", "rouge_l", "sentence_bleu"} <= {row.metric for row in once.comparisons if row.low}
    for single, double in zip(once.comparisons, twice.comparisons, strict=True):
        assert (double.num_pairs, double.num_clusters) == (2 * single.num_pairs, single.num_clusters)
        assert _figures(double) == pytest.approx(_figures(single), nan_ok=True), single.metric
    for name, result in once.contenders.items():
        for metric, single_estimate in result.estimates.items():
            found = twice.contenders[name].estimates[metric]
            assert _limits(found) == pytest.approx(_limits(single_estimate), nan_ok=True), metric


def _figures(row: Comparison) -> list[float]:
    ends = (row.low, row.high)
    return [row.difference, row.p_value, row.adjusted_p_value, *(nan if end is None else end for end in ends)]


def _limits(found: Estimate) -> list[float]:
    return [nan if value is None else value for value in (found.value, found.low, found.high)]


def test_rows_of_which_only_the_place_is_known_are_each_a_case_of_their_own() -> None:
    rows = [Example(str(number), (), "refund", f"rows:{number}") for number in range(12)]
    evaluation = _of_examples(rows, _recipe(), tuned=["refund"] * 12, base=["other"] * 12)
    assert evaluation.num_prompts == 12
    assert _on("label_accuracy", evaluation)[0].num_clusters == 12


def _with_preferences(**preferences: Sequence[float | None]) -> EvaluationResult:
    """tuned against each of the prompts: 1, 0, -1 or None a row."""
    recipe = _recipe(("tuned beats best_prompt on preference",), judging=JUDGING)
    examples = _examples(["refund"] * 30)
    names = ("tuned", *preferences)
    generations = {name: _answers(examples, ["refund"] * 30) for name in names}
    scores = [row for name in names for row in measure(recipe.criteria, examples, generations[name], name)[0]]
    told = {
        ("tuned", other): {example.id: value for example, value in zip(examples, values, strict=True)}
        for other, values in preferences.items()
    }
    return summarize(recipe.criteria, Evidence(examples, generations, scores, preferences=told))


def test_preferences_are_compared_with_ties_and_unscored_pairs_counted() -> None:
    (row,) = _on("preference", _with_preferences(base=[1] * 15 + [0] * 8 + [-1] * 5 + [None] * 2))
    assert (row.wins, row.losses, row.num_pairs, row.num_unscored) == (15, 5, 28, 2)
    assert row.difference == pytest.approx(10 / 28)
    assert row.p_value == pytest.approx(mcnemar_exact(15, 5))
    assert row.both_right is None


def test_the_best_prompt_by_preference_is_the_one_that_loses_least_against_tuned() -> None:
    evaluation = _with_preferences(base=[1] * 20 + [-1] * 10, few_shot=[1] * 10 + [-1] * 20)
    assert evaluation.best_prompt["preference"] == "few_shot"
    evaluation = _with_preferences(base=[1] * 10 + [-1] * 20, few_shot=[1] * 20 + [-1] * 10)
    assert evaluation.best_prompt["preference"] == "base"


def test_the_best_prompt_on_a_metric_that_is_better_when_lower_is_the_lower_one() -> None:
    looping = "again and again " * 20
    evaluation = _summarize(["refund"] * 2, base=[looping, "no"], few_shot=["yes", "no"], tuned=["refund", "refund"])
    assert evaluation.best_prompt["loops"] == "few_shot"


def test_contenders_made_elsewhere_come_behind_ours_in_the_order_given() -> None:
    answers = ["refund"]
    evaluation = _summarize(["refund"], zeta=answers, base=answers, alpha=answers, tuned=answers)
    assert list(evaluation.contenders) == ["tuned", "base", "zeta", "alpha"]


def test_an_evaluation_survives_being_written_and_read(tmp_path: Path) -> None:
    evaluation = _summarize(["refund", "other"], tuned=["refund", "x"], base=["other", None])
    write_result(tmp_path / "evaluation.json", evaluation)
    assert read_result(tmp_path / "evaluation.json", EvaluationResult) == evaluation
