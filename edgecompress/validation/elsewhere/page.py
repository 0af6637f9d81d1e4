"""A page on this machine that runs one model in onnxruntime-web and sends back what came out."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}


@dataclass(frozen=True, kw_only=True)
class Served:
    """What the page asks for: the model, its inputs as JSON, and onnxruntime-web's folder ``dist``."""

    model: bytes
    case: bytes
    dist: Path

    def content(self, path: str) -> tuple[bytes, str] | None:
        """Content and media type under a path; None where there is nothing."""
        own = {
            "/": (resources.files(__package__).joinpath("page.html").read_bytes, "text/html; charset=utf-8"),
            "/model.onnx": (lambda: self.model, "application/octet-stream"),
            "/case.json": (lambda: self.case, "application/json"),
        }
        if path in own:
            read, kind = own[path]
            return read(), kind
        name = path.removeprefix("/ort/")
        file = self.dist / name
        if Path(name).name != name or file.suffix not in TYPES or not file.is_file():
            return None
        return file.read_bytes(), TYPES[file.suffix]


@contextmanager
def serve(served: Served) -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """The page's address, only on this machine, and a queue of what it sends: ``outputs`` or ``failure``."""
    answers: queue.Queue[dict[str, Any]] = queue.Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served, answers))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except (ValueError, TypeError):
        return {"failure": "the page sent something else than an object"}


def _handler(served: Served, answers: queue.Queue[dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = served.content(self.path)
            if found is None:
                self.send_error(404)
                return
            content, kind = found
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answers.put(_answer(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
