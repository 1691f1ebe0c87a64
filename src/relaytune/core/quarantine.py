"""Rows that are not trained on, each with the reason: dropped by the audit, traced, or taken out by a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from relaytune.core.errors import DataError
from relaytune.core.files import read_jsonl, write_jsonl


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that is left out of training and validation."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    id: str  # of the example
    by: Literal["audit", "trace", "person"]
    reason: str
    at: str  # when, UTC, ISO 8601


_ROW = TypeAdapter(QuarantinedRow)
_ADVICE = "Correct the file, or take out the line: its row comes back then."


def read_quarantine(path: Path) -> dict[str, QuarantinedRow]:
    """The quarantined rows by id; none where there is no file. People may have written into it.

    Raises:
        DataError: lines are not of quarantined rows (all of them at once).
    """
    if not path.exists():
        return {}
    rows: dict[str, QuarantinedRow] = {}
    faults = []
    for number, line in enumerate(read_jsonl(path, advice=_ADVICE), start=1):
        try:
            row = _ROW.validate_python(line)
        except ValidationError as error:
            found = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors(include_url=False))
            faults.append(f"  - {path}:{number}: {found}")
            continue
        if row.id in rows:
            faults.append(f"  - {path}:{number}: the row {row.id} stands here twice")
        rows[row.id] = row
    if faults:
        needed = "id (of a row), by (audit, trace or person), reason, at (the time)"
        raise DataError("\n".join([f"{path}: not all lines are of quarantined rows: {needed}", *faults, _ADVICE]))
    return rows


def write_quarantine(path: Path, rows: Iterable[QuarantinedRow]) -> None:
    """Write the rows, by id; no file where there are none."""
    ordered = sorted(rows, key=lambda row: row.id)
    if ordered:
        write_jsonl(path, (asdict(row) for row in ordered))
    else:
        path.unlink(missing_ok=True)
