from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relaytune.core.errors import DataError, MachineError
from relaytune.core.files import (
    folder_replaced,
    no_space_explained,
    read_json,
    read_jsonl,
    sha256_of_file,
    sha256_of_text,
    sha256_of_value,
    write_json,
    write_jsonl,
    write_text,
)


def test_a_write_makes_the_folders_above_it_and_leaves_only_the_file(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "tickets" / "plan.json"
    write_json(path, {"später": 1})
    assert read_json(path) == {"später": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_takes_the_old_ones_place_at_once(tmp_path: Path) -> None:
    path = tmp_path / "answers.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_write_that_fails_midway_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "answers.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new " * 50_000 + "\ud800")  # a lone surrogate has no UTF-8
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_found_full_when_flushing_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "answers.txt"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match=r"answers\.txt: the disk is full.*Free some space"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


_ON_A_SMALL_DISK = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"',
]
_FILL_THE_DISK = """
import json, sys
from pathlib import Path
from relaytune.core.errors import MachineError
from relaytune.core.files import write_text

path = Path(sys.argv[1]) / "answers.txt"
write_text(path, "old")
message = ""
try:
    write_text(path, "new " * 50_000)
except MachineError as error:
    message = str(error)
print(json.dumps([message, path.read_text(), [file.name for file in path.parent.iterdir()]]))
"""


def test_a_disk_that_is_really_full_keeps_the_old_file(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small disk without being root")
    if subprocess.run([*_ON_A_SMALL_DISK, tmp_path, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let a user mount a small disk")
    done = subprocess.run(
        [*_ON_A_SMALL_DISK, tmp_path, sys.executable, "-c", _FILL_THE_DISK, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    message, text, names = json.loads(done.stdout)
    assert "the disk is full" in message
    assert text == "old"
    assert names == ["answers.txt"]


@pytest.mark.parametrize("place", ["file/plan.json", "file/deeper/plan.json", "folder"])
def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(MachineError, match=f"{place}: cannot be written"):
        write_text(tmp_path / place, "text")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


def test_line_separators_inside_a_text_survive_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"text": "a\u2028b\u2029c\x85d\ne\r\nf\x0cg"}, {"text": "second"}]
    write_jsonl(path, rows)
    assert read_jsonl(path) == rows


def test_no_rows_are_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [])
    assert path.read_bytes() == b""
    assert read_jsonl(path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', r"rows\.jsonl:2: not JSON"),
        (b'{"a": 1}\n\n[1]\n', r"rows\.jsonl:3: a list, not a JSON object"),
        (b'{"a": "\xff"}\n', r"rows\.jsonl: not UTF-8 \(byte 7\)"),
    ],
)
def test_damaged_json_lines_are_refused_with_their_place(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_jsonl(path)


@pytest.mark.parametrize("content", [b'{"a": ', b"", b'"\xff"'])
def test_damaged_json_is_refused_with_its_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"plan\.json: not readable as JSON"):
        read_json(path)


def test_a_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert sha256_of_value({"a": 1, "b": {"c": 2, "d": 3}}) == sha256_of_value({"b": {"d": 3, "c": 2}, "a": 1})


def test_a_hash_depends_on_the_order_of_a_list_and_on_types() -> None:
    hashes = {sha256_of_value(value) for value in ([1, 2], [2, 1], ["1", 2], [1.5, 2], {"1": 2})}
    assert len(hashes) == 5


def test_hashes_are_sha256_of_the_utf8_bytes(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("größe".encode())
    assert sha256_of_text("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of_file(path) == sha256_of_text("größe")


def test_a_full_disk_is_told_plainly_also_where_safetensors_meets_it(tmp_path: Path) -> None:
    class SafetensorError(Exception):
        """As safetensors raises it: no OSError, the number in its text alone."""

    with pytest.raises(MachineError, match="the disk is full"), no_space_explained(tmp_path):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def test_a_folder_that_could_not_be_replaced_is_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "card.md").write_text("old")
    rename = Path.rename

    def stopped(self: Path, target: Path) -> Path:
        if target == folder and not self.name.endswith(".old"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt), folder_replaced(folder) as new:
        (new / "card.md").write_text("new")
    assert (folder / "card.md").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]
