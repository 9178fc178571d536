"""A relay in front of an HTTP server that can do what networks and overworked servers do.

Every request passes to the real server and its answer back, unless a test says otherwise: an answer of the
relay's own (429, 500, 503), a body that arrives changed, a connection that is cut in the middle, a pause.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Answer", "Relay", "Request", "running_relay"]

_CHUNK_BYTES = 64 << 10
_TIMEOUT_S = 30.0
_HOP_HEADERS = ("connection", "transfer-encoding", "content-length", "keep-alive")


@dataclass(frozen=True)
class Request:
    """What passed: method, path with its query, and how many bytes of body arrived here."""

    method: str
    path: str
    body_bytes: int


@dataclass(frozen=True)
class Answer:
    """An answer of the relay's own."""

    status: int
    body: bytes = b""


@dataclass
class Relay:
    """Switches for what happens on the way; each may be changed at any time.

    Args:
        port: where the relay listens.
        answer: gives the relay's own answer to a method and path, None to let the request pass.
        damage: change a byte of every body on its way to the server.
        cut_after_bytes: hang up when so many bytes of a body have arrived.
        pause_s: wait before every answer.
        bytes_per_s: how fast bodies are read.
        head_headers: headers that are added to the real server's answers to HEAD.
        gone: hang up on every connection.
    """

    port: int
    answer: Callable[[str, str], Answer | None] = lambda method, path: None
    damage: bool = False
    cut_after_bytes: int | None = None
    pause_s: float = 0.0
    bytes_per_s: float | None = None
    head_headers: tuple[tuple[str, str], ...] = ()
    gone: bool = False
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str) -> int:
        """How many requests of a method arrived here."""
        return sum(request.method == method for request in self.requests)

    def body_bytes(self, method: str = "PUT") -> int:
        """How many bytes of bodies arrived here."""
        return sum(request.body_bytes for request in self.requests if request.method == method)

    def well(self) -> None:
        """Let everything pass again."""
        self.answer = lambda method, path: None
        self.damage, self.cut_after_bytes, self.pause_s, self.gone = False, None, 0.0, False
        self.bytes_per_s, self.head_headers = None, ()
        self.requests.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    relay: Relay
    target: int

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """The relay keeps its own list."""

    def _pass(self) -> None:
        relay = self.server.relay
        if relay.gone:
            self._hang_up()
            return
        content = self._body()
        if content is None:
            self._hang_up()
            return
        if relay.damage and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        if relay.pause_s:
            time.sleep(relay.pause_s)
        own = relay.answer(self.command, self.path)
        if own is not None:
            self._answer(own.status, [("Content-Type", "application/xml")], own.body)
            return
        far = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=_TIMEOUT_S)
        try:
            far.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    far.putheader(name, value)
            far.endheaders(content)
            answer = far.getresponse()
            body = answer.read()
            headers = [*answer.getheaders(), *(relay.head_headers if self.command == "HEAD" else ())]
            self._answer(answer.status, headers, body, length=answer.getheader("Content-Length"))
        finally:
            far.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = _pass  # noqa: N815

    def _body(self) -> bytes | None:
        """What the client sent; None if the relay cut it short."""
        relay = self.server.relay
        left, pieces = int(self.headers.get("Content-Length") or 0), bytearray()
        try:
            while left:
                piece = self.rfile.read1(min(left, _CHUNK_BYTES))
                if not piece:
                    return None
                pieces += piece
                left -= len(piece)
                if relay.bytes_per_s is not None:
                    time.sleep(len(piece) / relay.bytes_per_s)
                if relay.cut_after_bytes is not None and len(pieces) >= relay.cut_after_bytes:
                    return None
            return bytes(pieces)
        finally:
            relay.requests.append(Request(self.command, self.path, len(pieces)))

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, length: str | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_relay(target: int, *, tls: ssl.SSLContext | None = None) -> Iterator[Relay]:
    """Relay to a port of this machine, over TLS towards the client if there is a context for it."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls is not None:
        # The handshake is made by the thread of the connection, so that a bad one disturbs no other.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.relay, server.target = Relay(server.server_address[1]), target
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
