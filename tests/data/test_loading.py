from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from relaytune.core.records import Finding
from relaytune.data.loading import BLANK_LINES, UNREADABLE_FILE, UNREADABLE_ROW, load_rows


def only_fault(path: Path) -> Finding:
    """The one error of a file that gives no rows."""
    rows, findings = load_rows(path)
    assert rows == []
    assert [finding.severity for finding in findings] == ["error"]
    return findings[0]


def test_each_format_gives_the_same_rows(tmp_path: Path) -> None:
    rows = [{"text": "one, two", "label": "a"}, {"text": 'say "hi"\nagain', "label": "b"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "rows.csv").write_text('text,label\n"one, two",a\n"say ""hi""\nagain",b\n', encoding="utf-8")
    for name in ("rows.jsonl", "rows.json", "rows.csv"):
        loaded, findings = load_rows(tmp_path / name)
        assert findings == []
        assert [row.values for row in loaded] == rows


def test_a_source_names_the_line_where_the_row_stands(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n', encoding="utf-8")
    assert [row.source for row in load_rows(tmp_path / "rows.jsonl")[0]] == ["rows.jsonl:1", "rows.jsonl:3"]
    (tmp_path / "rows.csv").write_text('a,b\n"two\nlines",1\n\nx,2\n', encoding="utf-8")
    assert [row.source for row in load_rows(tmp_path / "rows.csv")[0]] == ["rows.csv:2", "rows.csv:5"]
    (tmp_path / "rows.json").write_text('[{"a": 1}, {"a": 2}]', encoding="utf-8")
    assert [row.source for row in load_rows(tmp_path / "rows.json")[0]] == ["rows.json[0]", "rows.json[1]"]


def test_sources_use_the_name_that_the_recipe_gives(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n', encoding="utf-8")
    rows, _ = load_rows(tmp_path / "rows.jsonl", "data/rows.jsonl")
    assert rows[0].source == "data/rows.jsonl:1"


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, character: str) -> None:
    value = f"before{character}after"
    line = json.dumps({"a": value}, ensure_ascii=False)
    (tmp_path / "rows.jsonl").write_text(f"{line}\n{line}\n", encoding="utf-8")
    (tmp_path / "rows.csv").write_text(f"a,b\n{value},1\n{value},2\n", encoding="utf-8")
    for name in ("rows.jsonl", "rows.csv"):
        rows, findings = load_rows(tmp_path / name)
        assert findings == []
        assert [row.values["a"] for row in rows] == [value, value]
        assert rows[1].source.endswith(":2" if name == "rows.jsonl" else ":3")


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path, suffix: str) -> None:
    text = {"jsonl": '{"a": "x"}\r\n\r\n', "json": '[\r\n{"a": "x"}\r\n]\r\n', "csv": "a\r\nx\r\n\r\n"}[suffix]
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(codecs.BOM_UTF8 + text.encode())
    rows, findings = load_rows(path)
    assert [row.values for row in rows] == [{"a": "x"}]
    assert all(finding.severity == "note" for finding in findings)


def test_blank_lines_are_counted_in_one_note(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('\n{"a": 1}\n   \n\r\n{"a": 2}', encoding="utf-8")
    rows, findings = load_rows(tmp_path / "rows.jsonl")
    assert len(rows) == 2
    assert [(finding.severity, finding.check) for finding in findings] == [("note", BLANK_LINES)]
    assert findings[0].message.startswith("3 blank lines")


def test_all_faults_of_a_file_are_shown_and_the_good_rows_are_kept(tmp_path: Path) -> None:
    lines = [
        b'{"a": 1}',
        b'{"a": 1 "b": 2}',
        b"[1, 2]",
        b'{"a": "caf\xe9"}',
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a": 2}',
    ]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(lines))
    rows, findings = load_rows(tmp_path / "rows.jsonl")
    assert [row.source for row in rows] == ["rows.jsonl:1", "rows.jsonl:9"]
    assert {finding.check for finding in findings} == {UNREADABLE_ROW}
    expected = [
        ("rows.jsonl:2", "column 9 (Expecting ',' delimiter); the line begins '{\"a\": 1 \"b\": 2}'"),
        ("rows.jsonl:3", "an array: [1, 2]"),
        ("rows.jsonl:4", "byte 11 of the line is 0xe9"),
        ("rows.jsonl:5", "'a' stands twice"),
        ("rows.jsonl:6", "NaN is not JSON"),
        ("rows.jsonl:7", "surrogate"),
        ("rows.jsonl:8", "nested too deeply"),
    ]
    assert [finding.where for finding in findings] == [(place,) for place, _ in expected]
    for finding, (_, words) in zip(findings, expected, strict=True):
        assert words in finding.message


def test_a_long_broken_line_is_shown_by_its_start_only(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": "' + "x" * 5000, encoding="utf-8")
    fault = only_fault(tmp_path / "rows.jsonl")
    assert '{"a": "xxx' in fault.message
    assert len(fault.message) < 300


def test_a_missing_file_names_the_files_that_are_nearly_called_so(tmp_path: Path) -> None:
    (tmp_path / "tickets_train.jsonl").write_text("{}", encoding="utf-8")
    fault = only_fault(tmp_path / "ticket_train.jsonl")
    assert fault.check == UNREADABLE_FILE
    assert "tickets_train.jsonl" in fault.advice
    assert "does not exist" in only_fault(tmp_path / "nowhere" / "train.jsonl").advice


def test_a_folder_an_empty_file_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    assert "is a folder" in only_fault(tmp_path / "folder.jsonl").message
    (tmp_path / "blank.csv").write_bytes(codecs.BOM_UTF8 + b"\n \n")
    assert "is empty" in only_fault(tmp_path / "blank.csv").message
    (tmp_path / "rows.xlsx").write_text("a", encoding="utf-8")
    fault = only_fault(tmp_path / "rows.xlsx")
    assert ".xlsx" in fault.message
    assert ".jsonl" in fault.advice


@pytest.mark.parametrize(("name", "text"), [("rows.json", "[]"), ("rows.csv", "a,b\n")])
def test_a_file_without_rows_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert "no rows" in only_fault(tmp_path / name).message


def test_a_file_in_another_encoding_is_refused_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "utf16.csv").write_bytes("a,b\n1,2\n".encode("utf-16"))
    assert "UTF-16" in only_fault(tmp_path / "utf16.csv").message
    (tmp_path / "latin.csv").write_bytes("text,label\nok,a\ncafé,b\n".encode("latin-1"))
    fault = only_fault(tmp_path / "latin.csv")
    assert fault.where == ("latin.csv:3",)
    assert "byte 4 of the line is 0xe9" in fault.message


@pytest.mark.parametrize("text", ['[{"a": 1}]', '[\n  {"a": 1},\n  {"a": 2}\n]\n'])
def test_a_json_array_named_jsonl_gives_one_error_not_one_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    assert ".json" in only_fault(tmp_path / "rows.jsonl").advice


def test_json_that_is_no_array_of_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('{"rows": []}', encoding="utf-8")
    assert "not a JSON array" in only_fault(path).message
    path.write_text('{"a": 1}\n{"a": 2}\n', encoding="utf-8")
    assert ".jsonl" in only_fault(path).advice
    path.write_text('[{"a": 1},\n{"a": }]', encoding="utf-8")
    fault = only_fault(path)
    assert fault.where == ("rows.json:2",)
    assert "column 7" in fault.message
    path.write_text('[{"a": 1}, 5, {"a": 2}]', encoding="utf-8")
    rows, findings = load_rows(path)
    assert [row.source for row in rows] == ["rows.json[0]", "rows.json[2]"]
    assert [finding.where for finding in findings] == [("rows.json[1]",)]


def test_uneven_csv_rows_are_each_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n1,2,3\n1\n3,4\n", encoding="utf-8")
    rows, findings = load_rows(tmp_path / "rows.csv")
    assert [row.values for row in rows] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert [finding.where for finding in findings] == [("rows.csv:3",), ("rows.csv:4",)]
    assert "3 columns where the header has 2" in findings[0].message


@pytest.mark.parametrize("record", ['"open,2\n3,4\n', '"x"y,2\n'])
def test_broken_csv_quoting_names_the_line_where_the_record_starts(tmp_path: Path, record: str) -> None:
    (tmp_path / "rows.csv").write_text(f"a,b\n1,2\n{record}5,6\n", encoding="utf-8")
    rows, findings = load_rows(tmp_path / "rows.csv")
    assert len(rows) == 1
    assert [(finding.check, finding.where) for finding in findings] == [(UNREADABLE_FILE, ("rows.csv:3",))]


@pytest.mark.parametrize(
    ("header", "words"),
    [("a,,b", "column 2 has no name"), ("a,b,a", "'a' twice"), ("a;b", "separated by ';'")],
)
def test_a_csv_without_a_usable_header_is_refused(tmp_path: Path, header: str, words: str) -> None:
    (tmp_path / "rows.csv").write_text(f"{header}\n1,2,3\n", encoding="utf-8")
    assert words in only_fault(tmp_path / "rows.csv").message
