"""Reading and writing: every write is atomic, every hash is sha256."""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relaytune.core.errors import DataError, MachineError


def sha256_of_text(text: str) -> str:
    """Hex sha256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    """Hex sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def nearest_names(path: Path, folder: bool = False) -> str:
    """Which files, or folders, beside a missing one it may stand for; a piece of a message."""
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist either; paths are relative to the file that names them"
    names = sorted(entry.name for entry in path.parent.iterdir() if (entry.is_dir() if folder else entry.is_file()))
    close = difflib.get_close_matches(path.name, names, n=3)
    return f"did you mean {' or '.join(close)}?" if close else "paths are relative to the file that names them"


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces. What is hashed is this."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_of_value(value: Any) -> str:
    """Hex sha256 of a JSON value, whatever the order of its keys."""
    return sha256_of_text(canonical_json(value))


@contextmanager
def no_space_explained(path: Path) -> Iterator[None]:
    """Turn a full disk, or a folder that cannot be written, into one clear error."""
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        # safetensors has an error of its own, which names the system's only in its text
        if within := re.search(r"\(os error (\d+)\)", str(error)):
            number = int(within[1])
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise MachineError(
                f"{path}: the disk is full; nothing half-written was left. Free some space and run again."
            ) from error
        if number in (
            errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
        ):  # fmt: skip
            raise MachineError(
                f"{path}: cannot be written ({os.strerror(number)}). Choose another folder (--runs, --output, "
                "--to-label, or RELAYTUNE_CACHE)."
            ) from error
        raise


@contextmanager
def folder_replaced(folder: Path) -> Iterator[Path]:
    """A new, empty folder to fill; it takes the place of `folder` when the block ends well, and is gone otherwise."""
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    with no_space_explained(folder):
        new.mkdir(parents=True)
        try:
            yield new
            old = new.with_name(f"{new.name}.old")
            try:
                if folder.exists():
                    folder.rename(old)
                new.rename(folder)
            finally:
                if old.exists() and not folder.exists():  # stopped between the two: the old one is still the good one
                    old.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(new, ignore_errors=True)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A name beside `path` for a file that is to take its place; what is left there when the block ends is removed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name in the same folder, then rename it over the old one.

    Raises:
        MachineError: the disk is full, or the place cannot be written; the old file is as it was.
    """
    with no_space_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, indented for people."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json(path: Path) -> Any:
    """Read a JSON file that relaytune wrote.

    Raises:
        DataError: the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as JSON ({error}). Delete it; `relaytune run` makes it anew.") from error


def read_jsonl(
    path: Path, may_be_cut: bool = False, advice: str = "Delete the file; `relaytune run` makes it anew."
) -> list[dict[str, Any]]:
    """Read a JSON Lines file that relaytune wrote (for a user's data see data/loading.py).

    `may_be_cut` drops a last line without its end, of a file that is written line by line. `advice` says what to do
    about a faulty one.

    Raises:
        DataError: the file is not UTF-8, or a line is not a JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}). {advice}") from error
    if may_be_cut:
        text = text[: text.rfind("\n") + 1]
    rows = []
    # split("\n"), not splitlines(): a JSON string may hold U+2028
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error.msg}). {advice}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: a {type(row).__name__}, not a JSON object. {advice}")
        rows.append(row)
    return rows
