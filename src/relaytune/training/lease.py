"""Who may advance a run in a store, and which handoffs count.

The store holds a log of numbered files, `log/000001.json`, …, each created only if it is not there yet. So all that
happens to a run has one order, and whoever wants to add to it must have seen all that came before: a session that slept
while another went on finds its number taken, and stops. A `begun` entry without an `ended` one is a lease; it has
expired when its session has not been heard of for a while. That is for politeness only: it is the log that keeps two
sessions from both advancing a run.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from relaytune.core.errors import HandoffError, RelaytuneError, StoreError
from relaytune.core.files import folder_replaced, sha256_of_bytes, sha256_of_file
from relaytune.core.run_folder import now
from relaytune.training.manifest import KEPT, MANIFEST, Manifest, parse_manifest, read_manifest
from relaytune.training.store import Store

HEARD_EVERY_SECONDS = 60.0
EXPIRES_SECONDS = 240.0  # since it was last heard of


class Entry(BaseModel):
    """One line of a run's log."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    kind: Literal["begun", "handoff", "ended", "void"]
    session: str = ""
    machine: str = ""
    at: str = ""
    folder: str = ""  # of a handoff
    step: int = 0
    manifest_sha256: str = ""


class Lease:
    """This session's right to add to the run's log, and what it saw there when it began."""

    def __init__(self, store: Store, session: str, machine: str) -> None:
        self.store = store
        self.session = session
        self.machine = machine
        self.step = 0  # that training has reached
        self._position, self.seen = read_log(store)
        self.before = holder_of(store, self.seen)
        there = set(store.names("handoffs"))
        self.last_handoff = latest_handoff(self.seen, there)
        self._leftovers = there - {entry.folder for entry in self.seen}
        self._stop = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease: refuse where a living session has it, be heard of while the block runs, end it afterwards.

        Raises:
            HandoffError: another session holds this run.
            StoreError: the store does not answer.
        """
        if self.before and self.before.alive:
            raise HandoffError(
                f"{self.store.url}: a session on {self.before.entry.machine} holds this run: begun at "
                f"{self.before.entry.at}, last heard of {self.before.silent_seconds:.0f} s ago. Stop it, or wait: its "
                f"lease expires when nothing is heard of it for {EXPIRES_SECONDS:.0f} s."
            )
        self._be_heard()
        try:
            self._append(Entry(kind="begun", session=self.session, machine=self.machine, at=now()))
        except HandoffError:
            self._forget_heard(self.session)
            raise
        if self.before:  # dead: nobody reads any more when it was heard of
            self._forget_heard(self.before.entry.session)
        thread = threading.Thread(target=self._keep_being_heard, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(timeout=5)
            with suppress(RelaytuneError):  # fenced off, or out of reach: the lease expires by itself
                self._append(Entry(kind="ended", session=self.session, machine=self.machine, at=now()))
                self._forget_heard(self.session)

    def fetch(self, entry: Entry, into: Path) -> Path:
        """Bring a handoff into the folder `into`, unless it is there already; returns its place.

        Raises:
            HandoffError: it is damaged in the store.
            StoreError: it cannot be fetched whole.
        """
        local = into / f"{entry.step:06d}"
        if (local / MANIFEST).is_file() and sha256_of_file(local / MANIFEST) == entry.manifest_sha256:
            return local
        with folder_replaced(local) as new:
            self.store.download(f"handoffs/{entry.folder}/{MANIFEST}", new / MANIFEST, entry.manifest_sha256)
            files = json.loads((new / MANIFEST).read_text(encoding="utf-8"))["files"]
            for name, sha256 in files.items():
                self.store.download(f"handoffs/{entry.folder}/{name}", new / name, sha256)
        return local

    def publish(self, folder: Path, step: int) -> None:
        """Make a local handoff the run's latest: upload, read back, and only then write it into the log.

        Raises:
            HandoffError: another session has gone on with the run; this one must stop.
            StoreError: the store does not answer; the run in the store is what it was.
        """
        read_manifest(folder)
        name = f"{folder.name}-{secrets.token_hex(4)}"
        files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
        for path in (*files, folder / MANIFEST):
            self.store.upload(path, f"handoffs/{name}/{path.name}")
        sha256 = sha256_of_file(folder / MANIFEST)
        self._append(
            Entry(
                kind="handoff",
                session=self.session,
                machine=self.machine,
                at=now(),
                folder=name,
                step=step,
                manifest_sha256=sha256,
            )
        )
        self._forget_older()

    def _append(self, entry: Entry) -> None:
        number = self._position + 1
        try:
            self.store.create(f"log/{number:06d}.json", entry.model_dump_json().encode())
        except FileExistsError as error:
            raise HandoffError(
                f"{self.store.url}: another session has gone on with this run ({_others(self.store, number)}), so this "
                "one stops. What it trained since its last published handoff is not part of the run."
            ) from error
        self._position = number
        self.seen = [*self.seen, entry]

    def _forget_older(self) -> None:
        """Remove all but the last three handoffs, and what dead sessions left half-uploaded before this one began.

        Nothing else: what is neither may be the upload of a session that has the lease by now.
        """
        handoffs = [entry.folder for entry in self.seen if entry.kind == "handoff"]
        with suppress(StoreError):  # the next save tries again
            for name in {*handoffs[:-KEPT], *self._leftovers}:
                self.store.remove(f"handoffs/{name}")
                self._leftovers.discard(name)
        self.seen = [entry for entry in self.seen if entry.kind != "handoff" or entry.folder in handoffs[-KEPT:]]

    def _be_heard(self) -> None:
        heard = json.dumps({"at": time.time(), "step": self.step})
        self.store.write(f"heard/{self.session}.json", heard.encode())

    def _forget_heard(self, session: str) -> None:
        with suppress(StoreError):
            self.store.remove(f"heard/{session}.json")

    def _keep_being_heard(self) -> None:
        while not self._stop.wait(HEARD_EVERY_SECONDS):
            with suppress(RelaytuneError):
                self._be_heard()


@dataclass(frozen=True)
class Holder:
    """The session that began last and has not ended."""

    entry: Entry
    silent_seconds: float  # infinite where it was never heard of
    step: int  # that it had reached when it was last heard of

    @property
    def alive(self) -> bool:
        """Whether its lease has not expired."""
        return self.silent_seconds < EXPIRES_SECONDS


def read_log(store: Store) -> tuple[int, list[Entry]]:
    """The number of the last entry, and the entries, oldest first, as far back as anybody needs them."""
    names = store.names("log")
    entries: list[Entry] = []
    for name in reversed(names):
        entries.append(_entry(store.read(f"log/{name}")))
        kinds = [entry.kind for entry in entries]
        if "begun" in kinds and kinds.count("handoff") > KEPT:
            break
    return int(names[-1].partition(".")[0]) if names else 0, entries[::-1]


def holder_of(store: Store, entries: list[Entry]) -> Holder | None:
    """Who holds the run; None where the last session has ended."""
    last = next((entry for entry in reversed(entries) if entry.kind in ("begun", "ended")), None)
    if last is None or last.kind == "ended":
        return None
    heard: dict[str, Any] = json.loads(store.read(f"heard/{last.session}.json") or b"{}")
    return Holder(last, time.time() - heard.get("at", float("-inf")), heard.get("step", 0))


def last_manifest(store: Store) -> tuple[str, Manifest] | None:
    """Where the run's last handoff lies in its store, and what it says of itself; None where there is none.

    Raises:
        HandoffError: it is damaged there.
        StoreError: the store does not answer.
    """
    _, entries = read_log(store)
    entry = latest_handoff(entries, store.names("handoffs"))
    if entry is None:
        return None
    name = f"handoffs/{entry.folder}/{MANIFEST}"
    where, content = f"{store.url}/{name}", store.read(name)
    if content is None or sha256_of_bytes(content) != entry.manifest_sha256:
        raise HandoffError(f"{where}: missing or damaged there: it is not what was published.")
    return where, parse_manifest(content, where)


def latest_handoff(entries: list[Entry], there: Collection[str]) -> Entry | None:
    """The run's last handoff whose folder is among those that are still there."""
    return next((entry for entry in reversed(entries) if entry.kind == "handoff" and entry.folder in there), None)


def _entry(data: bytes | None) -> Entry:
    # where a drive has no atomic creation, a writer that was killed leaves an empty file
    try:
        return Entry.model_validate_json(data or b"")
    except ValidationError:
        return Entry(kind="void")


def _others(store: Store, number: int) -> str:
    entry = _entry(store.read(f"log/{number:06d}.json"))
    return f"{entry.machine or 'unknown'}, {entry.at or 'at an unknown time'}"
