from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from relaytune.core.errors import DataError, RunError
from relaytune.core.files import write_json, write_text
from relaytune.core.metrics import Metric
from relaytune.core.results import (
    ClauseResult,
    Comparison,
    ContenderResult,
    DataSize,
    Diagnosis,
    Estimate,
    EvaluationResult,
    FewShotChoice,
    FewShotTrial,
    Forgetting,
    Hardware,
    HumanCorrection,
    JudgingResult,
    ModelSize,
    Plan,
    PreferenceSummary,
    RaterAgreement,
    Share,
    TrainingResult,
    Verdict,
    WinLoss,
    read_result,
    write_result,
)
from relaytune.core.statistics import Agreement, CorrectedMean

PLAN = Plan(
    Hardware("cpu", "a laptop", 4, 0, 16, 9.5, 0, 120.25, {"float32": 210}),
    DataSize(400, 40, 100, 60, 12_000, 1_200, 2_500, 6_000, 210),
    ModelSize(134_515_008, 30, 576, 1536, 9, 3, 64, 49_152, 4_884_480),
    precision="float32",
    precision_reason="bfloat16 is slower here",
    num_steps=100,
    max_tokens_per_micro_batch=2048,
    peak_memory_gib=2.5,
    disk_gib=0.75,
    training_seconds=900,
    evaluation_seconds=120,
    smallest_detectable_difference=0.12,
    warnings=("the held-out set is small",),
)
SESSION = TrainingResult(
    num_sessions=1,
    device="cpu",
    precision="float32",
    num_steps=80,
    num_skipped_steps=0,
    planned_steps=100,
    num_examples=640,
    num_tokens=51_200,
    num_supervised_tokens=9_600,
    best_step=60,
    best_validation_loss=0.5,
    first_validation_loss=1.5,
    stopped_early=True,
    wall_seconds=812.5,
    examples_per_second=0.79,
    peak_memory_gib=2.4,
    supervised_text_shown=('{"priority": "low"}<|im_end|>',),
)
TRIAL = FewShotTrial(k=2, draw=0, example_ids=("a", "b"), rate=0.6, num_validation=40)
SUMMARY = PreferenceSummary(
    judge="a judge",
    contender="tuned",
    other="base",
    result=WinLoss(30, 20, 10, 1 / 6, (-0.06, 0.38), 0.2),
    num_inconsistent=6,
    num_identical=4,
    num_unscored=2,
    unscored_reasons={"no verdict in the answer": 2},
    consistency=Share(54, 60, 0.9, (0.8, 0.95)),
    first_slot=Share(50, 100, 0.5, (0.4, 0.6)),
    num_one_order=1,
    longer_wins=Share(0, 0, None, None),
    length_matched=WinLoss(3, 2, 1, None, None, 1.0),
    caution="",
    refused="",
)
JUDGING = JudgingResult(
    summaries=(SUMMARY,),
    agreements=(RaterAgreement("a judge", "human:1", "tuned against base", Agreement(20, 0.8, 0.6, (0.2, 0.9))),),
    corrections=(HumanCorrection("a judge", "preference", "tuned", 0.4, CorrectedMean(0.3, None, 20, 0.8)),),
    raters=(),
    num_unscored_ratings=0,
    equal_points={"tied, points equal": 3, "tied, points different": 7},
    stamps=("a judge is of the family of the base model",),
)
EVALUATION = EvaluationResult(
    main_metric="label_accuracy",
    metrics={
        "label_accuracy": Metric("label_accuracy", "share", "judgement", "right"),
        "general_nats": Metric("general_nats", "mean", "forgetting", "nats", lower_is_better=True),
        "preference": Metric("preference", "preference", "judge", "preferred"),
    },
    num_held_out=100,
    num_prompts=98,
    contenders={
        "tuned": ContenderResult(
            "tuned",
            {
                "label_accuracy": Estimate(80 / 99, 0.72, 0.87, 99, 1, 80),
                "general_nats": Estimate(2.5, None, None, 10, 0),
                "parses": Estimate(None, None, None, 0, 100, None),
            },
            num_answers=100,
            num_truncated=1,
            mean_num_tokens=21.5,
            mean_num_characters=90.25,
            confusion={"low": {"low": 80, "(none)": 20}},
        )
    },
    comparisons=(
        Comparison("label_accuracy", "tuned", "base", 99, 1, 98, 30, 5, 50, 0.25, 0.13, 0.37, 2.2e-05, 4.4e-05),
        Comparison("general_nats", "tuned", "base", 10, 0, 10, 5, 5, None, 0.1, None, None, 0.9, 0.9),
    ),
    best_prompt={"label_accuracy": "few_shot", "general_nats": "base", "preference": "base"},
    train_estimate=None,
    num_train_answered=0,
    smallest_detectable_difference=0.12,
    few_shot=FewShotChoice("label_accuracy", (TRIAL,), TRIAL),
    forgetting=Forgetting(100, 20),
    judging=JUDGING,
    notes={"sentence_bleu": "nrefs:1|case:mixed"},
)
VERDICT = Verdict(
    outcome="iterate",
    reason="one condition does not hold",
    next_change="more rows of the label urgent",
    clauses=(ClauseResult("tuned parses at least 0.9", "keep_when", False, "0.85 of 100"),),
    diagnoses=(Diagnosis("confused labels", "urgent is called low 9 times", "add rows"),),
    remaining_risks=(),
    rule_hash="f" * 64,
    rule_changed_after_evaluation=True,
    rule_history=({"hash": "e" * 64, "seen_at": "2026-01-02T03:04:05+00:00"},),
    decided_at="2026-01-02T03:04:05+00:00",
)


