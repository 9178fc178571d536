"""The control channel over Pyro5: one object, one method, plain JSON, small messages, time-outs.

Pyro5 is hidden behind `ControlServer` and `ControlClient` because it is hardly maintained. Its
pitfalls that shape this module: configuration is global to the process; the client chooses the
serializer, `marshal` included; a full thread pool makes the accepting thread talk to the rejected
client; stopping a daemon leaves open connections served; a proxy belongs to one thread; a client
time-out does not stop the method, and a retry would execute it again.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from typing import Any, Never

import Pyro5.api
import Pyro5.errors
import Pyro5.serializers
import Pyro5.socketutil
from pydantic import JsonValue, ValidationError

from .._errors import CommandRefusedError, EucentricError, RemoteError
from ._network import cannot_listen, require_loopback, require_port_free
from ._protocols import Methods

__all__ = ["MAX_CONTROL_BYTES", "OBJECT_ID", "PyroControlServer", "configure_pyro", "encode"]

MAX_CONTROL_BYTES = 1 << 20
"""Largest request or answer; arrays belong on the data channel."""

IDLE_LIMIT_S = 10.0
"""The server closes a connection that asks nothing for this long."""

OBJECT_ID = "control"
_HANDSHAKE_LIMIT_S = 2.0
_CONNECTIONS = 64

_log = logging.getLogger(__name__)


class _WriteOnly(Pyro5.serializers.MarshalSerializer):  # type: ignore[misc]  # Pyro5 is untyped
    """Pyro answers a failed handshake in marshal; nothing that arrives in it is ever read."""

    def loads(self, data: bytes) -> Never:
        raise Pyro5.errors.SecurityError("only JSON is accepted")

    def loadsCall(self, data: bytes) -> Never:  # noqa: N802  (Pyro5's name)
        raise Pyro5.errors.SecurityError("only JSON is accepted")


def configure_pyro() -> None:
    """Set what Pyro5 keeps per process: JSON only, a bounded pool, bounded messages, no repetition."""
    config = Pyro5.config
    config.SERIALIZER = "json"
    config.SERVERTYPE = "thread"
    config.THREADPOOL_SIZE = _CONNECTIONS
    config.COMMTIMEOUT = IDLE_LIMIT_S
    # A text inside a JSON message: every quotation mark and backslash of it takes a second byte.
    config.MAX_MESSAGE_SIZE = 2 * MAX_CONTROL_BYTES + 4096
    config.MAX_RETRIES = 0
    config.SOCK_NODELAY = True
    config.DETAILED_TRACEBACK = False
    table = Pyro5.serializers.serializers_by_id
    for name, serializer in Pyro5.serializers.serializers.items():
        if name == "marshal":
            table[serializer.serializer_id] = _WriteOnly()
        elif name != "json":
            table.pop(serializer.serializer_id, None)


def encode(what: str, value: dict[str, JsonValue]) -> str:
    """A request or answer as ASCII text.

    Raises:
        CommandRefusedError: larger than `MAX_CONTROL_BYTES`, or not JSON (NaN included).
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise CommandRefusedError(
            f"{what} is not plain JSON: {error}.",
            safe="nothing was sent.",
            next_step="give numbers, texts, lists and objects only; no NaN, no arrays.",
        ) from error
    if len(text) > MAX_CONTROL_BYTES:
        raise CommandRefusedError(
            f"{what} has {len(text)} bytes, the control channel takes {MAX_CONTROL_BYTES}.",
            safe="it was not sent.",
            next_step="send arrays over the data channel and files through transfer.",
        )
    return text


