"""Where notification blocks post to in tests: keeps what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Webhook", "running_webhook"]


class Webhook(ThreadingHTTPServer):
    """Takes JSON documents, and keeps them in the order in which they come."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    """One on a free port."""
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="webhook")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
