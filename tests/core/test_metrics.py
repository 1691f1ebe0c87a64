from __future__ import annotations

from typing import Any

import pytest

from relaytune.core.contract import Contract
from relaytune.core.facts import Facts
from relaytune.core.judging import Judging
from relaytune.core.metrics import contract_metrics, metrics_of
from relaytune.core.sections import Evaluation

JUDGES = [{"model": "qwen3-32b", "base_url": "http://localhost:8000/v1"}]


@pytest.mark.parametrize(
    ("contract", "metrics"),
    [
        ({"labels": ["a", "b"]}, ("contract_pass", "label_accuracy", "likeliest_label_accuracy")),
        ({"json_schema": {}}, ("parses", "contract_pass", "exact_match")),
        ({"regex": "a+"}, ("contract_pass", "exact_match")),
        ({"number": {}}, ("contract_pass", "numeric_match")),
        ({"free_text": "polite"}, ("contract_pass",)),
    ],
)
def test_a_contract_allows_only_the_metrics_that_can_be_scored(
    contract: dict[str, Any], metrics: tuple[str, ...]
) -> None:
    assert contract_metrics(Contract.model_validate(contract)) == metrics


def _names(
    contract: dict[str, Any] | None, evaluation: dict[str, Any] | None = None, judging: dict[str, Any] | None = None
) -> list[str]:
    return list(
        metrics_of(
            Contract.model_validate(contract) if contract else None,
            Evaluation.model_validate(evaluation or {}),
            Judging.model_validate(judging) if judging else None,
        )
    )


def test_the_judgement_comes_first_and_what_was_known_before_last() -> None:
    assert _names({"labels": ["a", "b"]}, None, {"judges": JUDGES, "criteria": {"clarity": "is clear"}}) == [
        "label_accuracy",
        "likeliest_label_accuracy",
        "contract_pass",
        "clarity",
        "preference",
        "stopped",
        "loops",
        "repetition",
        "refused",
        "abstained",
        "general_right",
        "general_nats",
    ]


def test_overlap_is_measured_of_free_text_and_where_it_is_asked_for() -> None:
    assert {"rouge_l", "sentence_bleu"} <= set(_names({"free_text": "polite"}))
    assert "rouge_l" not in _names({"labels": ["a", "b"]})
    assert "rouge_l" in _names({"labels": ["a", "b"]}, {"scorers": ["rouge_l"]})
    assert "rouge_l" not in _names({"free_text": "polite"}, {"scorers": []})


def test_what_is_not_asked_for_is_not_measured() -> None:
    assert "general_right" not in _names({"labels": ["a", "b"]}, {"forgetting": False})
    only_points = {"judges": JUDGES, "pairwise": False, "criteria": {"clarity": "is clear"}}
    assert "preference" not in _names({"labels": ["a", "b"]}, None, only_points)
    assert "contract_pass" not in _names(None)


def test_a_criterion_of_the_judges_may_be_better_when_lower() -> None:
    judging = {"judges": JUDGES, "criteria": {"errors": "wrong claims", "clarity": "clear"}}
    metrics = metrics_of(
        None,
        Evaluation.model_validate({}),
        Judging.model_validate({**judging, "lower_is_better": ["errors"]}),
    )
    assert (metrics["errors"].lower_is_better, metrics["clarity"].lower_is_better) == (True, False)
    assert (metrics["errors"].kind, metrics["errors"].group) == ("mean", "judge")


def test_points_lie_within_the_scale_and_perplexity_has_no_upper_end() -> None:
    judging = Judging.model_validate({"judges": JUDGES, "criteria": {"errors": "wrong claims"}, "scale": 5})
    contract = Contract.model_validate({"free_text": "polite"})
    metrics = metrics_of(contract, Evaluation.model_validate({}), judging)
    assert (metrics["errors"].bounds, metrics["errors"].difference_bounds) == ((0, 5), (-5, 5))
    assert metrics["sentence_bleu"].difference_bounds == (-100, 100)
    assert (metrics["general_nats"].bounds, metrics["general_nats"].difference_bounds) == (None, None)


def test_facts_are_measured_behind_the_judgement_where_there_are_sources() -> None:
    measured = metrics_of(
        Contract.model_validate({"free_text": "true"}),
        Evaluation.model_validate({}),
        None,
        Facts.model_validate({"sources": "handbook"}),
    )
    facts = [name for name, metric in measured.items() if metric.group == "facts"]
    assert list(measured)[:4] == facts == ["factual_errors", "unsupported", "unchecked", "verified"]
    assert [measured[name].lower_is_better for name in facts] == [True, True, True, False]
