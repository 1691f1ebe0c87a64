from __future__ import annotations

from pathlib import Path

import pytest

from audited_rows import audited, contradicted_row
from relaytune.core.catalog import read_catalog, write_catalog
from relaytune.core.errors import RunError


def test_a_catalog_comes_back_as_it_was_written(tmp_path: Path) -> None:
    answers = [
        audited(0, "right"),
        contradicted_row(1, "It costs 795 EUR.", "It costs 760 EUR."),
        audited(2, "doubtful", ["false", "right"], stratum="fees"),
    ]
    write_catalog(tmp_path / "audit.jsonl", answers)
    assert read_catalog(tmp_path / "audit.jsonl") == answers


def test_a_line_of_another_version_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_catalog(path, [audited(0, "right")])
    path.write_text(
        path.read_text(encoding="utf-8") + '{"row": "claim", "text": "It costs 5 EUR."}\n', encoding="utf-8"
    )
    with pytest.raises(RunError, match=r"audit\.jsonl:2: not a line of this version's audit"):
        read_catalog(path)
