from __future__ import annotations

import json
import subprocess
import sys
from typing import Literal

from relaytune.core.files import canonical_json
from relaytune.core.judging import Judging
from relaytune.core.records import Example, Judgement, Rating, as_json
from relaytune.evaluation.judging.conclusion import JudgingResult, summarize_judging

NUM_ROWS = 40
JUDGING = Judging.model_validate({"judges": [{"model": "qwen"}, {"model": "llama"}, {"model": "phi"}]})
EXAMPLES = [Example.of([{"role": "user", "content": f"q{i}"}], "", f"rows:{i}") for i in range(NUM_ROWS)]
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


def _result() -> JudgingResult:
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
    return summarize_judging(JUDGING, EXAMPLES, ANSWERS, [("tuned", "base")], judgements, ratings)


def test_each_judge_is_summarized_and_refused_judges_do_not_vote() -> None:
    result = _result()
    assert [(row.judge, row.result.wins, bool(row.refused)) for row in result.preferences] == [
        ("qwen", 30, False),
        ("llama", 40, False),
        ("phi", 0, True),
        ("human:ann", 18, False),
    ]
    (combined,) = result.combined
    assert combined.judges == ("qwen", "llama", "human:ann")
    assert list(combined.left_out) == ["phi"]
    # where qwen and the person say base, they outvote llama; where qwen alone does, it is a tie
    assert (combined.result.wins, combined.result.losses, combined.result.ties) == (30, 6, 4)


def test_every_two_judges_are_compared_and_judges_corrected_by_people() -> None:
    result = _result()
    assert len(result.agreements) == 6
    kappas = {(row.first, row.second): row.agreement.kappa for row in result.agreements}
    assert kappas["qwen", "human:ann"] == 1
    assert [row.judge for row in result.corrected] == ["qwen", "llama", "phi"]
    assert abs(result.corrected[0].corrected.estimate - 0.5) < 1e-9
    # llama always says tuned: its verdicts tell nothing of where people do not
    assert result.corrected[1].corrected.judge_weight == 0


def test_ratings_are_summarized_by_judge_criterion_and_pair() -> None:
    (rating,) = _result().ratings
    assert (rating.judge, rating.criterion, rating.mean, rating.other_mean) == ("qwen", "tone", 3, 2)


def test_the_result_is_plain_json() -> None:
    result = _result()
    assert json.loads(canonical_json(as_json(result)))["combined"][0]["result"]["wins"] == 30


def test_nothing_judged_says_nothing() -> None:
    result = summarize_judging(JUDGING, EXAMPLES, ANSWERS, [("tuned", "base")], [], [])
    assert not result.preferences
    assert not result.corrected
    assert result.combined[0].result.difference is None


def test_judging_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "import relaytune.evaluation.judging.asking, relaytune.evaluation.judging.conclusion\n"
        "import relaytune.evaluation.judging.human_labels, relaytune.core.judging\n"
        "print([name for name in ('torch', 'transformers', 'httpx', 'scipy', 'numpy') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
