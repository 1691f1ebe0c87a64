from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import files_below, refusal, relaytune, write_rows, write_task
from relaytune.comparing import name_contenders
from relaytune.core.errors import UsageError

CRITERIA = {"contract": {"labels": ["low", "high"]}, "decision": "keep when a beats b on label_accuracy"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`a` is right in all of 30 rows, `b` in half of them."""
    expected = ["high" if number % 2 else "low" for number in range(30)]
    write_rows(tmp_path / "a.jsonl", [{"id": n, "answer": label} for n, label in enumerate(expected)])
    write_rows(tmp_path / "b.jsonl", [{"id": n, "answer": "high"} for n in range(30)])
    write_rows(tmp_path / "references.jsonl", [{"id": n, "reference": label} for n, label in enumerate(expected)])
    _write_criteria(tmp_path, CRITERIA)
    return tmp_path


def _write_criteria(folder: Path, values: Any) -> None:
    (folder / "criteria.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def _evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    named = ("--references", "references.jsonl", "--criteria", "criteria.yaml")
    return relaytune(folder, "evaluate", *arguments, *named)


def test_two_files_are_compared_and_the_rule_is_applied(folder: Path) -> None:
    done = _evaluate(folder, "a.jsonl", "b.jsonl", "--output", "out")
    assert done.returncode == 0, done.stderr
    assert "30 rows in every file, matched by id" in done.stdout
    assert "label_accuracy: a is better" in done.stdout
    assert "a 30/30 (100%, 89-100%) against b 15/30 (50%, 33-67%)" in done.stdout
    assert "Verdict: keep." in done.stdout
    assert "What this cannot show" in done.stdout
    assert files_below(folder / "out") == {"evaluation.json", "evaluation.md", "scores.jsonl", "verdict.json"}
    scores = [json.loads(line) for line in (folder / "out" / "scores.jsonl").read_text("utf-8").splitlines()]
    right = [row["value"] for row in scores if (row["contender"], row["scorer"]) == ("b", "label_accuracy")]
    assert len(right) == 30
    assert sum(right) == 15
    assert json.loads((folder / "out" / "verdict.json").read_text("utf-8"))["outcome"] == "keep"


def test_a_discard_leaves_with_exit_code_1_and_json_alone_on_standard_output(folder: Path) -> None:
    _write_criteria(
        folder,
        {**CRITERIA, "decision": "keep when b beats a on label_accuracy; discard when a beats b on label_accuracy"},
    )
    done = _evaluate(folder, "a.jsonl", "b.jsonl", "--json")
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"]["outcome"] == "discard"
    assert result["evaluation"]["contenders"]["a"]["estimates"]["label_accuracy"]["value"] == 1
    assert not (folder / "out").exists()


def test_without_a_rule_there_is_no_verdict(folder: Path) -> None:
    done = relaytune(folder, "evaluate", "a.jsonl", "b.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] is None


def test_labels_of_people_count_like_a_judges(folder: Path) -> None:
    labels = [f"{n},a,b,{'first' if n % 5 else 'tie'},ann" for n in range(30)]
    (folder / "labels.csv").write_text("\n".join(["id,first,second,better,annotator", *labels, ""]), encoding="utf-8")
    rule = "keep when a beats b on preference"
    _write_criteria(folder, {"judging": {"human_labels": "labels.csv"}, "decision": rule})
    done = _evaluate(folder, "a.jsonl", "b.jsonl", "--output", "out")
    assert done.returncode == 0, done.stderr
    assert "a preferred on 24 rows, b on 0, 6 ties" in done.stdout
    assert "human:ann, a against b: 24 won, 6 tied, 0 lost" in done.stdout
    assert "Verdict: keep." in done.stdout
    assert {"judgements.jsonl", "ratings.jsonl"} <= files_below(folder / "out")


def test_neither_torch_nor_transformers_is_imported(folder: Path) -> None:
    code = (
        "import sys; from relaytune.cli import app\n"
        "try: app(['evaluate', 'a.jsonl', 'b.jsonl', '--references', 'references.jsonl', '--criteria', "
        "'criteria.yaml', '--output', 'out'])\n"
        "except SystemExit as left: assert left.code == 0, left.code\n"
        "heavy = {'torch', 'transformers', 'peft', 'safetensors'} & {name.split('.')[0] for name in sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "verdict.json").exists()


def test_a_file_whose_name_a_rule_cannot_say_gets_underscores_and_a_line_says_so(folder: Path) -> None:
    (folder / "a.jsonl").rename(folder / "my-model v2.jsonl")
    _write_criteria(folder, {**CRITERIA, "decision": "keep when my_model_v2 beats b on label_accuracy"})
    done = _evaluate(folder, "my-model v2.jsonl", "b.jsonl")
    assert done.returncode == 0, done.stderr
    assert "my-model v2.jsonl is called my_model_v2 here" in done.stdout
    assert "Verdict: keep." in done.stdout


def test_letters_of_any_language_stay_however_the_file_system_writes_them() -> None:
    assert list(name_contenders([Path("mode\u0300le.jsonl"), Path("模型.csv")])) == ["mod\u00e8le", "模型"]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["a.jsonl"], "one file of answers; name at least two"),
        (["a.jsonl", "old/a.csv"], "two files would be called a (a.jsonl, old/a.csv)"),
        (["a-1.jsonl", "a 1.jsonl"], "two files would be called a_1"),
        (["best_prompt.jsonl", "a.jsonl"], "no file can be called that"),
    ],
)
def test_files_that_cannot_be_told_apart_are_refused(paths: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        name_contenders([Path(path) for path in paths])
    assert words in str(caught.value)


def test_what_is_wrong_with_answers_and_criteria_is_said_at_once(folder: Path) -> None:
    write_rows(folder / "b.jsonl", [{"id": 1, "text": "low"}])
    _write_criteria(folder, {"contarct": {}})
    message = refusal(_evaluate(folder, "a.jsonl", "b.jsonl", "--output", "out"), exit_code=1)
    assert "b.jsonl:1: no answer" in message
    assert "contarct: unknown key; did you mean contract?" in message
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.jsonl", "b.jsonl", "--set", "training.seed=1"], "--set: goes with a recipe only"),
        (["recipe.yaml", "--output", "out"], "--output: goes with files of answers only"),
        (["recipe.yaml", "a.jsonl"], "files of answers are measured by one with --criteria recipe.yaml"),
        (["a.jsonl", "b.jsonl", "--output", "references.jsonl"], "no folder can be made there (a file has that name)"),
        (["a.jsonl", "b.jsonl", "--output", "/proc/nowhere"], "--output /proc/nowhere: no folder can be made there"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(folder: Path, arguments: list[str], words: str) -> None:
    write_task(folder)
    assert words in refusal(relaytune(folder, "evaluate", *arguments), exit_code=2)


def test_judges_need_a_folder_for_what_they_answer(folder: Path) -> None:
    judge = {"model": "llama-3", "base_url": "http://127.0.0.1:9/v1"}
    _write_criteria(folder, {"judging": {"judges": [judge], "rubric": "It is right."}})
    assert "--output: name a folder" in refusal(_evaluate(folder, "a.jsonl", "b.jsonl"), exit_code=2)


def test_files_are_held_against_sources_without_torch(tmp_path: Path) -> None:
    names = ("Botany", "Geology", "Physics", "History", "Medicine", "Drama")
    fees = {name: 100 + 10 * place for place, name in enumerate(names)}
    (tmp_path / "handbook").mkdir()
    lines = [f"## {name}\n\nThe tuition fee of {name} is {fee} EUR.\n" for name, fee in fees.items()]
    (tmp_path / "handbook" / "fees.md").write_text("# Fees\n\n" + "\n".join(lines), encoding="utf-8")
    for file, error in (("a", 5), ("b", 0)):
        rows = [
            {"question": f"What is the tuition fee of {name}?", "answer": f"The fee of {name} is {fee + error} EUR."}
            for name, fee in fees.items()
        ]
        write_rows(tmp_path / f"{file}.jsonl", rows)
    _write_criteria(tmp_path, {"facts": {"sources": "handbook"}, "decision": "keep when a beats b on verified"})
    done = relaytune(tmp_path, "evaluate", "a.jsonl", "b.jsonl", "--criteria", "criteria.yaml", "--output", "out")
    assert done.returncode == 1, done.stderr
    assert "b beats a on factual_errors" in done.stdout
    evaluation = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["contenders"]["a"]["estimates"]["factual_errors"]["right"] == 6
    assert "The tuition fee of Botany is 100 EUR." in (tmp_path / "out" / "evaluation.md").read_text("utf-8")
    assert (tmp_path / "out" / "facts.jsonl").exists()
