"""People's judgements from a CSV file, as the same records that judges make."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from relaytune.core.csv_table import Row, read_csv_table
from relaytune.core.errors import DataError
from relaytune.core.judging import HUMAN
from relaytune.core.records import Judgement, Rating

_PAIR_COLUMNS = ("id", "first", "second", "better")
_RATING_COLUMNS = ("id", "contender", "criterion", "value")
_MOST_SHOWN = 20  # faults

Answers = Mapping[str, Collection[str]]  # contender → ids of the rows that it answered


@dataclass(frozen=True)
class HumanLabels:
    """What people said; the judge of each is `human:ANNOTATOR`. A place left empty is unscored."""

    judgements: tuple[Judgement, ...] = ()
    ratings: tuple[Rating, ...] = ()

    @property
    def annotators(self) -> tuple[str, ...]:
        """The people as judges, in the order of their first label."""
        names = [*(row.judge for row in self.judgements), *(row.judge for row in self.ratings)]
        return tuple(dict.fromkeys(names))


def read_human_labels(
    path: Path, ids: Collection[str], answers: Answers, criteria: Collection[str], scale: int
) -> HumanLabels:
    """Read a CSV file of one of two kinds, told by its columns; more columns are ignored.

    Pairs: id, first, second (contenders), better (first, second or tie). Points: id, contender, criterion, value (0 to
    `scale`). In both: annotator, if there are several. An empty `better` or `value` is unscored.

    Raises:
        DataError: no such file, not CSV, or faults in it, all of them at once with their lines.
    """
    header, rows = read_csv_table(path, "judging.human_labels")
    rated = set(_RATING_COLUMNS) <= set(header)
    if rated == (set(_PAIR_COLUMNS) <= set(header)):
        raise DataError(
            f"{path}:1: columns {', '.join(header) or '(none)'}. Human labels have the columns "
            f"{', '.join(_PAIR_COLUMNS)} (pairs) or {', '.join(_RATING_COLUMNS)} (points), and annotator if there "
            "are several people."
        )
    faults: list[str] = []
    judgements: dict[tuple[str, ...], Judgement] = {}
    ratings: dict[tuple[str, ...], Rating] = {}
    for line, row in rows:
        found = list(_faults(row, rated, ids, answers, criteria, scale))
        judge = HUMAN + (row.get("annotator") or "1")
        key = (judge, *(row[name] for name in (_RATING_COLUMNS if rated else _PAIR_COLUMNS)[:3]))
        if key in judgements or key in ratings:
            found.append("the same person labelled this twice; keep one of the two")
        faults += [f"{path}:{line}: {fault}" for fault in found]
        if found:
            continue
        if rated:
            value = float(row["value"]) if row["value"] else None
            reason = "" if value is not None else "left empty"
            ratings[key] = Rating(row["id"], judge, row["contender"], row["criterion"], value, reason)
        else:
            better = row["better"] or None
            reason = "" if better else "left empty"
            judgements[key] = Judgement(row["id"], judge, row["first"], row["second"], better, reason)  # type: ignore[arg-type]
    if faults:
        more = f"\n  and {len(faults) - _MOST_SHOWN} more" if len(faults) > _MOST_SHOWN else ""
        shown = "\n".join(f"  {fault}" for fault in faults[:_MOST_SHOWN])
        raise DataError(f"{path}: {len(faults)} faults in the human labels\n{shown}{more}")
    return HumanLabels(tuple(judgements.values()), tuple(ratings.values()))


def _faults(
    row: Row, rated: bool, ids: Collection[str], answers: Answers, criteria: Collection[str], scale: int
) -> Iterator[str]:
    if row["id"] not in ids:
        yield f"id {row['id']!r} is of no held-out row"
    for column in ("contender",) if rated else ("first", "second"):
        if row[column] not in answers:
            yield f"{column} {row[column]!r} is no contender; there are {', '.join(answers)}"
        elif row["id"] in ids and row["id"] not in answers[row[column]]:
            yield f"{row[column]} has not answered the row {row['id']!r}, so there is nothing to label"
    if not rated:
        if row["first"] == row["second"]:
            yield f"first and second are both {row['first']!r}"
        if row["better"] not in ("first", "second", "tie", ""):
            yield f"better {row['better']!r} is not first, second or tie"
        return
    if row["criterion"] not in criteria:
        yield f"criterion {row['criterion']!r} is not in judging.criteria: {', '.join(criteria) or '(none)'}"
    if row["value"] and not _within(row["value"], scale):
        yield f"value {row['value']!r} is no number from 0 to {scale}"


def _within(text: str, scale: int) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and 0 <= value <= scale
