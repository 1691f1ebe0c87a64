"""Rows that are not trained on, each with the reason: dropped by the audit, traced, or taken out by a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from relaytune.core.errors import DataError
from relaytune.core.files import read_jsonl, write_jsonl


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that is left out of training and validation."""

    id: str  # of the example
    by: Literal["audit", "trace", "person"]
    reason: str
    at: str  # when, UTC, ISO 8601


def read_quarantine(path: Path) -> dict[str, QuarantinedRow]:
    """The quarantined rows by id; none where there is no file.

    Raises:
        DataError: a line is not of a quarantined row.
    """
    if not path.exists():
        return {}
    rows = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            rows[row["id"]] = QuarantinedRow(**row)
        except (KeyError, TypeError) as error:
            raise DataError(f"{path}:{number}: not a quarantined row ({error}); it needs id, by, reason, at") from error
    return rows


def write_quarantine(path: Path, rows: Iterable[QuarantinedRow]) -> None:
    """Write the rows, by id; no file where there are none."""
    ordered = sorted(rows, key=lambda row: row.id)
    if ordered:
        write_jsonl(path, (asdict(row) for row in ordered))
    else:
        path.unlink(missing_ok=True)
