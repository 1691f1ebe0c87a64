from __future__ import annotations

from dataclasses import replace

import pytest

from hand_made import evaluate, make_recipe, right_in
from judged_run import build_judged_run
from relaytune.core.results import EvaluationResult, Verdict, read_result
from relaytune.core.run_folder import RunFolder
from relaytune.note import evaluation_markdown


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return build_judged_run(tmp_path_factory.mktemp("runs") / "shop")


def _evaluation(run: RunFolder) -> EvaluationResult:
    return read_result(run.evaluation, EvaluationResult)


def _between(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n")[1].split("\n## ")[0]


def test_an_evaluation_without_a_verdict_has_the_same_sections(judged: RunFolder) -> None:
    note = evaluation_markdown(_evaluation(judged), "gemini-1.0-pro")
    whole = judged.verdict_text.read_text(encoding="utf-8")
    headings = [line for line in note.splitlines() if line.startswith("## ")]
    assert headings == [
        "## The contenders on 72 held-out rows",
        "## Differences on the same rows",
        "## The judges",
        "## What it knew before",
        "## What this evaluation cannot show",
    ]
    for heading in headings:
        assert _between(note, heading.removeprefix("## ")).strip() in whole


def test_stamps_stand_before_the_rule(judged: RunFolder) -> None:
    note = judged.verdict_text.read_text(encoding="utf-8")
    assert 0 < note.index("> **smollm3-judge is of the family of the base model") < note.index("## The rule")


def test_a_risk_that_the_evaluation_names_is_not_named_twice(judged: RunFolder) -> None:
    note = judged.verdict_text.read_text(encoding="utf-8")
    repeated = "11 of 72 held-out rows repeat the prompt of another"
    assert note.count(repeated) == 1
    assert repeated in " ".join(read_result(judged.verdict, Verdict).remaining_risks)


def test_a_preference_that_is_refused_has_no_number_among_the_differences(judged: RunFolder) -> None:
    evaluation = _evaluation(judged)
    assert evaluation.judging is not None
    refused = tuple(replace(row, refused="too fickle") for row in evaluation.judging.summaries)
    note = evaluation_markdown(replace(evaluation, judging=replace(evaluation.judging, summaries=refused)))
    (line,) = [line for line in note.splitlines() if line.startswith("| preference |") and "human" in line]
    assert "not stated" in line
    assert "points" not in line


def test_every_table_is_whole(judged: RunFolder) -> None:
    for block in evaluation_markdown(_evaluation(judged)).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_the_length_of_answers_stands_in_the_table_of_scores(judged: RunFolder) -> None:
    table = _between(evaluation_markdown(_evaluation(judged)), "The contenders on 72 held-out rows")
    assert "| mean tokens | 26 | 23 | 51 |  |" in table
    assert "| mean characters | 111 | 94 | 241 | 130 |" in table


def test_who_wrote_the_references_is_said_beside_overlap(judged: RunFolder) -> None:
    evaluation = _evaluation(judged)
    assert "fidelity to references written by gemini-1.0-pro" in evaluation_markdown(evaluation, "gemini-1.0-pro")
    assert "rouge_l, sentence_bleu: closeness to the references, not quality." in evaluation_markdown(evaluation)


def test_without_judges_and_a_general_set_there_are_no_such_sections() -> None:
    recipe = make_recipe()
    note = evaluation_markdown(evaluate(recipe, 40, tuned=right_in(30, 40), base=right_in(20, 40)))
    assert "## The judges" not in note
    assert "## What it knew before" not in note
    assert "| label_accuracy | +25 points | +10 to +38 | p = 0.002 | 40 |" in note
