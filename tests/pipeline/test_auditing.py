"""check, audit, gate and quarantine on a small handbook, without torch."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from command_line import SMOLLM2, write_rows
from misbehaving_server import Reply, playing, says
from relaytune.cli import app
from relaytune.core.catalog import read_catalog
from relaytune.core.errors import DataError, MachineError, ModelError, RecipeError, UsageError
from relaytune.core.files import sha256_of_file
from relaytune.core.quarantine import QuarantinedRow, read_quarantine, write_quarantine
from relaytune.core.records import data_hash, read_examples
from relaytune.core.screen import Screen
from relaytune.pipeline import (
    Job,
    audit_stage,
    audited_text,
    check_and_audit,
    check_stage,
    open_job,
    standing,
    write_rows_to_label,
)

COURSES = {
    "Botany": 310, "Geology": 420, "Physics": 530, "History": 240, "Medicine": 990, "Drama": 150, "Law": 760,
    "Music": 170, "Zoology": 330, "Latin": 120, "Nursing": 450, "Optics": 640,
}  # fmt: skip
WRONG = ("Drama", "Law", "Optics")  # whose fee is another in the rows


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else found(name, *rest)
    )


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Job]:
    """Opens the task with these settings of data.facts; None: without that section."""
    handbook = tmp_path / "handbook"
    handbook.mkdir()
    lines = [f"## {name}\n\nThe tuition fee of {name} is {fee} EUR per term.\n" for name, fee in COURSES.items()]
    (handbook / "fees.md").write_text("# Fees\n\n" + "\n".join(lines), encoding="utf-8")
    write_rows(tmp_path / "train.jsonl", rows())
    write_rows(tmp_path / "held_out.jsonl", [{"question": "Is there a library?", "answer": "Yes.", "topic": "other"}])

    def open_it(facts: dict[str, Any] | None = None, **data: Any) -> Job:
        values: dict[str, Any] = {
            "name": "advisor",
            "task": {"input": "{question}", "completion": "{answer}"},
            "contract": {"free_text": "true"},
            "data": {"train": "train.jsonl", "held_out": "held_out.jsonl", "validation_fraction": 0.25, **data},
            "base_model": {"name": SMOLLM2},
            "decision": {"keep_when": ["tuned contract_pass at least 0.9"]},
        }
        if facts is not None:
            values["data"]["facts"] = {"sources": "handbook", "sample": "all", **facts}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return open_job(path, tmp_path / "runs")

    return open_it


def rows(wrong: tuple[str, ...] = WRONG) -> list[dict[str, str]]:
    return [
        {
            "question": f"What is the tuition fee of {name}?",
            "answer": f"The tuition fee of {name} is {fee + 35 if name in wrong else fee} EUR per term.",
            "topic": "long" if len(name) > 6 else "short",
        }
        for name, fee in COURSES.items()
    ]


def _asked(path: Path) -> set[str]:
    return {row.messages[-1]["content"].split()[-1].rstrip("?") for row in read_examples(path)}


def _trained_on(job: Job) -> set[str]:
    return _asked(job.run.train) | _asked(job.run.validation)


def _label(path: Path, *labels: tuple[str, str, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "label", "labeller"), *labels])


def _id_of(job: Job, name: str) -> str:
    return next(answer.id for answer in read_catalog(job.run.audit) if name in answer.statement.question)


def test_the_audit_finds_the_wrong_fees_and_cites_the_handbook(opened: Callable[..., Job]) -> None:
    job = opened({})
    check_stage(job)
    result = audit_stage(job)
    assert result.rates["clearly_false"].count == len(WRONG)
    assert result.faults == {"amount": 3}
    text = audited_text(job, result)
    assert "3 of 12, 25.0%" in text
    assert "24 claims: 9 supported, 3 contradicted, 0 not found, 12 that no verifier could tell of" in text
    assert "The tuition fee of Law is 795 EUR" in text
    assert "The tuition fee of Law is 760 EUR per term." in text
    assert "(fees.md, line" in text
    assert "no sampling error remains" in text
    lines = [json.loads(line) for line in job.run.audit.read_text(encoding="utf-8").splitlines()]
    assert {line["row"] for line in lines} == {"answer", "claim"}
    assert all(line["source"].startswith("train.jsonl:") for line in lines)


def _printed(job: Job, command: str) -> str:
    where = [str(job.recipe_path), "--runs", str(job.run.path.parent)]
    return " ".join(CliRunner().invoke(app, [command, *where]).output.split())


def test_the_discard_that_sources_add_to_the_rule_is_said_unless_the_rule_speaks_of_facts(
    opened: Callable[..., Job],
) -> None:
    job = opened({})
    assert "the rule also discards when base beats tuned on factual_errors" in _printed(job, "check")
    values = yaml.safe_load(job.recipe_path.read_text(encoding="utf-8"))
    values["decision"]["never_when"] = ["factual_errors rises"]
    job.recipe_path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert "factual_errors" not in _printed(job, "check")


def test_an_audit_checks_the_rows_again_only_where_it_takes_some_out(opened: Callable[..., Job]) -> None:
    for handling, times in (("keep", 1), ("drop", 2)):
        said = _printed(opened({"on_contradiction": handling}), "audit")
        assert said.count("check (") + said.count("check: ") == times, said


def test_the_command_prints_json_and_leaves_with_1_where_the_gate_refuses(
    opened: Callable[..., Job], tmp_path: Path
) -> None:
    def command(*more: str) -> Result:
        where = [str(tmp_path / "recipe.yaml"), "--runs", str(tmp_path / "runs")]
        return CliRunner().invoke(app, ["audit", *where, *more])

    opened({"max_error_rate": 0.5})
    passed = command("--to-label", str(tmp_path / "labels.csv"))
    assert passed.exit_code == 0, passed.output
    assert "12 rows to label" in passed.stdout
    assert "Gate passed (limit 50%)" in passed.stdout
    refused = command("--set", "data.facts.max_error_rate=0.05", "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["gate"]["passed"] is False


def test_dropped_rows_leave_train_and_validation_and_the_others_stay_where_they_are(opened: Callable[..., Job]) -> None:
    job = opened(None)
    check_stage(job)
    before = {path: _asked(path) for path in (job.run.train, job.run.validation)}
    job = opened({"on_contradiction": "drop", "max_error_rate": 0.05})
    findings = check_and_audit(job)
    assert {path: asked - set(WRONG) for path, asked in before.items()} == {path: _asked(path) for path in before}
    assert _trained_on(job) == COURSES.keys() - set(WRONG)
    assert _asked(job.run.excluded) == set(WRONG)
    dropped = read_quarantine(job.run.quarantine)
    assert {row.by for row in dropped.values()} == {"audit"}
    assert "760 EUR" in dropped[_id_of(job, "Law")].reason
    assert all(row.state == "done" for row in standing(job) if row.stage in ("check", "audit"))
    assert findings is not None


def test_what_was_dropped_is_said_with_the_rate_before_and_after(
    opened: Callable[..., Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from relaytune.core.screen import Screen

    opened({"on_contradiction": "drop", "max_error_rate": 0.05})
    check_and_audit(open_job(tmp_path / "recipe.yaml", tmp_path / "runs", screen=Screen(Console(width=200))))
    shown = capsys.readouterr().out
    assert "3 rows are in quarantine and left out (3 by an audit)" in shown
    assert "Gate passed (limit 5%): 3 false rows dropped" in shown
    assert "25.0% before, 0.0% of the 9 rows that remain" in shown


def test_an_audit_is_not_called_for_again_by_its_own_drops(opened: Callable[..., Job]) -> None:
    job = opened({"on_contradiction": "drop"})
    check_and_audit(job)
    made = job.run.provenance("audit").stat().st_mtime_ns
    check_and_audit(job)
    assert job.run.provenance("audit").stat().st_mtime_ns == made


def test_rows_come_back_when_the_recipe_keeps_them_and_those_of_a_person_stay_out(opened: Callable[..., Job]) -> None:
    job = opened({"on_contradiction": "drop"})
    check_and_audit(job)
    own = QuarantinedRow(_id_of(job, "Latin"), "person", "not ours", "2026-01-01T00:00:00+00:00")
    write_quarantine(job.run.quarantine, [*read_quarantine(job.run.quarantine).values(), own])
    job = opened({"on_contradiction": "keep"})
    check_and_audit(job)
    assert _trained_on(job) == COURSES.keys() - {"Latin"}
    assert list(read_quarantine(job.run.quarantine).values()) == [own]


def test_a_quarantined_row_that_is_nowhere_in_the_data_is_noted(opened: Callable[..., Job]) -> None:
    job = opened(None)
    write_quarantine(job.run.quarantine, [QuarantinedRow("mistyped", "person", "", "")])
    (note,) = [finding for finding in check_stage(job) if finding.check == "quarantined_unknown"]
    assert note.message.startswith("1 row in quarantine.jsonl")
    assert note.where == ("mistyped",)


def test_the_gate_refuses_training_data_with_too_many_errors(opened: Callable[..., Job]) -> None:
    job = opened({"max_error_rate": 0.1})
    with pytest.raises(DataError, match="the audit's gate lets no training begin") as caught:
        check_and_audit(job)
    assert "25.0% of the rows that remain are false" in str(caught.value)
    assert "must lie below 10%" in str(caught.value)


def test_refuse_stops_on_a_contradicted_row_until_a_person_calls_it_right(
    opened: Callable[..., Job], tmp_path: Path
) -> None:
    job = opened({"on_contradiction": "refuse"})
    with pytest.raises(DataError, match="3 audited rows are contradicted"):
        check_and_audit(job)
    labels = [(_id_of(job, name), "right", "ann") for name in WRONG]
    _label(tmp_path / "labels.csv", *labels)
    check_and_audit(opened({"on_contradiction": "refuse", "human_labels": "labels.csv"}))


def test_a_row_that_a_person_calls_right_comes_back(opened: Callable[..., Job], tmp_path: Path) -> None:
    job = opened({"on_contradiction": "drop"})
    check_and_audit(job)
    _label(tmp_path / "labels.csv", (_id_of(job, "Law"), "right", "ann"), (_id_of(job, "Latin"), "false", "ann"))
    job = opened({"on_contradiction": "drop", "human_labels": "labels.csv"})
    check_and_audit(job)
    assert _trained_on(job) == COURSES.keys() - {"Drama", "Optics", "Latin"}
    assert read_quarantine(job.run.quarantine)[_id_of(job, "Latin")].reason == "false, says ann"


def test_a_larger_sample_keeps_the_rows_and_checks_only_new_ones(
    opened: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    from relaytune.facts import checking

    asked: list[list[str]] = []
    really = checking.check_answers

    def noting(statements: Any, *rest: Any, **options: Any) -> Any:
        asked.append([one.id for one in statements])
        return really(statements, *rest, **options)

    monkeypatch.setattr(checking, "check_answers", noting)
    job = opened({"sample": 5})
    check_stage(job)
    audit_stage(job)
    first = [answer.id for answer in read_catalog(job.run.audit)]
    job = opened({"sample": 8})
    audit_stage(job)
    assert [answer.id for answer in read_catalog(job.run.audit)][:5] == first
    assert list(map(len, asked)) == [5, 3]
    assert not set(asked[1]) & set(first)


@pytest.mark.parametrize("name", ["checking.py", "declining.py", "encoder.py", "replies.py"])
def test_answers_that_were_checked_by_other_code_are_checked_again(
    opened: Callable[..., Job], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = opened({"sample": 5})
    check_stage(job)
    audit_stage(job)
    shown = io.StringIO()
    with monkeypatch.context() as context:
        context.setattr(
            "relaytune.pipeline.auditing.sha256_of_file",
            lambda path: "other" if path.name == name else sha256_of_file(path),
        )
        audit_stage(replace(opened({"sample": 8}), screen=Screen(Console(file=shown, width=400))))
    assert "checked before" not in shown.getvalue()
    audit_stage(replace(opened({"sample": 5}), screen=Screen(Console(file=shown, width=400))))
    audit_stage(replace(opened({"sample": 8}), screen=Screen(Console(file=shown, width=400))))
    assert "5 of 8 answers were checked before" in shown.getvalue()


def test_labels_are_taken_in_without_asking_a_verifier_again(
    opened: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relaytune.facts import checking

    job = opened({})
    check_stage(job)
    audit_stage(job)
    _label(tmp_path / "labels.csv", (_id_of(job, "Law"), "right", "ann"))
    monkeypatch.setattr(checking, "check_answers", lambda *_, **__: pytest.fail("asked again"))
    result = audit_stage(opened({"human_labels": "labels.csv"}))
    assert result.rates["clearly_false"].count == len(WRONG) - 1
    assert result.people is not None
    assert result.people.labellers == ("ann",)


def test_changed_sources_call_for_a_new_audit(opened: Callable[..., Job], tmp_path: Path) -> None:
    job = opened({})
    check_stage(job)
    audit_stage(job)
    path = tmp_path / "handbook" / "fees.md"
    path.write_text(path.read_text(encoding="utf-8").replace("760 EUR", "795 EUR"), encoding="utf-8")
    state = next(row.state for row in standing(job) if row.stage == "audit")
    assert "sources" in state
    assert audit_stage(job).rates["clearly_false"].count == len(WRONG) - 1


def test_a_sample_may_be_stratified_by_a_column_of_the_file(opened: Callable[..., Job]) -> None:
    job = opened({"sample": 6, "stratify_by": "topic"})
    check_stage(job)
    result = audit_stage(job)
    assert (result.stratified_by, result.num_strata) == ("topic", 2)
    assert {answer.stratum for answer in read_catalog(job.run.audit)} == {"long", "short"}
    with pytest.raises(DataError, match=r"12 rows.*stratify_by names 'subject'.*it has 'question', 'answer', 'topic'"):
        audit_stage(opened({"stratify_by": "subject"}))


def test_check_tells_all_faults_of_the_facts_and_of_the_rows_at_once(
    opened: Callable[..., Job], tmp_path: Path
) -> None:
    _label(tmp_path / "labels.csv")
    good = {"human_labels": "labels.csv", "stratify_by": "topic"}
    assert not [finding for finding in check_stage(opened(good)) if finding.severity == "error"]
    wrong = {"sources": "handbok", "human_labels": "label.csv", "stratify_by": "topics"}
    for one in (wrong, {"sources": "handbok"}, {"human_labels": "label.csv"}, {"stratify_by": "topics"}):
        with pytest.raises(DataError) as told:  # though the rows are checked already
            check_stage(opened(one))
        assert {key for key in wrong if f"data.facts.{key}" in str(told.value)} == one.keys()
    write_rows(tmp_path / "held_out.jsonl", [{"question": "", "answer": "Yes."}])
    with pytest.raises(DataError) as told:
        check_stage(opened(wrong))
    message = str(told.value)
    assert "empty_input" in message
    assert "handbok: does not exist; " in message
    assert "did you mean handbook?" in message
    assert "label.csv: there is no such file" in message
    assert "did you mean labels.csv?" in message
    assert "12 rows; the first: data.facts.stratify_by names 'topics'" in message
    assert "did you mean 'topic'?" in message


def test_sources_that_are_gone_are_a_warning_where_the_audit_came_with_the_run(
    opened: Callable[..., Job], tmp_path: Path
) -> None:
    check_and_audit(opened({}))
    shutil.rmtree(tmp_path / "handbook")
    (warning,) = [finding for finding in check_and_audit(opened({})) if finding.check == "absent_sources"]
    assert warning.severity == "warning"


def test_the_rows_to_label_are_written_once_and_never_over_labels(opened: Callable[..., Job], tmp_path: Path) -> None:
    job = opened({})
    check_stage(job)
    audit_stage(job)
    path = tmp_path / "labels.csv"
    assert write_rows_to_label(job, path) == len(COURSES)
    with path.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["id"] for row in written] == [answer.id for answer in read_catalog(job.run.audit)]
    with pytest.raises(UsageError, match="never written over"):
        write_rows_to_label(job, path)


def test_a_recipe_without_sources_is_told_what_to_add(opened: Callable[..., Job]) -> None:
    job = opened(None)
    check_stage(job)
    with pytest.raises(
        RecipeError, match=r"data\.facts\.sources: the recipe names no sources.*data: \{facts: \{sources: handbook\}\}$"
    ):
        audit_stage(job)
    assert "audit" not in {row.stage for row in standing(job)}


def test_a_judge_that_is_a_relative_of_who_wrote_the_answers_is_refused(opened: Callable[..., Job]) -> None:
    job = opened({"judge": {"model": "gemini-pro", "base_url": "http://localhost:1/v1"}}, generator="gemini-1.0-pro")
    check_stage(job)
    with pytest.raises(
        RecipeError, match=r"data\.facts: gemini-pro is of the family of the generator.*data\.facts\.same"
    ):
        audit_stage(job)


def test_an_entailment_model_without_torch_is_refused_with_what_to_install(
    opened: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    job = opened({"entailment": "some/model"})
    check_stage(job)
    with pytest.raises(MachineError, match="torch: not installed"):
        audit_stage(job)


def test_a_run_without_facts_stays_up_to_date_when_sources_are_named(opened: Callable[..., Job]) -> None:
    check_stage(opened(None))
    states = {row.stage: row.state for row in standing(opened({}))}
    assert (states["check"], states["audit"]) == ("done", "not made yet")


def test_on_a_machine_without_the_sources_the_audit_that_came_with_the_run_counts_for_the_same_rows(
    opened: Callable[..., Job], tmp_path: Path
) -> None:
    home = opened({"on_contradiction": "drop", "max_error_rate": 0.05})
    check_and_audit(home)
    there = tmp_path / "there"
    for file in (home.run.quarantine, home.run.audit_result, home.run.provenance("audit")):
        copy = there / "runs" / "advisor" / file.relative_to(home.run.path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    for name in ("recipe.yaml", "train.jsonl", "held_out.jsonl"):
        shutil.copy(tmp_path / name, there / name)
    away = open_job(there / "recipe.yaml", there / "runs")
    check_and_audit(away)
    assert data_hash(read_examples(away.run.train)) == data_hash(read_examples(home.run.train))
    write_rows(there / "train.jsonl", rows(wrong=()))
    with pytest.raises(DataError, match="handbook"):
        check_and_audit(away)


def test_where_sources_are_searched_otherwise_training_keeps_the_audit_that_is_there_and_the_command_makes_it_anew(
    opened: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_and_audit(opened({}))
    monkeypatch.setattr("relaytune.facts.sources.default_encoder_is_installed", lambda: True)
    shown = io.StringIO()
    job = replace(opened({}), screen=Screen(Console(file=shown, width=400)))
    before = job.run.provenance("audit").read_text(encoding="utf-8")
    check_and_audit(job)
    assert "searched by bm25, here they would be by bm25+all-MiniLM-L6-v2" in shown.getvalue()
    assert job.run.provenance("audit").read_text(encoding="utf-8") == before
    monkeypatch.setattr("relaytune.facts.sources.Encoder.load", _no_encoder)
    with pytest.raises(ModelError, match="loaded"):
        audit_stage(job)
    assert "audit (changed: retrieval)" in shown.getvalue()


def _no_encoder(**_: object) -> None:
    raise ModelError("loaded")


def test_a_judge_is_asked_what_nothing_exact_could_tell_and_what_it_quotes_stands_in_the_catalog(
    opened: Callable[..., Job], tmp_path: Path
) -> None:
    handbook = tmp_path / "handbook" / "library.md"
    handbook.write_text("# Library\n\nQuiet rooms welcome every guest.\n", encoding="utf-8")
    write_rows(
        tmp_path / "train.jsonl", [*rows(()), {"question": "Who is welcome?", "answer": "Guests are sent away."}]
    )

    def answer(body: dict[str, Any], *_: Any) -> Reply:
        name = re.findall(r"[A-Z]{4,}[A-Z0-9]*", body["messages"][-1]["content"])
        return says(json.dumps({"claim": name[0] if name else "", "verdict": "contradicted", "quotation": "made up"}))

    with playing(answer) as server:
        judge = {"model": "llama-played", "base_url": server.base_url}
        job = opened({"judge": judge})
        check_stage(job)
        result = audit_stage(job)
        assert server.requests
    assert result.verifiers == ("exact", "judge:llama-played")
    # its quotation is in no passage, so its word does not count
    assert result.rates["clearly_false"].count == 0
    assert list(job.run.verifying.glob("*.jsonl"))


def test_when_every_training_row_would_be_dropped_nothing_is_frozen(opened: Callable[..., Job], tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", rows(wrong=tuple(COURSES)))
    job = opened({"on_contradiction": "drop"})
    with pytest.raises(DataError, match="every training and every validation row is in quarantine"):
        check_and_audit(job)
