"""The store is gone for a minute: while a session begins, in an upload on the way, and in the last upload.

    OMP_NUM_THREADS=1 python benchmarks/store_gone.py [--seconds 60]

A real S3 server (moto's) behind a TCP relay that is cut: open connections break, new ones are refused. The run is that
of killed_at_random.py, in three sessions of the product's own `session.train`; each is cut once. Checked after every
session: each handoff in the store's log is there whole (read past the cut wire), the last one is the newest of the
session, and the next session begins with it. Checked at the end: adapter, best adapter and every step's losses are
those of the uninterrupted run. Exits with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from rich.console import Console

from killed_at_random import compare, prepare
from relaytune.core.lineage import read_sessions
from relaytune.core.recipe import Recipe, load_recipe
from relaytune.core.run_folder import RunFolder
from relaytune.core.screen import Screen
from relaytune.training import lease, session
from relaytune.training.ending import Clock
from relaytune.training.manifest import read_manifest
from relaytune.training.relay import Relay
from relaytune.training.store import Store
from stores import store

STEPS = 3000
NAP = 0.03  # of every step: a session of this toy has to be longer than the cut
SAVE_EVERY = 5


class Wire:
    """Bytes to and from a server, until it is cut."""

    def __init__(self, server: str) -> None:
        self._server = (urlsplit(server).hostname, urlsplit(server).port)
        self._open: list[socket.socket] = []
        self._is_cut = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut_for(self, seconds: float) -> None:
        """Break every connection, and all new ones until then."""
        self._is_cut = True
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        threading.Timer(seconds, self._mend).start()

    def _mend(self) -> None:
        self._is_cut = False

    def _serve(self) -> None:
        while True:
            ours, _ = self._listening.accept()
            if self._is_cut:
                ours.close()
                continue
            theirs = socket.create_connection(self._server)
            self._open += [ours, theirs]
            for ends in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the store is gone, each time")
    seconds = parser.parse_args().seconds
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as temporary, store("s3", Path(temporary)) as url:
        folder = Path(temporary)
        recipe_path = prepare(folder, STEPS)
        recipe = load_recipe(recipe_path)
        for name in ("whole", "one"):
            shutil.copytree(folder / "runs", folder / name)
        session.train(recipe, RunFolder(folder / "whole" / "small"), Screen.silent(), time.monotonic())

        past_the_wire = Store.of_run(url, "small")
        past_the_wire.names("log")  # connects now, before the environment leads elsewhere
        wire = Wire(os.environ["AWS_ENDPOINT_URL"])
        os.environ["AWS_ENDPOINT_URL"] = wire.address
        run, faults = RunFolder(folder / "one" / "small"), []
        limit = f"{seconds + 40:.0f}s"
        for number, (when, cut, its_limit) in enumerate(
            (
                ("an upload on the way", cut_in_upload(wire, seconds, last=False), limit),
                ("the beginning", cut_now(wire, seconds), limit),
                ("the last upload", cut_in_upload(wire, seconds, last=True), "1h"),
            ),
            start=1,
        ):
            of_session = [f"session.store={url}", f"session.limit={its_limit}", f"session.save_every={SAVE_EVERY}s"]
            faults += one_session(number, when, cut, load_recipe(recipe_path, of_session), run, past_the_wire)
        faults += compare(RunFolder(folder / "whole" / "small"), run)
    print(f"bits of the uninterrupted run: {'no' if faults else 'yes'}")
    if faults:
        sys.exit("\n".join(faults))


Cut = Callable[[], contextlib.AbstractContextManager[None]]


def cut_now(wire: Wire, seconds: float) -> Cut:
    @contextlib.contextmanager
    def cut() -> Iterator[None]:
        wire.cut_for(seconds)
        yield

    return cut


def cut_in_upload(wire: Wire, seconds: float, last: bool) -> Cut:
    """Cut the wire just before the upload of the session's last handoff, or of its second one."""

    @contextlib.contextmanager
    def cut() -> Iterator[None]:
        send, upload, sent, was_cut = Relay.send, Store.upload, 0, False

        def cutting_upload(store: Store, local: Path, name: str) -> None:
            nonlocal was_cut
            if not was_cut:
                wire.cut_for(seconds)
            was_cut = True
            upload(store, local, name)

        def watched_send(relay: Relay, folder: Path, step: int, is_last: bool, *rest: Any) -> None:
            nonlocal sent
            sent += 1
            cutting = is_last if last else sent == 2
            with patch.object(Store, "upload", cutting_upload) if cutting else contextlib.nullcontext():
                send(relay, folder, step, is_last, *rest)

        with patch.object(Relay, "send", watched_send):
            yield

    return cut


def one_session(number: int, when: str, cut: Cut, recipe: Recipe, run: RunFolder, store: Store) -> list[str]:
    """Train while the store is gone for a while; returns what was wrong."""
    before = lease.read_log(store)[1]
    published = max((entry.step for entry in before if entry.kind == "handoff"), default=0)
    said, began, stepped = io.StringIO(), time.monotonic(), Clock.stepped

    def stepped_slowly(its: Clock) -> None:
        time.sleep(NAP)
        stepped(its)

    with cut(), patch.object(Clock, "stepped", stepped_slowly):
        session.train(recipe, run, Screen(Console(file=said)), began)
    seconds = time.monotonic() - began
    its = read_sessions(run)[-1]
    faults = [] if its.first_step == published else [f"session {number} began at {its.first_step}, not {published}"]
    reader = lease.Lease(store, "reader", "")
    whole = 0
    for entry in reader.seen:
        if entry.kind == "handoff" and entry.folder in store.names("handoffs"):
            with tempfile.TemporaryDirectory() as folder:
                read_manifest(reader.fetch(entry, Path(folder)))
            whole += 1
    if reader.last_handoff is None or reader.last_handoff.step != its.last_step:
        faults.append(f"session {number}: the store's last handoff is not the session's: {reader.last_handoff}")
    print(
        f"gone in {when}: session of {seconds:.0f} s, steps {its.first_step + 1} to {its.last_step}; "
        f"{said.getvalue().count('Not published')} saves waited in the run folder, {whole} handoffs in the store, all "
        "whole",
        flush=True,
    )
    return faults


if __name__ == "__main__":
    main()
