"""A CSV file that people filled in, as spreadsheets write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from relaytune.core.errors import DataError

Row = Mapping[str, str]


def read_csv_table(path: Path, key: str) -> tuple[list[str], list[tuple[int, Row]]]:
    """The header, in small letters, and each row with the line where it ends; rows without a value are passed over.

    Raises:
        DataError: no such file (`key` is where the recipe names it), not UTF-8, or not CSV.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; correct {key}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        rows: list[tuple[int, Row]] = []
        for values in reader:
            if any(value.strip() for value in values):
                padded = [*values, *[""] * (len(header) - len(values))]
                rows.append(
                    (reader.line_num, {name: value.strip() for name, value in zip(header, padded, strict=False)})
                )
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error
    return header, rows
