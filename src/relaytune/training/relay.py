"""Taking a run over and handing it on: alone on this machine by a lock, alone in the store by a lease."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relaytune.core.errors import HandoffError, RelaytuneError, StoreError
from relaytune.core.files import read_json, read_jsonl, write_json, write_jsonl
from relaytune.core.lineage import read_metrics
from relaytune.core.model import require
from relaytune.core.run_folder import METRICS, RunFolder
from relaytune.training.lease import Entry, Lease
from relaytune.training.manifest import Manifest, handoffs_in, read_manifest
from relaytune.training.store import PATIENCE_SECONDS, Store

BRIEF_PATIENCE_SECONDS = 20.0


@dataclass
class Relay:
    """A run that this session holds. Without a store (`lease` None) its handoffs stay in the run folder."""

    run: RunFolder
    lease: Lease | None
    tell: Callable[[str], None]
    lost_steps: int  # that earlier sessions made after the last handoff
    unpublished: StoreError | None = None  # why the latest handoff is not in the store

    def reached(self, step: int) -> None:
        """Training has made this step; whoever takes over after a crash learns what was lost."""
        if self.lease is not None:
            self.lease.step = step

    def send(self, folder: Path, step: int, last: bool, seconds_left: float) -> None:
        """Publish a handoff. A store that does not answer stops no training: the handoff waits in the run folder.

        The session's last handoff is tried for long, but not beyond the session's limit; the others briefly: training
        waits meanwhile.

        Raises:
            HandoffError: another session has gone on with the run.
        """
        if self.lease is None:
            return
        self.lease.store.patience_seconds = PATIENCE_SECONDS if last else BRIEF_PATIENCE_SECONDS
        self.lease.store.deadline = time.monotonic() + seconds_left
        try:
            self.lease.publish(folder, step)
            self.unpublished = None
        except StoreError as error:
            self.unpublished = error
            self.tell(f"Not published, kept in {folder}: {error}")


@contextmanager
def hold(run: RunFolder, url: str | None, session: str, machine: str, tell: Callable[[str], None]) -> Iterator[Relay]:
    """Hold a run while the block trains it, with its last handoff brought here from the store.

    Args:
        run: the run's folder on this machine.
        url: of the store; None keeps everything in the run folder.
        session: id of this session.
        machine: named to sessions that find the run held.
        tell: hears what is taken over.

    Raises:
        HandoffError: a living session holds the run, or what the store holds is damaged.
        StoreError: the store does not answer.
    """
    require("filelock", "fsspec")
    from filelock import FileLock, Timeout

    run.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run.path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise HandoffError(
            f"{run.path}: another session on this machine is training this run. Wait until it ends, or stop it: it "
            "leaves a handoff from which the same command goes on."
        ) from error
    try:
        if url is None:
            yield Relay(run, None, tell, _lost_steps(run, 0))
            return
        lease = Lease(Store.of_run(url, run.path.name), session, machine)
        with lease.held():
            relay = Relay(run, lease, tell, 0)
            _receive(relay)
            relay.lost_steps = _lost_steps(run, lease.before.step if lease.before else 0)
            yield relay
    finally:
        lock.release()


def _receive(relay: Relay) -> None:
    """Make the newest local handoff the run's last one: the store's, or one of here that did not reach the store."""
    run, lease = relay.run, relay.lease
    assert lease is not None
    last, here = lease.last_handoff, handoffs_in(run.handoffs)
    if here and _goes_on_from(here[-1], last):
        relay.tell(f"{here[-1]} had not reached the store; it is published now.")
        lease.publish(here[-1], int(here[-1].name))
        return
    for folder in here:
        if last is None or int(folder.name) > last.step:
            relay.tell(f"{folder} is no part of the run in {lease.store.url}, where another session went on: removed.")
            shutil.rmtree(folder)
    if last is None:
        return
    lease.fetch(last, run.handoffs)
    relay.tell(f"Taken over from {lease.store.url}: handoffs/{last.folder}, verified.")


def _goes_on_from(folder: Path, last: Entry | None) -> bool:
    """Whether a local handoff was trained on top of the store's last one, and lies behind it."""
    try:
        manifest = read_manifest(folder)
    except RelaytuneError:
        return False
    if last is None:
        return True
    return manifest.step > last.step and last.session in {record.id for record in manifest.lineage}


def unpack_sessions(run: RunFolder, folder: Path, manifest: Manifest) -> None:
    """Make the run folder tell of the sessions what the handoff tells: their records, and their steps as far as they
    count. A session may have run on another machine; one of here may have been killed before it wrote its record, or
    given up while another machine went on.
    """
    for record in manifest.lineage:
        place, told = run.session(record.number), record.model_dump(mode="json")
        ours = read_json(place / "session.json") if (place / "session.json").is_file() else None
        if ours == told:
            continue
        if not (ours and ours["id"] == record.id):
            shutil.rmtree(place, ignore_errors=True)
        rows = [row for row in read_jsonl(folder / METRICS) if record.first_step < row["step"] <= record.last_step]
        write_jsonl(place / METRICS, rows)
        write_json(place / "session.json", told)


def _lost_steps(run: RunFolder, reached: int) -> int:
    """Steps made after the last handoff, as far as this folder, or the store's last sign of life, tells."""
    made = max([reached, *(step.step for step in read_metrics(run))])
    here = handoffs_in(run.handoffs)
    return max(0, made - int(here[-1].name)) if here else made
