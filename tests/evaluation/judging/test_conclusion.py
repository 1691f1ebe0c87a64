from __future__ import annotations

import json
import subprocess
import sys
from typing import Literal

from relaytune.core.files import canonical_json
from relaytune.core.judging import Judging
from relaytune.core.records import Example, Judgement, Rating, as_json
from relaytune.evaluation.judging.conclusion import JudgingConclusion, conclude_judging

NUM_ROWS = 40
BOTH_ORDERS = (("tuned", "base"), ("base", "tuned"))
JUDGING = Judging.model_validate(
    {"judges": [{"model": "qwen"}, {"model": "llama"}, {"model": "phi"}], "criteria": {"tone": "is it friendly?"}}
)
EXAMPLES = [Example.of([{"role": "user", "content": f"q{i}"}], "", f"rows:{i}") for i in range(NUM_ROWS)]
CLUSTERS = {row.id: row.id for row in EXAMPLES}
ANSWERS = {
    "tuned": {row.id: "good" for row in EXAMPLES},
    "base": {row.id: "bad!" for row in EXAMPLES},
}


def _says(judge: str, example: Example, preference: int | None) -> list[Judgement]:
    sides: dict[int | None, Literal["first", "second", "tie"] | None] = {1: "first", -1: "second", 0: "tie", None: None}
    opposite = None if preference is None else -preference
    return [
        Judgement(example.id, judge, "tuned", "base", sides[preference], "r"),
        Judgement(example.id, judge, "base", "tuned", sides[opposite], "r"),
    ]


def _conclusion() -> JudgingConclusion:
    """qwen and a person prefer tuned in three of four rows, llama in all; phi takes the first slot always."""
    judgements: list[Judgement] = []
    for number, row in enumerate(EXAMPLES):
        judgements += _says("qwen", row, 1 if number % 4 else -1)
        judgements += _says("llama", row, 1)
        judgements.append(Judgement(row.id, "phi", "tuned", "base", "first", "r"))
        judgements.append(Judgement(row.id, "phi", "base", "tuned", "first", "r"))
        if number < 24:
            judgements.append(_says("human:ann", row, 1 if number % 4 else -1)[0])
    ratings = [
        Rating(row.id, "qwen", contender, "tone", value, "")
        for row in EXAMPLES
        for contender, value in (("tuned", 3.0), ("base", 2.0))
    ]
    return conclude_judging(JUDGING, EXAMPLES, ANSWERS, judgements, ratings, CLUSTERS)


def test_each_judge_is_summarized_and_refused_judges_do_not_vote() -> None:
    conclusion = _conclusion()
    assert [(row.judge, row.result.wins, bool(row.refused)) for row in conclusion.result.summaries] == [
        ("qwen", 30, False),
        ("llama", 40, False),
        ("phi", 0, True),
        ("human:ann", 18, False),
    ]
    joint = list(conclusion.preferences["tuned", "base"].values())
    # where qwen and the person say base, they outvote llama; where qwen alone does, it is a tie
    assert (joint.count(1), joint.count(-1), joint.count(0)) == (30, 6, 4)


def test_where_all_judges_are_refused_their_preference_is_shown_and_says_so() -> None:
    judgements = [Judgement(row.id, "phi", *pair, "first", "r") for row in EXAMPLES for pair in BOTH_ORDERS]
    conclusion = conclude_judging(JUDGING, EXAMPLES, ANSWERS, judgements, [], CLUSTERS)
    assert set(conclusion.preferences["tuned", "base"].values()) == {0}
    assert "consistency 0.00" in conclusion.result.summaries[0].refused


def test_a_pair_is_turned_as_everywhere_whoever_answered_first() -> None:
    answers = dict.fromkeys(("base", "few_shot", "tuned"), ANSWERS["base"])
    judgements = [
        Judgement(row.id, "qwen", *pair, better, "r")  # type: ignore[arg-type]
        for row in EXAMPLES
        for pair, better in ((("base", "tuned"), "second"), (("few_shot", "tuned"), "first"))
    ]
    preferences = conclude_judging(JUDGING, EXAMPLES, answers, judgements, [], CLUSTERS).preferences
    assert {pair: set(values.values()) for pair, values in preferences.items()} == {
        ("tuned", "base"): {1},
        ("tuned", "few_shot"): {-1},
    }


def test_judgements_of_one_order_count_and_state_no_verdict() -> None:
    judgements = [Judgement(row.id, "qwen", "tuned", "base", "first", "r") for row in EXAMPLES]
    (summary,) = conclude_judging(JUDGING, EXAMPLES, ANSWERS, judgements, [], CLUSTERS).result.summaries
    assert (summary.result.wins, summary.num_one_order, summary.first_slot.share) == (40, 40, 1.0)
    assert "40 of 40 pairs were judged in one order only" in summary.refused


def test_every_two_raters_are_compared_and_judges_corrected_by_people() -> None:
    result = _conclusion().result
    kappas = {(row.first, row.second): row.agreement.kappa for row in result.agreements}
    assert len(kappas) == 6
    assert kappas["qwen", "human:ann"] == 1
    assert [row.judge for row in result.corrections] == ["qwen", "llama", "phi"]
    assert abs(result.corrections[0].corrected.estimate - 0.5) < 1e-9
    # llama always says tuned: its verdicts tell nothing of where people do not
    assert result.corrections[1].corrected.judge_weight == 0


def test_an_answers_score_is_the_mean_of_its_points_and_unscored_without_any() -> None:
    row = EXAMPLES[0]
    ratings = [
        Rating(row.id, "qwen", "tuned", "tone", 3.0, ""),
        Rating(row.id, "llama", "tuned", "tone", 2.0, ""),
        Rating(row.id, "qwen", "base", "tone", None, "no line with points"),
    ]
    scores = conclude_judging(JUDGING, EXAMPLES, ANSWERS, [], ratings, CLUSTERS).scores
    assert [(score.contender, score.value, score.reason) for score in scores] == [
        ("tuned", 2.5, ""),
        ("base", None, "no line with points"),
    ]


def test_ties_and_decisions_between_answers_of_equal_points_are_counted() -> None:
    judgements = [line for row, says in zip(EXAMPLES, (0, 1, 1), strict=False) for line in _says("qwen", row, says)]
    ratings = [
        Rating(row.id, "qwen", contender, "tone", points, "")
        for row, both in zip(EXAMPLES, ((2.0, 2.0), (2.0, 2.0), (3.0, 1.0)), strict=False)
        for contender, points in zip(("tuned", "base"), both, strict=True)
    ]
    result = conclude_judging(JUDGING, EXAMPLES, ANSWERS, judgements, ratings, CLUSTERS).result
    assert result.equal_points == {
        "tied, points equal": 1,
        "decided, points equal": 1,
        "decided, points different": 1,
    }


def test_the_result_is_plain_json() -> None:
    result = _conclusion().result
    assert json.loads(canonical_json(as_json(result)))["summaries"][0]["result"]["wins"] == 30


def test_nothing_judged_says_nothing() -> None:
    conclusion = conclude_judging(JUDGING, EXAMPLES, ANSWERS, [], [], CLUSTERS)
    assert not conclusion.preferences
    assert not conclusion.result.summaries
    assert not conclusion.result.corrections


def test_judging_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "import relaytune.evaluation.judging.asking, relaytune.evaluation.judging.conclusion\n"
        "import relaytune.evaluation.judging.human_labels, relaytune.core.judging\n"
        "print([name for name in ('torch', 'transformers', 'httpx', 'scipy', 'numpy') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
