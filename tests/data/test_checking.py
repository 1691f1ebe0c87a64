from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data_files import (
    WordTemplate,
    errors_of,
    found,
    good_rows,
    recipe_of,
    write_good_data,
    write_rows,
)

from relaytune.core.errors import DataError
from relaytune.core.records import Finding
from relaytune.data import CheckedData, check, raise_on_errors

JSON_CONTRACT = {
    "label": "priority",
    "json_schema": {
        "type": "object",
        "properties": {"priority": {"enum": ["low", "high"]}, "reason": {"type": "string"}},
        "required": ["priority", "reason"],
        "additionalProperties": False,
    },
}
JSON_TASK = {"input": "{text}", "completion": {"json": ["priority", "reason"]}}


def check_with(folder: Path, train: list[Any], held_out: list[Any] | None = None, **changes: Any) -> CheckedData:
    """Check 60 good rows followed by these (so the first of these stands in line 61); held-out likewise."""
    write_rows(folder / "train.jsonl", good_rows(60) + train)
    write_rows(folder / "held_out.jsonl", good_rows(30, offset=1000) + (held_out or []))
    return check(recipe_of(**changes), folder, WordTemplate())


def row(text: str, label: str = "low") -> dict[str, str]:
    return {"text": text, "label": label}


def test_good_data_gives_no_errors_and_no_warnings(tmp_path: Path) -> None:
    write_good_data(tmp_path)
    checked = check(recipe_of(), tmp_path, WordTemplate())
    assert [finding for finding in checked.findings if finding.severity != "note"] == []
    assert (len(checked.train), len(checked.validation), len(checked.held_out)) == (54, 6, 30)
    assert checked.num_dropped == 0
    raise_on_errors(checked.findings)


def test_labels_are_counted_for_each_split(tmp_path: Path) -> None:
    write_good_data(tmp_path)
    message = found(check(recipe_of(), tmp_path, WordTemplate()).findings, "label_balance").message
    assert "train: low 27, high 27; validation: low 3, high 3; held_out: low 15, high 15" in message


def test_good_csv_data_with_windows_line_ends_gives_no_errors(tmp_path: Path) -> None:
    for name, rows in (("train.csv", good_rows(60)), ("held_out.csv", good_rows(30, 1000))):
        lines = ["text,label", *(f'"{each["text"]}, really",{each["label"]}' for each in rows)]
        (tmp_path / name).write_bytes(("\r\n".join(lines) + "\r\n").encode())
    checked = check(recipe_of(data={"train": "train.csv", "held_out": "held_out.csv"}), tmp_path, None)
    assert errors_of(checked.findings) == []
    assert checked.train[0].messages[-1]["content"].endswith(", really")


def test_without_a_template_a_note_says_what_was_not_checked(tmp_path: Path) -> None:
    write_good_data(tmp_path)
    finding = found(check(recipe_of(), tmp_path, None).findings, "not_measured")
    assert finding.severity == "note"
    assert "90 rows were not checked for length" in finding.message


def test_answers_outside_the_contract_are_one_finding_with_all_places(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("one", "urgent"), row("two"), row("three", "Low")])
    finding = found(checked.findings, "outside_contract")
    assert finding.severity == "error"
    assert finding.where == ("train.jsonl:61", "train.jsonl:63")
    assert "2 rows; the first: 'urgent' is not one of the 2 allowed labels" in finding.message
    assert finding.advice


