"""Files at a URL: a folder, s3://, gs:// or hf://. Every operation is tried again while the store does not answer."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from relaytune.core.errors import HandoffError, RelaytuneError, StoreError
from relaytune.core.files import sha256_of_file, temporary_beside
from relaytune.core.model import require
from relaytune.core.stores import store_kind

Result = TypeVar("Result")

READS = 3  # of a file that does not come as it should
PATIENCE_SECONDS = 180.0  # longer than a connection is usually lost for
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 15.0
# what trying again does not mend
FINAL = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, NotImplementedError)


class Store:
    """A folder at a URL. Names are relative to it, with `/`. Credentials are those of the environment.

    Raises:
        StoreError: any operation, where the store refuses, or does not answer for `patience_seconds`.
        MachineError: the package for this kind of URL is not installed.
    """

    def __init__(self, url: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        import fsspec

        kind = store_kind(url)
        require(kind.package, extra=kind.extra)
        protocol = urlsplit(url).scheme or "file"
        self.url = url.rstrip("/")
        self._protocol = protocol
        self.patience_seconds = patience_seconds  # with one operation
        self.deadline = math.inf  # time.monotonic(); after it nothing is tried again
        options: dict[str, Any] = {}
        if protocol != "file":  # what another session has written must be seen at once
            options = {"use_listings_cache": False, "skip_instance_cache": True}
        if protocol == "s3":  # botocore's and s3fs's own trying again would go on for a minute whatever our patience
            options["config_kwargs"] = {"retries": {"total_max_attempts": 1}, "connect_timeout": 10}
        place = str(Path(url).expanduser().absolute()) if "://" not in url else url
        self._files, self._root = fsspec.core.url_to_fs(place, **options)
        if protocol == "s3":
            self._files.retries = 1
        logging.getLogger(kind.package).setLevel(logging.CRITICAL)  # gcsfs logs tracebacks of what it retries

    @staticmethod
    def of_run(url: str, run: str) -> Store:
        """The place of one run in a store."""
        return Store(f"{url.rstrip('/')}/{run}")

    def create(self, name: str, data: bytes) -> None:
        """Write a file that must not exist yet: of several writers exactly one succeeds.

        Raises:
            FileExistsError: it exists. Where our own earlier attempt made it, although its answer was lost, this is
                no error.
        """
        try:
            self._patiently(f"create {name}", lambda: self._create(self._path(name), data))
        except FileExistsError:
            if self.read(name) != data:
                raise

    def write(self, name: str, data: bytes) -> None:
        """Write a file, over an older one if need be. Who reads meanwhile finds the old one or the new one."""

        def work() -> None:
            self._files.makedirs(self._parent(name), exist_ok=True)
            if self._protocol == "file":
                _write_here(Path(self._path(name)), data)
            else:
                self._files.pipe_file(self._path(name), data)

        self._patiently(f"write {name}", work)

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        try:
            path = self._path(name)
            return self._patiently(f"read {name}", lambda: bytes(self._files.cat_file(path)), absent_is_answer=True)
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """The names of what lies directly in a folder, sorted."""

        def work() -> list[str]:
            self._files.invalidate_cache()
            paths = self._files.ls(self._path(folder), detail=False)
            return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

        try:
            names = self._patiently(f"list {folder}", work, absent_is_answer=True)
        except FileNotFoundError:
            return []
        return [name for name in names if name and not name.startswith(".") and name != folder]

    def upload(self, local: Path, name: str) -> None:
        """Write a local file to the store, and read it back: only then is it there."""
        expected = sha256_of_file(local)

        def work() -> None:
            self._files.makedirs(self._parent(name), exist_ok=True)
            self._files.put_file(str(local), self._path(name))
            with self._files.open(self._path(name), "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise OSError("what was read back is not what was written")

        self._patiently(f"upload {name}", work)

    def download(self, name: str, local: Path, sha256: str) -> None:
        """Fetch a file and check its hash; a short read is fetched again.

        Raises:
            HandoffError: there is no such file, or it is damaged there.
        """

        def work() -> None:
            self._files.get_file(self._path(name), str(local))

        for _ in range(READS):
            try:
                self._patiently(f"download {name}", work, absent_is_answer=True)
            except FileNotFoundError as error:
                raise HandoffError(f"{self.url}/{name}: is missing.") from error
            if sha256_of_file(local) == sha256:
                return
        raise HandoffError(f"{self.url}/{name}: damaged there: it does not have the sha256 {sha256[:12]}… that it had.")

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            path = self._path(name)
            self._patiently(f"remove {name}", lambda: self._files.rm(path, recursive=True), absent_is_answer=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _parent(self, name: str) -> str:
        return self._path(name).rpartition("/")[0]

    def _create(self, path: str, data: bytes) -> None:
        if self._protocol == "file":
            _create_here(Path(path), data)
        elif self._protocol == "hf":
            _create_on_hub(self._files, path, data)
        else:
            try:
                self._files.pipe_file(path, data, mode="create")
            except OSError as error:
                if "PreconditionFailed" in str(error) or "pre-conditions" in str(error):  # s3fs has no error for it
                    raise FileExistsError(path) from error
                raise

    def _patiently(self, what: str, operation: Callable[[], Result], absent_is_answer: bool = False) -> Result:
        begun, wait = time.monotonic(), FIRST_WAIT_SECONDS
        while True:
            try:
                return operation()
            except (FileExistsError, RelaytuneError):  # an answer, not a failure
                raise
            except FINAL as error:
                if absent_is_answer and isinstance(error, FileNotFoundError):
                    raise
                advice = "Check the address and your rights there."
                raise StoreError(f"{self.url}: {what}: {_said(error)}. {advice}") from error
            except Exception as error:  # every kind of store has errors of its own
                if "Credentials" in type(error).__name__:
                    raise StoreError(f"{self.url}: {what}: {_said(error)}") from error
                if time.monotonic() + wait > min(begun + self.patience_seconds, self.deadline):
                    raise StoreError(
                        f"{self.url}: {what}: no success in {time.monotonic() - begun:.0f} s; the last answer was: "
                        f"{_said(error)}. Run again when the store answers: nothing that was published is lost."
                    ) from error
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def _create_here(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # whole, and only if there is none
        except FileExistsError:
            raise
        except OSError:  # a mounted drive without hard links
            with path.open("xb") as file:
                file.write(data)


def _write_here(path: Path, data: bytes) -> None:
    with temporary_beside(path) as temporary:
        temporary.write_bytes(data)
        temporary.replace(path)


def _create_on_hub(files: Any, path: str, data: bytes) -> None:
    """A commit on top of the one that lacks the file: the hub refuses it where another came first."""
    from huggingface_hub import CommitOperationAdd, HfApi

    place = files.resolve_path(path)
    api = HfApi()
    head = api.repo_info(place.repo_id, repo_type=place.repo_type, revision=place.revision).sha
    if api.file_exists(place.repo_id, place.path_in_repo, repo_type=place.repo_type, revision=head):
        raise FileExistsError(path)
    api.create_commit(
        place.repo_id,
        [CommitOperationAdd(place.path_in_repo, data)],
        commit_message=f"relaytune: {place.path_in_repo}",
        repo_type=place.repo_type,
        revision=place.revision,
        parent_commit=head,
    )


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
