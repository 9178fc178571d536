"""Where MLflow reports that an alias has moved: a small HTTP server on loopback that believes nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

from eucentric_core import ConfigurationError

from ._webhook_signature import HintRefusedError, SignatureCheck

__all__ = ["receiving_hints"]

_MAX_BODY_BYTES = 64 << 10
_MAX_CONNECTIONS = 8
_REQUEST_TIMEOUT_S = 5.0
_JOIN_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        _log.info("a request from %s was broken off", client_address)


@contextmanager
def receiving_hints(port: int, secret: str, hint: Callable[[], object]) -> Iterator[int]:
    """Answer `POST` on loopback until the end; yields the port.

    A request that MLflow signed calls `hint` and is answered 202, whatever it says: its content is not read.
    Any other is answered 401, 413 or 501, and changes nothing. At most eight connections at a time, each
    for at most 5 s without a byte, with at most 64 KiB.

    Args:
        port: to listen on; 0 for any.
        secret: shared with MLflow.
        hint: returns at once.

    Raises:
        ConfigurationError: the port is in use.
    """
    check, one_at_a_time = SignatureCheck(secret), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_TIMEOUT_S

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()) or int(length) > _MAX_BODY_BYTES:
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            body = self.rfile.read(int(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                with one_at_a_time:
                    check.accept(headers, body, now_s=time.time())
            except HintRefusedError as refusal:
                _log.warning("a request to %s was refused: %s", self.path[:100], refusal)
                self._answer(HTTPStatus.UNAUTHORIZED)
                return
            hint()
            self._answer(HTTPStatus.ACCEPTED)

        def _answer(self, code: HTTPStatus) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    try:
        server = _Server(("127.0.0.1", port), Handler)
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can listen at 127.0.0.1:{port}: {error.strerror}.",
            safe="nothing was started.",
            next_step="choose another hub.push_port.",
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="push-receiver", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_JOIN_TIMEOUT_S)