def test_answers_that_are_no_json_are_told_apart_from_answers_that_break_the_schema(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": str(n)}], "completion": "x"} for n in range(2)]
    rows[0]["completion"] = "high"
    rows[1]["completion"] = '{"priority": "high"}'
    write_rows(tmp_path / "train.jsonl", rows)
    write_rows(tmp_path / "held_out.jsonl", rows)
    findings = check(recipe_of(task={}, contract=JSON_CONTRACT), tmp_path, None).findings
    messages = [f.message for f in findings if f.check == "outside_contract" and f.where[0][0] == "t"]
    assert len(messages) == 2
    assert "not JSON" in messages[0]
    assert "'reason' is a required property" in messages[1]


def test_the_same_row_twice_in_training_is_a_warning_and_both_are_kept(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("twice"), row("other words here"), row("twice")])
    finding = found(checked.findings, "same_row_twice")
    assert (finding.severity, finding.where) == ("warning", ("train.jsonl:61", "train.jsonl:63"))
    assert "all are kept" in finding.message
    assert len(checked.train) + len(checked.validation) == 63


def test_the_same_input_with_different_labels_is_an_error(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("unclear", "low"), row("unclear", "high")])
    finding = found(checked.findings, "contradictory_answers")
    assert (finding.severity, finding.where) == ("error", ("train.jsonl:61", "train.jsonl:62"))
    assert "'unclear' is answered 'low' in train.jsonl:61, 'high' in train.jsonl:62" in finding.message


def json_rows(*answers: tuple[str, str]) -> list[dict[str, str]]:
    same = [{"text": "same text", "priority": label, "reason": reason} for label, reason in answers]
    return [{"text": "another", "priority": "low", "reason": "r"}, *same]


def test_the_same_label_with_another_reason_is_only_a_warning(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", json_rows(("high", "smoke"), ("high", "fire")))
    write_rows(tmp_path / "held_out.jsonl", [{"text": "h", "priority": "low", "reason": "r"}])
    checked = check(recipe_of(task=JSON_TASK, contract=JSON_CONTRACT), tmp_path, None)
    assert errors_of(checked.findings) == []
    assert found(checked.findings, "several_answers").where == ("train.jsonl:2", "train.jsonl:3")


def test_another_label_is_an_error_whatever_the_reason(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", json_rows(("high", "smoke"), ("low", "smoke")))
    write_rows(tmp_path / "held_out.jsonl", [{"text": "h", "priority": "low", "reason": "r"}])
    checked = check(recipe_of(task=JSON_TASK, contract=JSON_CONTRACT), tmp_path, None)
    assert errors_of(checked.findings) == ["contradictory_answers"]


@pytest.mark.parametrize(("contract", "errors"), [("regex", ["contradictory_answers"]), ("free_text", [])])
def test_two_texts_contradict_each_other_unless_the_text_is_free(
    tmp_path: Path, contract: str, errors: list[str]
) -> None:
    checked = check_with(tmp_path, [row("same", "low"), row("same", "high")], contract={contract: "low|high"})
    assert errors_of(checked.findings) == errors
    if not errors:
        assert found(checked.findings, "several_answers").severity == "warning"


def test_two_ways_to_one_number_agree_and_two_numbers_contradict_each_other(tmp_path: Path) -> None:
    contract = {"number": {"after": "####"}}
    good = [{**row, "label": f"counted: {at}\n#### {at}"} for at, row in enumerate(good_rows(60))]
    write_rows(tmp_path / "held_out.jsonl", [{**row, "label": "#### 1"} for row in good_rows(30, 1000)])
    ways = [row("same", "9 + 9\n#### 18"), row("same", "2 * 9\n#### 18.0")]
    write_rows(tmp_path / "train.jsonl", good + ways)
    assert errors_of(check(recipe_of(contract=contract), tmp_path, None).findings) == []
    write_rows(tmp_path / "train.jsonl", [*good, *ways, row("same", "#### 19"), row("no mark", "18")])
    findings = check(recipe_of(contract=contract), tmp_path, None).findings
    assert errors_of(findings) == ["outside_contract", "contradictory_answers"]
    assert found(findings, "outside_contract").message.startswith("no '####' before the number")


def test_a_row_in_training_and_held_out_is_an_error(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("leaked words", "high")], [row("leaked words", "high")])
    finding = found(checked.findings, "row_in_both_splits")
    assert (finding.severity, finding.where) == ("error", ("train.jsonl:61", "held_out.jsonl:31"))
    assert "leaked words" in finding.message
    assert "near_duplicates" not in {each.check for each in checked.findings}


def test_an_input_in_training_and_held_out_is_an_error_with_another_answer_too(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("leaked words", "low")], [row("leaked words", "high")])
    assert errors_of(checked.findings) == ["input_in_both_splits"]


