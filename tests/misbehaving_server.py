"""A real HTTP server that plays judges and their failures, for what no real model does on demand."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; `delay_seconds` before it, `hang_up` instead of it."""

    body: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    hang_up: bool = False


def says(text: str, finish_reason: str = "stop", usage: Mapping[str, int] | None = None, **reply: Any) -> Reply:
    """A well-formed chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    counts = {"prompt_tokens": 100, "completion_tokens": 10} if usage is None else usage
    return Reply(json.dumps({"model": "played", "choices": [choice], "usage": counts}), **reply)


Answer = Callable[[dict[str, Any], Mapping[str, str], int], Reply]


@dataclass
class PlayedServer:
    """Its base URL, and what was asked: (body, headers, seconds since the first)."""

    base_url: str
    requests: list[tuple[dict[str, Any], dict[str, str], float]]


@contextmanager
def playing(answer: Answer) -> Iterator[PlayedServer]:
    """Serve while the block runs; `answer` gets body, headers and the request's number from 0."""
    lock = threading.Lock()
    started = time.monotonic()
    asked: list[tuple[dict[str, Any], dict[str, str], float]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(asked)
                asked.append((body, dict(self.headers), time.monotonic() - started))
            reply = answer(body, dict(self.headers), number)
            time.sleep(reply.delay_seconds)
            if reply.hang_up:
                self.close_connection = True
                return
            content = reply.body.encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked may have been killed
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield PlayedServer(f"http://127.0.0.1:{server.server_address[1]}/v1", asked)
    finally:
        server.shutdown()
        server.server_close()


def verdict_for(body: Mapping[str, Any], prefer: Callable[[str, str], str]) -> str:
    """The line that a judge would write; `prefer` gets both quoted answers and says first, second or tie."""
    question = body["messages"][-1]["content"]
    found = re.search(r"one name: (\w+), (\w+), or if neither is better (\w+)\.", question)
    assert found is not None
    names = found.groups()
    shown = [
        "\n".join(line.split("> ", 1)[1] for line in question.splitlines() if line.startswith(f"{name}> "))
        for name in names[:2]
    ]
    return f"Verdict: {names[('first', 'second', 'tie').index(prefer(*shown))]}\nIt is so."
