from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from relaytune.core.recipe import Recipe, validate_recipe
from relaytune.core.records import Example, Generation
from relaytune.core.results import EvaluationResult, read_result, write_result
from relaytune.core.statistics import wilson_interval
from relaytune.evaluation.summary import summarize

LABELS = ("refund", "shipping", "other")


def _recipe(keep_when: Sequence[str] = ("tuned label_accuracy at least 0.5",)) -> Recipe:
    values: dict[str, Any] = {
        "name": "tickets",
        "task": {},
        "contract": {"labels": LABELS},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl"},
        "base_model": {"name": "a-model"},
        "decision": {"keep_when": list(keep_when)},
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


def _summarize(expected: Sequence[str], **given: Sequence[str | None]) -> EvaluationResult:
    examples = _examples(expected)
    answers = {name: _answers(examples, texts) for name, texts in given.items()}
    return summarize(_recipe(), examples, answers, [], [], None)[0]


def test_rates_count_right_scored_and_unscored_apart() -> None:
    evaluation = _summarize(["refund"] * 4, tuned=["refund", "refund", "other", None])
    rate = evaluation.contenders["tuned"].rates["label_accuracy"]
    assert (rate.right, rate.scored, rate.unscored, rate.rate) == (2, 3, 1, 2 / 3)
    assert (rate.low, rate.high) == wilson_interval(2, 3)


def test_a_metric_with_nothing_scored_has_no_rate() -> None:
    evaluation = _summarize(["refund"] * 2, tuned=["refund"] * 2, base=["other"] * 2)
    rate = evaluation.contenders["tuned"].rates["likeliest_label_accuracy"]
    assert (rate.scored, rate.unscored, rate.rate, rate.low, rate.high) == (0, 2, None, None, None)
    compared = [row for row in evaluation.comparisons if row.metric == "likeliest_label_accuracy"]
    assert [(row.num_pairs, row.low, row.high, row.p_value) for row in compared] == [(0, -1, 1, 1)]


def test_pairs_are_the_rows_scored_for_both_and_the_rest_is_counted() -> None:
    evaluation = _summarize(
        ["refund"] * 6,
        base=["refund", "other", "other", "other", None, "refund"],
        tuned=["refund", "refund", "refund", "other", "refund", None],
    )
    (row,) = [row for row in evaluation.comparisons if row.metric == "label_accuracy"]
    assert (row.contender, row.other) == ("tuned", "base")
    assert (row.num_pairs, row.num_unscored) == (4, 2)
    assert (row.both_right, row.only_contender, row.only_other) == (1, 2, 0)
    assert row.difference == 0.5
    assert row.low < 0.5 < row.high


def test_a_tie_is_never_counted_as_a_win() -> None:
    evaluation = _summarize(["refund"] * 5, tuned=["refund"] * 5, base=["refund"] * 5)
    assert {(row.only_contender, row.only_other, row.difference) for row in evaluation.comparisons} == {(0, 0, 0)}
    assert {row.p_value for row in evaluation.comparisons} == {1}


def test_every_pair_of_contenders_is_compared_on_every_metric_tuned_first() -> None:
    right = ["refund"]
    evaluation = _summarize(right, base=right, few_shot=right, tuned=right, exported=right)
    pairs = [(row.contender, row.other) for row in evaluation.comparisons if row.metric == "contract_pass"]
    assert pairs[:3] == [("tuned", "exported"), ("tuned", "few_shot"), ("tuned", "base")]
    assert len(pairs) == 6
    assert len(evaluation.comparisons) == 6 * len(evaluation.metrics)


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


@pytest.mark.parametrize(
    ("keep_when", "main"),
    [
        (("tuned contract_pass at least 0.9", "tuned beats base on label_accuracy"), "label_accuracy"),
        (("tuned contract_pass at least 0.9", "tuned label_accuracy at least 0.5"), "contract_pass"),
    ],
)
def test_the_main_metric_is_that_of_the_first_comparison_else_of_the_first_clause(
    keep_when: tuple[str, ...], main: str
) -> None:
    examples = _examples(["refund"])
    answers = {"tuned": _answers(examples, ["refund"])}
    assert summarize(_recipe(keep_when), examples, answers, [], [], None)[0].main_metric == main


def test_training_rows_give_a_rate_of_their_own_and_no_held_out_score() -> None:
    examples, train = _examples(["refund"] * 2), _examples(["other"] * 3, "training")
    evaluation, scores = summarize(
        _recipe(),
        examples,
        {"tuned": _answers(examples, ["other", "other"])},
        train,
        _answers(train, ["other", "other", "refund"]),
        None,
    )
    assert evaluation.train_rate is not None
    assert (evaluation.train_rate.right, evaluation.train_rate.scored) == (2, 3)
    assert evaluation.num_train_answered == 3
    assert evaluation.contenders["tuned"].rates["label_accuracy"].right == 0
    assert {row.id for row in scores} == {example.id for example in examples}


def test_truncated_answers_are_counted() -> None:
    result = _summarize(["refund"] * 3, tuned=["refund", "…", "…"]).contenders["tuned"]
    assert (result.num_answers, result.num_truncated) == (3, 2)
    assert result.mean_num_tokens == pytest.approx((6 + 1 + 1) / 3)


def test_a_contender_that_answered_nothing_is_unscored_throughout() -> None:
    result = _summarize(["refund"] * 3, tuned=[None] * 3).contenders["tuned"]
    assert (result.num_answers, result.mean_num_tokens) == (0, 0)
    assert {(rate.scored, rate.unscored) for rate in result.rates.values()} == {(0, 3)}


def test_an_evaluation_survives_being_written_and_read(tmp_path: Path) -> None:
    evaluation = _summarize(["refund", "other"], tuned=["refund", "x"], base=["other", None])
    write_result(tmp_path / "evaluation.json", evaluation)
    assert read_result(tmp_path / "evaluation.json", EvaluationResult) == evaluation