@pytest.mark.parametrize(
    "result",
    [
        PLAN,
        SESSION,
        EVALUATION,
        VERDICT,
        replace(EVALUATION, few_shot=None, judging=None, train_estimate=Estimate(1.0, None, None, 1, 0, 1)),
    ],
)
def test_a_result_read_back_is_the_result_written(tmp_path: Path, result: object) -> None:
    path = tmp_path / "result.json"
    write_result(path, result)
    assert read_result(path, type(result)) == result


def test_a_result_not_made_yet_is_named_with_what_tells_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"plan\.json: not there yet; `relaytune status`"):
        read_result(tmp_path / "plan.json", Plan)


def test_a_file_that_is_another_result_is_refused_with_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_result(path, SESSION)
    with pytest.raises(RunError, match=r"plan\.json: not a Plan of this version .*hardware: Field required"):
        read_result(path, Plan)


@pytest.mark.parametrize("value", [[], None, "a plan", {}])
def test_json_that_is_no_result_is_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "plan.json"
    write_json(path, value)
    with pytest.raises(RunError, match="not a Plan of this version"):
        read_result(path, Plan)


def test_a_value_of_the_wrong_kind_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    values = asdict(PLAN)
    values["hardware"]["num_cores"] = "four"
    values["precision"] = "float8"
    write_json(path, values)
    with pytest.raises(RunError, match=r"hardware\.num_cores: .*precision: "):
        read_result(path, Plan)


def test_a_damaged_result_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_text(path, '{"hardware": ')
    with pytest.raises(DataError, match=r"plan\.json: not readable as JSON .* Delete it"):
        read_result(path, Plan)


def test_a_preference_is_refused_where_every_judge_of_the_pair_is_whichever_way_round_it_is_asked() -> None:
    unsure = replace(SUMMARY, refused="only 40% of pairs are judged alike in both orders")
    refused = replace(EVALUATION, judging=replace(JUDGING, summaries=(unsure,)))
    assert "a judge: only 40%" in refused.judging_refused("preference", "tuned", "base")
    assert "a judge: only 40%" in refused.judging_refused("preference", "base", "tuned")
    assert refused.judging_refused("label_accuracy", "tuned", "base") == ""
    assert refused.judging_refused("preference", "tuned", "few_shot") == ""


def test_a_preference_stands_where_one_judge_of_several_gives_a_verdict() -> None:
    unsure = replace(SUMMARY, judge="another", refused="only 40% of pairs are judged alike in both orders")
    both = replace(EVALUATION, judging=replace(JUDGING, summaries=(SUMMARY, unsure)))
    assert both.judging_refused("preference", "tuned", "base") == ""
    assert EVALUATION.judging_refused("preference", "tuned", "base") == ""
    assert replace(EVALUATION, judging=None).judging_refused("preference", "tuned", "base") == ""
