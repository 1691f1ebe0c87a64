"""Both kinds of store that the benchmarks use: a folder, and a real S3 server (moto's) in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the server is that of the tests
from s3_server import serving_s3

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
    with serving_s3() as its:
        address.send(its)
        multiprocessing.Event().wait()