def test_a_row_twice_in_training_only_is_no_leak(tmp_path: Path) -> None:
    assert errors_of(check_with(tmp_path, [row("twice"), row("twice")]).findings) == []


def test_the_same_input_twice_in_held_out_is_a_warning(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [], [row("again"), row("again", "high")])
    finding = found(checked.findings, "held_out_input_twice")
    assert (finding.severity, finding.where) == ("warning", ("held_out.jsonl:31", "held_out.jsonl:32"))
    assert "counts as one case in every interval and test" in finding.advice
    assert len(checked.held_out) == 32


def test_the_very_same_row_twice_in_held_out_is_asked_once_and_named(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [], [row("again"), row("other words here"), row("again")])
    finding = found(checked.findings, "held_out_input_twice")
    assert finding.where == ("held_out.jsonl:31", "held_out.jsonl:33")
    assert [example.source for example in checked.held_out[30:]] == ["held_out.jsonl:31", "held_out.jsonl:32"]


NEAR = "the screen of my laptop stays black after the update of last night and nothing helps at all so far"


def test_a_near_duplicate_of_a_held_out_row_is_named_with_its_similarity(tmp_path: Path) -> None:
    # 20 words, 18 shingles; one more word at the end: 18 of 19 in common
    checked = check_with(tmp_path, [row(NEAR + " today")], [row(NEAR)])
    finding = found(checked.findings, "near_duplicates")
    assert finding.severity == "warning"
    assert "train.jsonl:61 ~ held_out.jsonl:31 (0.95)" in finding.message
    assert finding.where == ("train.jsonl:61", "held_out.jsonl:31")


def test_case_and_punctuation_do_not_hide_a_near_duplicate(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row(NEAR.upper() + "!")], [row(NEAR)])
    assert "(1.00)" in found(checked.findings, "near_duplicates").message


def test_rows_that_share_less_than_the_threshold_are_not_near_duplicates(tmp_path: Path) -> None:
    # a changed word in the middle breaks 3 of 18 shingles: 15 / 21 = 0.71
    checked = check_with(tmp_path, [row(NEAR.replace("update", "upgrade"))], [row(NEAR)])
    assert "near_duplicates" not in {finding.check for finding in checked.findings}


def test_the_words_of_the_template_do_not_make_rows_alike(tmp_path: Path) -> None:
    template = f"{NEAR}: {{text}} ({NEAR})"
    task = {"input": template, "completion": "{label}"}
    checked = check_with(tmp_path, [row("red")], [row("blue")], task=task)
    assert "near_duplicates" not in {finding.check for finding in checked.findings}


def test_rows_longer_than_max_length_are_named_with_their_tokens(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("word " * 40)], [row("term " * 50)], training__max_length=20)
    findings = [finding for finding in checked.findings if finding.check == "too_long"]
    assert [(f.severity, f.where) for f in findings] == [
        ("error", ("held_out.jsonl:31",)),
        ("error", ("train.jsonl:61",)),
    ]
    assert "train.jsonl:61 44 tokens (43 + 1)" in findings[1].message
    assert "training.max_length to 44" in findings[1].advice
    assert any(example.messages[-1]["content"] == "word " * 40 for example in checked.train + checked.validation)


def test_a_special_token_in_the_text_is_an_error(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("stop here <|end|> now")])
    finding = found(checked.findings, "special_token")
    assert (finding.severity, finding.where) == ("error", ("train.jsonl:61",))
    assert "'<|end|>'" in finding.message