def _answer_safely(methods: Methods, method: str, payload: str) -> str:
    if method not in methods:
        raise CommandRefusedError(
            f"This service has no method {method!r}.",
            safe="nothing was changed.",
            next_step=f"use one of {', '.join(sorted(methods))}.",
        )
    try:
        request = json.loads(payload)
    except (TypeError, ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise CommandRefusedError(
            f"The request {method} is no JSON object.",
            safe="nothing was changed.",
            next_step="check that both sides run compatible versions.",
        )
    try:
        return encode(f"The answer to {method}", methods[method](request))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc']) or 'request'}: {e['msg']}" for e in error.errors()[:3]
        )
        raise CommandRefusedError(
            f"{method}: {problems}.", safe="nothing was changed.", next_step="correct the request."
        ) from error


@Pyro5.api.expose
class Dispatcher:
    """The one object that Pyro knows; not part of the interface (Pyro does not expose private names)."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods

    def call(self, method: str, payload: str) -> dict[str, Any]:
        """Answer a request: `{"ok": text}` or `{"error": report}`."""
        try:
            return {"ok": _answer_safely(self._methods, method, payload)}
        except EucentricError as error:
            return {"error": error.report().model_dump_json()}
        except Exception:  # noqa: BLE001  (logged and answered)
            # The outermost frame of a remote call: anything unforeseen must reach the log here and
            # the caller as a typed error, without exposing the server's internals.
            _log.exception("method %s failed", method)
            unforeseen = RemoteError(
                f"{method} failed in an unforeseen way.",
                safe="unknown; read the state before the next command.",
                next_step="see this service's log.",
            )
            return {"error": unforeseen.report().model_dump_json()}


class _Daemon(Pyro5.api.Daemon):  # type: ignore[misc]  # Pyro5 is untyped
    def __init__(self, host: str, port: int) -> None:
        self._open: set[Pyro5.socketutil.SocketConnection] = set()
        self._open_lock = threading.Lock()
        self._closing = False
        super().__init__(host=host, port=port)

    def _handshake(self, conn: Pyro5.socketutil.SocketConnection, denied_reason: str | None = None) -> bool:
        if denied_reason is not None:
            # All workers are taken and this is the accepting thread: it must not wait for anybody.
            return False
        conn.settimeout(_HANDSHAKE_LIMIT_S)
        if not super()._handshake(conn):
            return False
        conn.settimeout(IDLE_LIMIT_S)
        with self._open_lock:
            if self._closing:
                return False
            self._open.add(conn)
        return True

    def clientDisconnect(self, conn: Pyro5.socketutil.SocketConnection) -> None:  # noqa: N802  (Pyro5's name)
        with self._open_lock:
            self._open.discard(conn)

    def hang_up(self) -> None:
        """End the open connections; their workers would go on answering otherwise."""
        with self._open_lock:
            self._closing = True
            for conn in self._open:
                try:
                    conn.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster


class PyroControlServer:
    """Serves a table of methods on a loopback address, a thread per connection (64 at most).

    A connection that says nothing is closed after 2 s, one that asks nothing more after 10 s.

    Raises:
        ConfigurationError: the port is in use, or the address is not loopback (mutual TLS is
            needed to leave the machine).
    """

    def __init__(self, methods: Methods, *, host: str, port: int) -> None:
        require_loopback(host, "control")
        # Asked first, because Pyro5 leaves a socket open when it cannot bind it.
        require_port_free(host, port, "the control channel")
        configure_pyro()
        try:
            self._daemon = _Daemon(host, port)
        except OSError as error:
            raise cannot_listen(host, port, "the control channel", error.errno) from error
        self._daemon.register(Dispatcher(methods), objectId=OBJECT_ID)
        self._address: tuple[str, int] = self._daemon.sock.getsockname()[:2]
        self._stopping = threading.Event()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        return self._address

    def serve(self) -> None:
        """Answer until `stop` is called from another thread, then close every connection."""
        try:
            self._daemon.requestLoop(lambda: not self._stopping.is_set())
        finally:
            self._daemon.hang_up()
            self._daemon.close()

    def stop(self) -> None:
        """Make `serve` return."""
        # Pyro's own shutdown closes the listening socket under the feet of the thread that accepts on it.
        self._stopping.set()
        Pyro5.socketutil.interrupt_socket(self._address)
