"""A CSV file that people filled in, as spreadsheets write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from relaytune.core.errors import DataError
from relaytune.core.files import nearest_names

Row = Mapping[str, str]


def read_csv_table(path: Path, key: str) -> tuple[list[str], list[tuple[int, Row]]]:
    """The header, in small letters, and each row with the line where it ends; rows without a value are passed over.

    Raises:
        DataError: no such file (`key` is where the recipe names it), not UTF-8, or not CSV; a title stands twice, or a
            row has more cells than there are titles.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; correct {key}; {nearest_names(path)}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); correct {key}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if repeated := sorted({name for name in header if name and header.count(name) > 1}):
            raise DataError(f"{path}:1: the title {repeated[0]!r} stands twice; which column counts?")
        rows: list[tuple[int, Row]] = []
        for values in reader:
            if any(value.strip() for value in values[len(header) :]):
                raise DataError(
                    f"{path}:{reader.line_num}: {len(values)} cells under {len(header)} titles; put a text that "
                    "holds a comma in quotation marks"
                )
            if any(value.strip() for value in values):
                padded = [*values, *[""] * (len(header) - len(values))]
                rows.append(
                    (reader.line_num, {name: value.strip() for name, value in zip(header, padded, strict=False)})
                )
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error
    return header, rows