def test_a_template_without_special_tokens_finds_none(tmp_path: Path) -> None:
    write_good_data(tmp_path)
    template = WordTemplate()
    template.special_tokens = ()
    assert errors_of(check(recipe_of(), tmp_path, template).findings) == []


def test_a_completion_without_a_supervised_token_is_an_error(tmp_path: Path) -> None:
    assert errors_of(check_with(tmp_path, [row("silent")]).findings) == ["no_supervised_token"]


def test_a_row_that_the_template_cannot_render_is_an_error_beside_the_others(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("untemplatable"), row("fine", "wrong")])
    assert set(errors_of(checked.findings)) == {"template", "outside_contract"}
    assert found(checked.findings, "template").where == ("train.jsonl:61",)


def test_a_label_without_rows_is_a_warning_for_each_split(tmp_path: Path) -> None:
    write_good_data(tmp_path)
    findings = check(recipe_of(contract={"labels": ["low", "high", "urgent"]}), tmp_path, None).findings
    messages = [finding.message for finding in findings if finding.check == "absent_label"]
    assert ["training" in messages[0], "held-out" in messages[1]] == [True, True]
    assert all("'urgent'" in message for message in messages)


def test_few_rows_are_a_warning_that_says_what_it_means(tmp_path: Path) -> None:
    write_good_data(tmp_path, train=49, held_out=29)
    findings = check(recipe_of(), tmp_path, None).findings
    assert "49 training rows" in found(findings, "few_training_rows").message
    assert "±18 points" in found(findings, "few_held_out_rows").message


def test_white_space_around_completions_is_one_note(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [row("one", " low"), row("two", "low "), row("three", "high\n")])
    assert errors_of(checked.findings) == []
    finding = found(checked.findings, "completion_white_space")
    assert finding.severity == "note"
    assert finding.message.startswith("3 rows; the first")


