"""A hub of model repositories, as far as a store needs one. No real one can be had on loopback: what is real in the
tests is huggingface_hub, which speaks to this. A commit on top of an older head is refused, as it is there.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree|paths-info|preupload|commit)/([^/]+)(?:/(.*))?)?")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class FakeHub:
    """Serves while the process lives; a repository is there as soon as it is asked for."""

    def __init__(self) -> None:
        hub = self
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: dict[str, int] = {}
        self.lock = threading.Lock()

        class Handler(_Handler):
            its = hub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def head(self, repo: str) -> str:
        return f"{self.commits.get(repo, 0):040x}"

    def commit(self, repo: str, lines: list[dict[str, Any]]) -> str | None:
        """The new head; None where another commit came first."""
        with self.lock:
            files = self.files.setdefault(repo, {})
            parent = lines[0]["value"].get("parentCommit")
            if parent not in (None, self.head(repo)):
                return None
            for line in lines[1:]:
                path = line["value"]["path"]
                if line["key"] == "file":
                    files[path] = base64.b64decode(line["value"]["content"])
                else:  # deletedFile, deletedFolder
                    for name in [name for name in files if name == path or name.startswith(path.rstrip("/") + "/")]:
                        del files[name]
            self.commits[repo] = self.commits.get(repo, 0) + 1
            return self.head(repo)

    def entries(self, repo: str, folder: str, recursive: bool) -> list[dict[str, Any]]:
        """Files and folders below a folder."""
        prefix = f"{folder}/" if folder else ""
        found: dict[str, dict[str, Any]] = {}
        for name, content in sorted(self.files.get(repo, {}).items()):
            if name.startswith(prefix):
                parts = name[len(prefix) :].split("/")
                for depth in range(1, len(parts)):
                    path = prefix + "/".join(parts[:depth])
                    if recursive or depth == 1:
                        found[path] = {"type": "directory", "path": path, "oid": "0"}
                if recursive or len(parts) == 1:
                    found[name] = {"type": "file", "path": name, "oid": "0", "size": len(content)}
        return list(found.values())


class _Handler(BaseHTTPRequestHandler):
    its: FakeHub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        url = urlsplit(self.path)
        if file := _FILE.fullmatch(url.path):
            self._send_file(file[1], unquote(file[3]))
        elif call := _API.fullmatch(url.path):
            self._send_json(call[1], call[2], unquote(call[4] or ""), parse_qs(url.query), body)
        else:
            self._send(404, b"")

    def _send_file(self, repo: str, path: str) -> None:
        content = self.its.files.get(repo, {}).get(path)
        if content is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        said = {"ETag": '"0"', "X-Repo-Commit": self.its.head(repo), "Accept-Ranges": "bytes"}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            begin, end = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
            said["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
            self._send(206, content[begin : end + 1], said)
        else:
            self._send(200, content, said)

    def _send_json(self, repo: str, call: str | None, path: str, query: dict[str, list[str]], body: bytes) -> None:
        hub, status, said = self.its, 200, None
        value: Any = {"id": repo, "sha": hub.head(repo), "siblings": []}
        if call == "tree":
            value = hub.entries(repo, path, query.get("recursive", [""])[0].lower() == "true")
            if not value and path:
                status, said, value = 404, {"X-Error-Code": "EntryNotFound"}, {"error": "there is no such folder"}
        elif call == "paths-info":
            wanted = parse_qs(body.decode())["paths"]
            value = [entry for entry in hub.entries(repo, "", recursive=True) if entry["path"] in wanted]
        elif call == "preupload":
            files = json.loads(body)["files"]
            value = {
                "files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            }
        elif call == "commit":
            head = hub.commit(repo, [json.loads(line) for line in body.splitlines()])
            value = {"commitUrl": f"{hub.address}/{repo}/commit/{head}", "commitOid": head}
            status = 200 if head else 412
        self._send(status, json.dumps(value).encode(), said)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
