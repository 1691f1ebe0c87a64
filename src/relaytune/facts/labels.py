"""People's labels of audited answers: a CSV file to fill in, and the filled one."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relaytune.core.audit import HUMAN_VERDICTS, AuditedAnswer, HumanLabel
from relaytune.core.claims import CheckedClaim
from relaytune.core.counts import counted
from relaytune.core.csv_table import Row, read_csv_table
from relaytune.core.errors import DataError
from relaytune.core.files import write_text

COLUMNS = ("id", "source", "question", "answer", "claims", "passages", "label", "labeller", "note", "verifiers_say")
_NEEDED = ("id", "label")
_MOST_SHOWN = 20  # faults
NAMELESS = "a person"  # whoever labels, where the file has no names


def write_labels_to_fill(path: Path, answers: Sequence[AuditedAnswer]) -> None:
    """Write the audited rows in the order in which they were drawn: whoever labels from the top labels a random choice.

    A row that has labels stands once for each of them; the verifiers' verdict stands in the last column, so that it can
    be hidden while labelling.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for answer in answers:
        for given in answer.labels or (None,):
            writer.writerow(
                {
                    "id": answer.id,
                    "source": answer.source,
                    "question": _cell(answer.statement.question),
                    "answer": _cell(answer.statement.answer),
                    "claims": "\n".join(f"• {_part(found)}{found.claim.text}" for found in answer.checked.claims),
                    "passages": _cell("\n".join(_quotations(answer.checked.claims))),
                    "label": given.label if given else "",
                    "labeller": given.labeller if given else "",
                    "note": given.note if given else "",
                    "verifiers_say": answer.checked.verdict,
                }
            )
    write_text(path, text.getvalue())


def _part(found: CheckedClaim) -> str:
    return "taken for granted in the question: " if found.claim.part == "question" else ""


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _quotations(claims: Sequence[CheckedClaim]) -> list[str]:
    """What the verdicts rest on, each once."""
    quoted = {
        f"{one.document}, {one.place}: {one.quotation}": None
        for found in claims
        for verdict in found.verdicts
        for one in verdict.evidence
    }
    return list(quoted)


@dataclass(frozen=True)
class HumanLabels:
    """What people said, by the id of the row; `num_unknown` labels are of rows that are not in the data (any more)."""

    by_id: Mapping[str, tuple[HumanLabel, ...]]
    num_unknown: int


def read_human_labels(path: Path, ids: Collection[str]) -> HumanLabels:
    """Read a CSV file: id, label (right, doubtful or false) and, if several people label, labeller; note.

    A label left empty is none; other columns are ignored. `ids` are those of all training rows. A row that was
    corrected has another id: a label of the old one is counted, and not used.

    Raises:
        DataError: no such file, not CSV, or faults in it, all of them at once with their lines.
    """
    header, rows = read_csv_table(path, "data.facts.human_labels")
    if missing := [name for name in _NEEDED if name not in header]:
        raise DataError(
            f"{path}:1: no column {' and no column '.join(missing)} among {', '.join(header) or '(none)'}. Labels have "
            "the columns id and label, and labeller if there are several people; "
            "`relaytune audit RECIPE --to-label FILE` writes them."
        )
    labels: dict[str, dict[str, HumanLabel]] = {}
    faults: list[str] = []
    for line, row in rows:
        if not row["label"]:
            continue
        labeller = row.get("labeller") or NAMELESS
        found = list(_faults(row, labels, labeller))
        faults += [f"{path}:{line}: {fault}" for fault in found]
        if not found:
            label = next(verdict for verdict in HUMAN_VERDICTS if verdict == row["label"].lower())
            labels.setdefault(row["id"], {})[labeller] = HumanLabel(labeller, label, row.get("note", ""))
    if labels and not faults and not labels.keys() & set(ids):
        faults = [
            f"{path}:1: no id in it is of a training row; is it the file of other data? Ids are those that --to-label "
            "writes, no column of your data."
        ]
    if faults:
        more = f"\n  and {len(faults) - _MOST_SHOWN} more" if len(faults) > _MOST_SHOWN else ""
        shown = "\n".join(f"  {fault}" for fault in faults[:_MOST_SHOWN])
        count = counted(len(faults), "fault")
        raise DataError(f"{path}: {count} in the labels\n{shown}{more}")
    known = {id: tuple(by_person.values()) for id, by_person in labels.items() if id in ids}
    return HumanLabels(known, sum(len(by_person) for id, by_person in labels.items() if id not in ids))


def _faults(row: Row, labels: Mapping[str, Mapping[str, HumanLabel]], labeller: str) -> Iterator[str]:
    if not row["id"]:
        yield "no id; it says which row the label is of"
    if row["label"].lower() not in HUMAN_VERDICTS:
        yield f"label {row['label']!r} is none of {', '.join(HUMAN_VERDICTS)} (or empty)"
    if labeller in labels.get(row["id"], {}):
        yield (
            f"labeller {labeller!r} labelled the row {row['id']} twice; keep one of the two, or "
            "say in the column labeller which two people did"
        )
