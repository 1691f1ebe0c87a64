"""Memory, disks, and the store of handoffs: a file is really written."""

from __future__ import annotations

import importlib.util
import secrets
import tempfile
from pathlib import Path
from typing import Protocol

from relaytune.core.stores import store_kind
from relaytune.doctor.check import Check, attempt
from relaytune.planning.hardware import existing_folder, free_disk_gib, memory_gib
from relaytune.planning.planning import SMALL_DISK_GIB

SMALL_MEMORY_GIB = 4.0  # what training SmolLM2-135M takes (benchmarks/README.md)
STORE_PATIENCE_SECONDS = 20.0


class FileStore(Protocol):
    """What is asked of a store; names are relative to it."""

    def create(self, name: str, data: bytes, /) -> None:
        """Write a file that must not exist; FileExistsError where it does."""

    def write(self, name: str, data: bytes, /) -> None:
        """Write a file, over an older one if need be."""

    def read(self, name: str, /) -> bytes | None:
        """A file's bytes; None where there is none."""

    def remove(self, name: str, /) -> None:
        """Remove a file."""


def check_memory() -> Check:
    """Whether the smallest base model would fit."""
    total_gib, free_gib = memory_gib()
    seen = f"{free_gib:.1f} of {total_gib:.1f} GiB free"
    if free_gib < SMALL_MEMORY_GIB:
        advice = f"Close other programs: training the smallest base model takes {SMALL_MEMORY_GIB:g} GiB."
        return Check("memory", "warning", seen, advice)
    return Check("memory", "ok", seen)


def check_disk(name: str, folder: Path, elsewhere: str) -> Check:
    """Write a file where a folder is, or would be made, and see how much is free; `elsewhere` says how to move it."""

    def trial() -> Check:
        with tempfile.TemporaryFile(dir=existing_folder(folder)) as file:
            file.write(b"relaytune")
            file.flush()
        free_gib = free_disk_gib(folder)
        seen = f"{free_gib:.1f} GiB free at {folder}"
        if free_gib < SMALL_DISK_GIB:
            return Check(name, "warning", seen, f"A run needs {SMALL_DISK_GIB:g} GiB: free some space, or {elsewhere}.")
        return Check(name, "ok", seen)

    return attempt(name, trial, f"Nothing can be written at {folder}: {elsewhere}.")


def check_store(url: str) -> Check:
    """Write, read and remove a file at the store of a recipe."""
    kind = store_kind(url)
    if importlib.util.find_spec(kind.package) is None:
        seen = f"{url} needs the package {kind.package}, which is not installed"
        return Check("store", "failed", seen, f"`pip install 'relaytune[{kind.extra}]'`")

    def trial() -> Check:
        from relaytune.training.store import Store

        return try_store(Store(url, STORE_PATIENCE_SECONDS), url)

    advice = "Does the folder or bucket exist, and do the credentials in the environment let you write there?"
    return attempt("store", trial, advice)


def try_store(store: FileStore, url: str) -> Check:
    """Make a file that must be new, change it, read both back, and remove it; nothing is left behind.

    That a second session cannot make the same file is what keeps two of them from advancing one run.
    """
    name, first, second = f"relaytune-doctor-{secrets.token_hex(8)}", secrets.token_bytes(64), secrets.token_bytes(64)
    wrong = []
    store.create(name, first)
    try:
        if store.read(name) != first:
            wrong.append("what was read is not what was written")
        try:
            store.create(name, second)
            wrong.append("a file that exists was made a second time")
        except FileExistsError:
            pass
        store.write(name, second)
        if store.read(name) != second:
            wrong.append("a file that was written over still reads as before")
    finally:
        store.remove(name)
    if store.read(name) is not None:
        wrong.append(f"a file that was removed is still there ({name})")
    if wrong:
        return Check("store", "failed", f"{url}: {'; '.join(wrong)}", "Handoffs are not safe there: use another store.")
    return Check("store", "ok", f"{url}: a file was made, refused a second time, written over, read and removed")
