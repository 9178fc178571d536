"""The answering end of the control channel."""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

import Pyro5.errors
import Pyro5.protocol

from .._access import Role
from .._errors import NotAuthorisedError
from .._settings import TlsSettings
from ._marking import mark_control
from ._network import affordable_connections, listen
from ._protocols import Methods, MethodsFor
from ._pyro import IDLE_LIMIT_S, MAX_WIRE_BYTES, configure_pyro
from ._pyro_admission import Admission
from ._pyro_complaints import Complaints
from ._pyro_connection import ServedConnection
from ._pyro_crowd import Crowd
from ._pyro_daemon import ControlDaemon, refusal
from ._pyro_desk import Desk

__all__ = ["ControlLimits", "PyroControlServer"]

_MAX_HELLO_BYTES = 4096
_STOP_GRACE_S = 1.0
_BACKLOG = 512
_PAUSE_S = 0.05

_log = logging.getLogger(__name__)


class ControlLimits(NamedTuple):
    """What one control server gives its callers.

    Args:
        connections: open at a time; who has to go for a newcomer is `Crowd`'s decision.
        per_certificate: of these, for one certificate.
        handshake_s: from the accepted connection to the end of both handshakes, TLS and Pyro.
        message_s: from the first byte of a request to its last, and for an answer.
        idle_s: without a request.
    """

    connections: int = 512
    per_certificate: int = 32
    handshake_s: float = 2.0
    message_s: float = 10.0
    idle_s: float = IDLE_LIMIT_S


class PyroControlServer:
    """Serves a table of methods, with a thread per connection.

    The accepting thread does nothing but accept: handshakes and requests have a thread of their own, a
    deadline for all their bytes together, and a limit to their size that is looked at before anything is
    allocated. So silent, slow and malformed connections keep nobody out.

    Args:
        methods: a table for everybody, or what gives a caller their own.
        host: loopback, unless there are `credentials`.
        port: 0 for any free one.
        credentials: mutual TLS; the caller and their role are those of the client's certificate.
        token: loopback only; who presents it is the local operator.
        anonymous_role: of whoever connects, when there are neither.
        limits: see there.

    Raises:
        ConfigurationError: the port is in use, the credentials are unusable, or the address is not
            loopback and there are no credentials.
    """

    def __init__(
        self,
        methods: Methods | MethodsFor,
        *,
        host: str,
        port: int,
        credentials: TlsSettings | None = None,
        token: str | None = None,
        anonymous_role: Role = Role.SCIENTIST,
        limits: ControlLimits = ControlLimits(),  # noqa: B008  (immutable)
    ) -> None:
        self._methods = methods
        self._limits = limits
        self._admission = Admission(host, credentials, token, anonymous_role)
        self._crowd = Crowd(
            limit=affordable_connections(limits.connections), limit_per_certificate=limits.per_certificate
        )
        configure_pyro()
        self._daemon = ControlDaemon(self._admit)
        self._refusal_without_tls = refusal(
            NotAuthorisedError(
                "This service talks to holders of a certificate only, and none was shown.",
                safe="nothing was sent to the instrument.",
                next_step="name yours in the settings (client.tls); `eucentric certs issue` makes one.",
            )
        )
        self._listener = listen(host, port, "the control channel", backlog=_BACKLOG)
        mark_control(self._listener)  # for the handshakes: the system answers those with the listener's mark
        self._address: tuple[str, int] = self._listener.getsockname()[:2]
        self._wake, self._waker = socket.socketpair()
        self._stopping = threading.Event()
        self._serving = threading.Lock()
        self._complaints = Complaints()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        return self._address

    def serve(self) -> None:
        """Answer until `stop` is called from another thread, then close every connection."""
        with self._serving:
            try:
                with selectors.DefaultSelector() as selector:
                    if not self._stopping.is_set():
                        selector.register(self._listener, selectors.EVENT_READ)
                        selector.register(self._wake, selectors.EVENT_READ)
                    while not self._stopping.is_set():
                        selector.select()
                        self._accept()
            finally:
                self._close()

    def stop(self) -> None:
        """Make `serve` return."""
        self._stopping.set()
        if self._serving.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._serving.release()
            return
        try:
            self._waker.send(b"!")
        except OSError:
            return  # it has just ended

    def _close(self) -> None:
        for sock in (self._listener, self._wake, self._waker):
            sock.close()
        self._crowd.dismiss_all()
        # Connections end at once; methods that run cannot be ended, and their threads keep no process alive.
        deadline_s = time.monotonic() + _STOP_GRACE_S
        while len(self._crowd) and time.monotonic() < deadline_s:
            time.sleep(0.005)
        self._daemon.close()

    def _accept(self) -> None:
        try:
            sock, peer = self._listener.accept()
        except (BlockingIOError, ConnectionError, InterruptedError):
            return  # woken to stop, or whoever came has gone
        except OSError as error:
            self._complaints.note(f"a connection could not be accepted: {error}")
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._crowd.make_room()
            self._stopping.wait(_PAUSE_S)
            return
        address = f"{peer[0]}:{peer[1]}"
        connection = ServedConnection(sock, address, self._before_answer)
        connection.allow(self._limits.handshake_s)
        if not self._crowd.admit(connection, peer[0]):
            self._complaints.note("a connection was refused: methods run on all there are")
            connection.close()
            return
        try:
            threading.Thread(
                target=self._attend, args=(connection,), name=f"control {address}", daemon=True
            ).start()
        except RuntimeError as error:  # the system has no thread left
            self._complaints.note(f"a connection was refused: {error}")
            self._crowd.leave(connection)
            connection.close()

    def _attend(self, connection: ServedConnection) -> None:
        try:
            # An accepted socket has the listener's mark but not its priority in this machine's own queues.
            mark_control(connection.sock)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._admission.context is not None:
                connection.refusal_without_tls = self._refusal_without_tls
                connection.start_tls(self._admission.context)
            connection.await_message(Pyro5.protocol.MSG_CONNECT, max_bytes=_MAX_HELLO_BYTES)
            if self._daemon._handshake(connection):
                self._answer(connection)
        except Pyro5.errors.ConnectionClosedError as error:
            _log.debug("connection from %s ended: %s", connection.address, error)
        except (Pyro5.errors.PyroError, OSError) as error:
            self._complaints.note(f"the connection from {connection.address} was closed: {error}")
        except Exception:  # noqa: BLE001  (the outermost frame of this thread)
            _log.exception("the connection from %s failed", connection.address)
        finally:
            self._crowd.leave(connection)
            connection.close()

    def _answer(self, connection: ServedConnection) -> None:
        while connection.desk is not None and connection.desk.open:
            connection.allow(self._limits.idle_s)
            try:
                connection.await_message(
                    Pyro5.protocol.MSG_INVOKE, max_bytes=MAX_WIRE_BYTES, limit_s=self._limits.message_s
                )
            except Pyro5.errors.TimeoutError as error:
                _log.debug("connection from %s ended: %s", connection.address, error)
                return
            if not self._crowd.begin(connection):
                return
            self._daemon.handleRequest(connection)

    def _before_answer(self, connection: ServedConnection) -> None:
        # Whoever does not read their answer may be sent away for a newcomer, unlike one whose method runs.
        self._crowd.end(connection)
        connection.allow(self._limits.message_s)

    def _admit(self, connection: ServedConnection, handshake: object) -> None:
        caller, trust = self._admission.judge(connection, handshake)
        methods = self._methods if isinstance(self._methods, Mapping) else self._methods(caller)
        self._crowd.identify(connection, caller.fingerprint)
        connection.desk = Desk(methods, trust)
