"""Reading a user's rows: JSON Lines, a JSON array or CSV. Faults are findings: all are seen at once."""

from __future__ import annotations

import codecs
import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaytune.core.files import nearest_names
from relaytune.core.records import Finding

# check names: a fault of the whole file leaves nothing to use; a fault of one row leaves the others
UNREADABLE_FILE = "unreadable_file"
UNREADABLE_ROW = "unreadable_row"
BLANK_LINES = "blank_lines"

_SAVE_AS_UTF8 = "save the file as UTF-8"
_OTHER_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@dataclass(frozen=True)
class Row:
    """One row of a data file: its columns, and where it stood.

    `source` is `file.jsonl:12` (lines count from 1; in CSV the line where the record starts) or
    `file.json[3]` (places in the array count from 0).
    """

    values: dict[str, Any]
    source: str


def load_rows(path: Path, name: str = "") -> tuple[list[Row], list[Finding]]:
    """Read all rows of a .jsonl, .json (array of objects) or .csv (with header) file in UTF-8.

    `name` is how the recipe names the file; sources use it (default: the file's own name).
    Nothing is raised for a faulty file: its faults come back as findings, with file:line.
    """
    name = name or path.name
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".json", ".csv"):
        allowed = "name a .jsonl, .json (an array of objects) or .csv (with a header) file"
        return [], [_file_fault(name, f"{suffix or 'no suffix'!r} is not a known kind of data file", allowed)]
    raw = _read_bytes(path, name)
    if isinstance(raw, Finding):
        return [], [raw]
    if suffix == ".jsonl":
        rows, findings = _rows_of_jsonl(raw, name)
    else:
        text = _decode(raw, name)
        if isinstance(text, Finding):
            return [], [text]
        rows, findings = _rows_of_json(text, name) if suffix == ".json" else _rows_of_csv(text, name)
    if not rows and not any(finding.severity == "error" for finding in findings):
        findings.append(_file_fault(name, "holds no rows", "give it at least one row"))
    return rows, findings