def test_faults_of_every_kind_are_shown_at_once(tmp_path: Path) -> None:
    faulty = [
        "no object",
        {"text": "no label"},
        row("", "low"),
        row("bad label", "?"),
        row("torn", "low"),
        row("torn", "high"),
        row("leaked"),
        row("has <|end|> in it"),
        row("word " * 600),
    ]
    checked = check_with(tmp_path, faulty, [row("leaked"), row("held bad", "?")])
    assert sorted(errors_of(checked.findings)) == [
        "contradictory_answers",
        "empty_input",
        "missing_column",
        "outside_contract",
        "outside_contract",
        "row_in_both_splits",
        "special_token",
        "too_long",
        "unreadable_row",
    ]
    severities = [finding.severity for finding in checked.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert checked.num_dropped == 0
    with pytest.raises(DataError) as raised:
        raise_on_errors(checked.findings)
    for place in ("train.jsonl:61", "train.jsonl:65", "train.jsonl:69", "held_out.jsonl:32"):
        assert place in str(raised.value)


def test_drop_leaves_out_faulty_training_rows_and_counts_them(tmp_path: Path) -> None:
    faulty = [
        "no object",
        row("bad label", "?"),
        row("torn", "low"),
        row("torn", "high"),
        row("leaked"),
        row("good one"),
    ]
    checked = check_with(tmp_path, faulty, [row("leaked")], data__on_error="drop")
    assert errors_of(checked.findings) == []
    assert checked.num_dropped == 5
    kept = checked.train + checked.validation
    assert len(kept) == 61
    assert {e.messages[-1]["content"] for e in kept}.isdisjoint({"bad label", "torn", "leaked"})
    assert len(checked.held_out) == 31
    finding = found(checked.findings, "dropped_rows")
    assert finding.severity == "warning"
    assert finding.message.startswith("5 faulty training rows were left out")
    assert found(checked.findings, "contradictory_answers").message.startswith("left out: ")


def test_a_row_that_is_dropped_contradicts_nobody(tmp_path: Path) -> None:
    rows = [row("torn " + "word " * 600, "low"), row("torn", "?"), row("torn", "high")]
    checked = check_with(tmp_path, rows, data__on_error="drop")
    assert checked.num_dropped == 2
    assert any(e.messages[-1]["content"] == "torn" for e in checked.train + checked.validation)


def test_drop_never_forgives_a_held_out_row_or_a_file(tmp_path: Path) -> None:
    checked = check_with(tmp_path, [], [row("bad label", "?"), "no object"], data__on_error="drop")
    assert errors_of(checked.findings) == ["unreadable_row", "outside_contract"]
    (tmp_path / "train.jsonl").unlink()
    checked = check(recipe_of(data__on_error="drop"), tmp_path, None)
    assert errors_of(checked.findings)[-1] == "unreadable_file"


def test_dropping_every_training_row_is_an_error(tmp_path: Path) -> None:
    write_good_data(tmp_path)
    write_rows(tmp_path / "train.jsonl", [row("a", "?"), row("b", "?")])
    checked = check(recipe_of(data__on_error="drop"), tmp_path, None)
    assert errors_of(checked.findings) == ["too_few_inputs"]
    assert checked.num_dropped == 2


def test_a_missing_file_is_one_error_and_the_other_file_is_checked_still(tmp_path: Path) -> None:
    write_rows(tmp_path / "held_out.jsonl", [row("a", "?")])
    checked = check(recipe_of(), tmp_path, None)
    assert errors_of(checked.findings) == ["outside_contract", "unreadable_file"]


def test_the_same_file_for_both_splits_is_one_error(tmp_path: Path) -> None:
    write_good_data(tmp_path)
    data = {"train": "train.jsonl", "held_out": "./train.jsonl"}
    assert errors_of(check(recipe_of(data=data), tmp_path, None).findings) == ["same_file"]


def test_a_subset_is_drawn_by_the_seed_and_noted(tmp_path: Path) -> None:
    write_good_data(tmp_path)
    limits = {"data__max_train_rows": 55, "data__max_held_out_rows": 10}
    checked = check(recipe_of(**limits), tmp_path, None)
    again = check(recipe_of(**limits), tmp_path, None)
    other = check(recipe_of(**limits, training__seed=1), tmp_path, None)
    assert (len(checked.train) + len(checked.validation), len(checked.held_out)) == (55, 10)
    assert again == checked
    assert [e.id for e in other.held_out] != [e.id for e in checked.held_out]
    notes = [finding for finding in checked.findings if finding.check == "subset"]
    assert [(note.severity, note.where) for note in notes] == [
        ("note", ("held_out.jsonl",)),
        ("note", ("train.jsonl",)),
    ]
    assert "55 of 60 rows are used" in notes[1].message


def test_sources_and_findings_use_the_names_in_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    write_good_data(tmp_path / "files")
    data = {"train": "files/train.jsonl", "held_out": "files/held_out.jsonl"}
    checked = check(recipe_of(data=data), tmp_path, None)
    assert checked.held_out[0].source == "files/held_out.jsonl:1"


def test_the_error_shows_twenty_places_and_counts_the_rest() -> None:
    places = tuple(f"train.jsonl:{number}" for number in range(1, 26))
    findings = [
        Finding("error", "outside_contract", "not a label", places, "correct the answers"),
        Finding("warning", "few_training_rows", "a warning is not an error"),
    ]
    with pytest.raises(DataError) as raised:
        raise_on_errors(findings)
    text = str(raised.value)
    assert "train.jsonl:20 and 5 more" in text
    assert "train.jsonl:21" not in text
    assert "correct the answers" in text
    assert "a warning" not in text


def test_warnings_and_notes_raise_nothing() -> None:
    raise_on_errors([Finding("warning", "few_training_rows", "few"), Finding("note", "subset", "some")])
