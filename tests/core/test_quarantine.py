from __future__ import annotations

import json
from pathlib import Path

import pytest

from relaytune.core.errors import DataError
from relaytune.core.quarantine import QuarantinedRow, read_quarantine, write_quarantine

ROW = QuarantinedRow("a1", "person", "the fee is outdated", "2026-11-22T09:00:00+00:00")


def test_what_was_written_is_read_and_an_empty_quarantine_has_no_file(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    write_quarantine(path, [ROW])
    assert read_quarantine(path) == {"a1": ROW}
    write_quarantine(path, [])
    assert not path.exists()
    assert read_quarantine(path) == {}


def test_all_lines_that_a_person_got_wrong_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    good = {"id": "a1", "by": "person", "reason": "", "at": ""}
    lines = [good, {**good, "by": "me"}, {**good, "id": 7}, {"id": "a2", "by": "trace"}, {**good, "note": "x"}, good]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(DataError) as refused:
        read_quarantine(path)
    shown = str(refused.value)
    assert [line.split(": ")[1] for line in shown.splitlines()[1:-1]] == [
        "by",
        "id",
        "reason",
        "note",
        "the row a1 stands here twice",
    ]
    assert "by (audit, trace or person)" in shown


def test_a_damaged_quarantine_is_not_to_be_deleted_since_nothing_makes_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    path.write_text("id: a1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"quarantine\.jsonl:1: not JSON .*Correct the file"):
        read_quarantine(path)
