"""A real S3 server (moto's) on loopback."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def serving_s3() -> Iterator[str]:
    """Its address, while the block runs.

    S3 creates a file that must not exist yet atomically; moto looks first and then writes, so one request at a time.
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication
    from moto.server import ThreadedMotoServer

    lock, answer = threading.Lock(), DomainDispatcherApplication.__call__

    def in_turn(app: Any, environ: Any, start_response: Any) -> Any:
        with lock:
            return answer(app, environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with patch.object(DomainDispatcherApplication, "__call__", in_turn):
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()
