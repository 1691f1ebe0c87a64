from __future__ import annotations

from typing import Any

import pytest

from relaytune.core.contract import Contract
from relaytune.core.criteria import Criteria
from relaytune.core.rule import DecisionRule
from relaytune.core.sections import Evaluation


def _criteria(rule: dict[str, Any] | None) -> Criteria:
    return Criteria(
        Contract.model_validate({"labels": ["a", "b"]}),
        Evaluation.model_validate({}),
        None,
        DecisionRule.model_validate(rule) if rule else None,
        None,
    )


@pytest.mark.parametrize(
    ("keep_when", "main"),
    [
        (["tuned contract_pass at least 0.9", "tuned beats base on label_accuracy or stopped"], "label_accuracy"),
        (["tuned no worse than base on contract_pass within 0.1", "tuned beats base on stopped"], "stopped"),
        (["tuned contract_pass at least 0.9", "tuned label_accuracy at least 0.5"], "contract_pass"),
    ],
)
def test_the_main_metric_is_that_of_the_first_comparison_to_win_else_of_the_first_clause(
    keep_when: list[str], main: str
) -> None:
    never = ["stopped falls"]
    assert _criteria({"keep_when": keep_when, "never_when": never}).main_metric == main


def test_without_a_rule_the_main_metric_is_the_judgement() -> None:
    assert _criteria(None).main_metric == "label_accuracy"
