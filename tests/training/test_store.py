"""The store on a folder and, on loopback, on a real S3 server (moto), an emulator of GCS and a fake hub."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from relaytune.core.errors import HandoffError, StoreError
from relaytune.training.store import Store


@pytest.fixture(params=["folder", "s3", "gs", "hf"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue(request.param)
    return Store(url, patience_seconds=5)


def file_of(folder: Path, data: bytes) -> tuple[Path, str]:
    path = folder / "file"
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def test_what_is_written_is_read_and_listed(store: Store) -> None:
    assert store.names("log") == []
    assert store.read("log/1") is None
    store.write("log/2", b"two")
    store.write("log/1", b"one")
    store.write("log/1", b"once more")
    assert store.names("log") == ["1", "2"]
    assert store.read("log/1") == b"once more"
    store.remove("log")
    store.remove("log")
    assert store.names("log") == []


def test_who_reads_while_a_file_is_written_again_finds_it_whole(store: Store) -> None:
    def write() -> None:
        for _ in range(50):
            store.write("heard", b"x" * 1000)

    store.write("heard", b"y" * 1000)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(write)
        while not done.done():
            assert len(store.read("heard") or b"") == 1000
        done.result()


def test_a_file_is_created_once(store: Store) -> None:
    store.create("log/1", b"mine")
    store.create("log/1", b"mine")  # the answer to the first attempt may have been lost
    with pytest.raises(FileExistsError):
        store.create("log/1", b"another's")
    assert store.read("log/1") == b"mine"


def test_of_several_writers_at_once_exactly_one_creates_the_file(store: Store) -> None:
    def create(number: int) -> bool:
        try:
            Store(store.url, patience_seconds=5).create("log/1", b"%d" % number)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 1


def test_an_upload_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    path, sha256 = file_of(tmp_path, b"adapter" * 1000)
    store.upload(path, "handoffs/1/file")
    store.download("handoffs/1/file", tmp_path / "back", sha256)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_an_upload_that_was_cut_short_is_made_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = file_of(tmp_path, b"adapter" * 1000)
    whole, attempts = store._files.put_file, []

    def cut(local: str, remote: str) -> None:
        attempts.append(remote)
        if len(attempts) == 1:
            store._files.pipe_file(remote, Path(local).read_bytes()[:10])
        else:
            whole(local, remote)

    monkeypatch.setattr(store._files, "put_file", cut)
    store.upload(path, "handoffs/1/file")
    assert len(attempts) == 2
    assert store.read("handoffs/1/file") == path.read_bytes()


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"x" + data[1:], lambda _: b""])
def test_what_was_damaged_in_the_store_is_refused(store: Store, tmp_path: Path, damage: Any) -> None:
    path, sha256 = file_of(tmp_path, b"adapter")
    store.upload(path, "file")
    store.write("file", damage(b"adapter"))
    with pytest.raises(HandoffError, match="damaged there"):
        store.download("file", tmp_path / "back", sha256)


def test_a_connection_that_is_lost_for_a_while_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    works, failures = store._create, [ConnectionError("reset"), TimeoutError("slow"), OSError("error 503")]

    def fails(path: str, data: bytes) -> None:
        if failures:
            raise failures.pop()
        works(path, data)

    monkeypatch.setattr(store, "_create", fails)
    store.create("log/1", b"one")
    assert store.read("log/1") == b"one"


def test_an_answer_that_was_lost_on_the_way_is_not_taken_for_a_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, attempts = store._create, []

    def answer_lost(path: str, data: bytes) -> None:
        attempts.append(path)
        works(path, data)
        if len(attempts) == 1:
            raise ConnectionError("the file is there, but we were not told")

    monkeypatch.setattr(store, "_create", answer_lost)
    store.create("log/1", b"one")
    assert len(attempts) == 2


def test_a_store_that_does_not_answer_is_said_without_the_keys(monkeypatch: pytest.MonkeyPatch, s3: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    with pytest.raises(StoreError, match="no success in") as refused:
        Store(s3, patience_seconds=0.1).write("log/1", b"one")
    assert "very-secret" not in str(refused.value)


def test_a_bucket_that_does_not_exist_is_said_at_once(s3: str) -> None:
    assert s3.startswith("s3://")
    with pytest.raises(StoreError, match="Check the address"):
        Store("s3://no-such-bucket/runs").create("log/1", b"one")


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="Check the address"):
        Store(str(tmp_path / "file" / "below")).create("log/1", b"one")


def test_a_drive_without_hard_links_still_creates_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    store = Store(str(tmp_path))
    store.create("log/1", b"mine")
    with pytest.raises(FileExistsError):
        store.create("log/1", b"another's")
    assert store.names("log") == ["1"]
