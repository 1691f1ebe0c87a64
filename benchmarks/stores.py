"""Both kinds of store that the benchmarks use: a folder, and a real S3 server (moto's) in a process of its own."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

KINDS = ("folder", "s3")


@contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty store; the environment, also of processes begun from now on, leads there."""
    if kind == "folder":
        yield str(folder / "store")
        return
    ours, its = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(its,), daemon=True)
    server.start()
    try:
        os.environ |= {
            "AWS_ENDPOINT_URL": ours.recv(),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        import boto3

        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket/runs"
    finally:
        server.terminate()
        server.join()


def _serve(address: Connection) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication
    from moto.server import ThreadedMotoServer

    # S3 creates a file that must not exist yet atomically; moto looks first and then writes, so one request at a time
    lock, answer = threading.Lock(), DomainDispatcherApplication.__call__

    def in_turn(app: Any, environ: Any, start_response: Any) -> Any:
        with lock:
            return answer(app, environ, start_response)

    DomainDispatcherApplication.__call__ = in_turn
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address.send(f"http://{host}:{port}")
    multiprocessing.Event().wait()