def shown(value: object, limit: int = 80) -> str:
    """A value as it appears in a message: quoted, on one line, at most `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _file_fault(where: str, message: str, advice: str) -> Finding:
    return Finding("error", UNREADABLE_FILE, message, (where,), advice)


def _row_fault(source: str, message: str, advice: str) -> Finding:
    return Finding("error", UNREADABLE_ROW, message, (source,), advice)


def _read_bytes(path: Path, name: str) -> bytes | Finding:
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        return _file_fault(name, f"{path} is a folder", "name a file in it")
    except FileNotFoundError:
        return _file_fault(name, f"there is no file {path}", nearest_names(path))
    except OSError as error:
        return _file_fault(name, f"{path} cannot be read ({error.strerror})", "allow it to be read")
    for mark, encoding in _OTHER_BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            message = f"its first bytes say that it is {encoding}, not UTF-8"
            return _file_fault(f"{name}:1", message, _SAVE_AS_UTF8)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    return raw if raw.strip() else _file_fault(name, "the file is empty", "give it at least one row")


def _decode(raw: bytes, name: str) -> str | Finding:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        return _file_fault(f"{name}:{line}", _not_utf8(raw[error.start], column), _SAVE_AS_UTF8)


def _not_utf8(byte: int, place: int) -> str:
    return f"not UTF-8: byte {place} of the line is 0x{byte:02x}"


def _rows_of_jsonl(raw: bytes, name: str) -> tuple[list[Row], list[Finding]]:
    # bytes are split at \n alone: a JSON string may hold U+2028, and a line that is not UTF-8 spoils no other
    lines = raw.removesuffix(b"\n").split(b"\n")
    rows: list[Row] = []
    findings: list[Finding] = []
    num_blank = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            num_blank += 1
            continue
        row = _row_of_line(line, f"{name}:{number}")
        if isinstance(row, Row):
            rows.append(row)
        elif not rows and not findings and _is_json_array(raw):
            advice = "end the file's name in .json, or write one object a line"
            return [], [_file_fault(f"{name}:{number}", "the whole file is one JSON array", advice)]
        else:
            findings.append(row)
    return rows, findings + _blank_lines(num_blank, name)


def _row_of_line(line: bytes, source: str) -> Row | Finding:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return _row_fault(source, _not_utf8(line[error.start], error.start + 1), _SAVE_AS_UTF8)
    try:
        value = _parse_json(text)
    except json.JSONDecodeError as error:
        message = f"not JSON at column {error.colno} ({error.msg}); the line begins {shown(text.strip())}"
        return _row_fault(source, message, "write one JSON object a line")
    except ValueError as error:
        return _row_fault(source, f"{error}; the line begins {shown(text.strip())}", "correct the line")
    return _row_of_value(value, source)


def _row_of_value(value: Any, source: str) -> Row | Finding:
    if not isinstance(value, dict):
        kind = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
        message = f"not an object but {kind.get(type(value), 'a number')}: {shown(value)}"
        return _row_fault(source, message, 'write an object of columns, e.g. {"text": "…", "label": "…"}')
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        message = f"holds half a surrogate pair ({shown(error.object[error.start])}), which is no character"
        return _row_fault(source, message, "remove it, or write the whole pair")
    return Row(value, source)


def _rows_of_json(text: str, name: str) -> tuple[list[Row], list[Finding]]:
    try:
        values = _parse_json(text)
    except json.JSONDecodeError as error:
        start = text.split("\n")[error.lineno - 1].strip()
        message = f"not JSON at column {error.colno} ({error.msg}); the line begins {shown(start)}"
        is_jsonl = error.msg == "Extra data" and text.lstrip().startswith("{")
        advice = "one object a line? Then end the file's name in .jsonl" if is_jsonl else "correct the line"
        return [], [_file_fault(f"{name}:{error.lineno}", message, advice)]
    except ValueError as error:
        return [], [_file_fault(name, str(error), "correct the file")]
    if not isinstance(values, list):
        advice = 'write an array of objects: [{"text": "…"}, …]'
        return [], [_file_fault(name, f"not a JSON array but {shown(values)}", advice)]
    read = [_row_of_value(value, f"{name}[{place}]") for place, value in enumerate(values)]
    return [row for row in read if isinstance(row, Row)], [each for each in read if isinstance(each, Finding)]


def _rows_of_csv(text: str, name: str) -> tuple[list[Row], list[Finding]]:
    # newline="": the csv module itself reads line ends inside quotes
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    findings: list[Finding] = []
    header: list[str] = []
    num_blank = 0
    line = 1
    try:
        for record in reader:
            source = f"{name}:{line}"
            line = reader.line_num + 1
            if not record:
                num_blank += 1
            elif not header:
                header = record
                if fault := _header_fault(header, source):
                    return [], [fault]
            elif len(record) != len(header):
                message = f"{len(record)} columns where the header has {len(header)}; begins {shown(record[0])}"
                findings.append(_row_fault(source, message, "put values that hold a comma in double quotes"))
            else:
                rows.append(Row(dict(zip(header, record, strict=True)), source))
    except csv.Error as error:
        # after a broken quote nobody can tell where the next record starts
        message = f"the CSV is broken in the record that starts here ({error}); nothing after it was read"
        advice = 'close every double quote, and write a double quote inside a value as ""'
        findings.append(_file_fault(f"{name}:{line}", message, advice))
    return rows, findings + _blank_lines(num_blank, name)


def _header_fault(header: list[str], source: str) -> Finding | None:
    advice = "the first line of a CSV file names its columns, each once, separated by commas"
    repeated = sorted({column for column in header if header.count(column) > 1 and column.strip()})
    if repeated:
        return _file_fault(source, f"the header names {', '.join(map(repr, repeated))} twice", advice)
    if any(not column.strip() for column in header):
        number = [column.strip() for column in header].index("") + 1
        message = f"no header: column {number} has no name in {shown(header)}"
        return _file_fault(source, message, advice)
    separator = next((mark for mark in ";\t" if mark in header[0]), "")
    if len(header) == 1 and separator:
        message = f"the header is one column, {shown(header[0])}; it seems to be separated by {separator!r}"
        return _file_fault(source, message, advice)
    return None


def _blank_lines(num_blank: int, name: str) -> list[Finding]:
    lines = "1 blank line was" if num_blank == 1 else f"{num_blank} blank lines were"
    return [Finding("note", BLANK_LINES, f"{lines} passed over", (name,))] if num_blank else []


def _is_json_array(raw: bytes) -> bool:
    try:
        return isinstance(_parse_json(raw.decode("utf-8")), list)
    except ValueError:
        return False


def _parse_json(text: str) -> Any:
    """Strict JSON: no key twice, no NaN. Raises ValueError."""
    try:
        return json.loads(text, object_pairs_hook=_refuse_repeated_keys, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {repeated!r} stands twice in one object")
    return values


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
