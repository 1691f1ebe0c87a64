from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from relaytune.core.stores import STORE_KINDS
from relaytune.doctor import storage
from relaytune.doctor.storage import check_disk, check_memory, check_store, try_store


class LocalStore:
    """A store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("xb") as file:
            file.write(data)

    def write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def read(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()


class _Overwriting(LocalStore):
    def create(self, name: str, data: bytes) -> None:
        self.write(name, data)


class _Stale(LocalStore):
    def write(self, name: str, data: bytes) -> None:
        pass


class _Cutting(LocalStore):
    def create(self, name: str, data: bytes) -> None:
        super().create(name, data[:10])


class _Keeping(LocalStore):
    def remove(self, name: str) -> None:
        pass


class _Refusing(LocalStore):
    def read(self, name: str) -> bytes | None:
        raise PermissionError(f"403: {name} is not yours to read")


def test_a_store_that_works_is_left_as_it_was(tmp_path: Path) -> None:
    check = try_store(LocalStore(tmp_path), "s3://bucket/runs")
    assert check.state == "ok", check.seen
    assert check.seen.startswith("s3://bucket/runs: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (_Overwriting, "a file that exists was made a second time"),
        (_Stale, "a file that was written over still reads as before"),
        (_Cutting, "what was read is not what was written"),
        (_Keeping, "a file that was removed is still there (relaytune-doctor-"),
    ],
)
def test_a_store_that_is_not_safe_has_failed(tmp_path: Path, kind: type[LocalStore], words: str) -> None:
    check = try_store(kind(tmp_path), "s3://bucket/runs")
    assert check.state == "failed"
    assert words in check.seen
    assert "use another store" in check.advice


def test_a_store_that_refuses_half_way_is_left_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        try_store(_Refusing(tmp_path), "s3://bucket/runs")
    assert list(tmp_path.iterdir()) == []


def test_a_store_whose_package_is_missing_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORE_KINDS, "s3", replace(STORE_KINDS["s3"], package="no_such_package"))
    check = check_store("s3://bucket/runs")
    assert check.state == "failed"
    assert "s3://bucket/runs needs the package no_such_package" in check.seen
    assert check.advice == "`pip install 'relaytune[s3]'`"


def test_a_folder_that_can_be_written_is_fine_and_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tickets"
    check = check_disk("disk, runs", folder, "name another folder")
    assert check.state == "ok"
    assert str(folder) in check.seen
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_has_failed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = check_disk("disk, runs", tmp_path / "file" / "runs", "name another folder with --runs")
    assert check.state == "failed"
    assert check.advice == f"Nothing can be written at {tmp_path / 'file' / 'runs'}: name another folder with --runs."


def test_little_disk_and_little_memory_are_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GiB free" in check_memory().seen
    monkeypatch.setattr(storage, "SMALL_DISK_GIB", 1e9)
    monkeypatch.setattr(storage, "SMALL_MEMORY_GIB", 1e9)
    disk, memory = check_disk("disk, runs", tmp_path, "name another folder"), check_memory()
    assert (disk.state, memory.state) == ("warning", "warning")
    assert disk.advice.endswith("free some space, or name another folder.")
    assert "Close other programs" in memory.advice
