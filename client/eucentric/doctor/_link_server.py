"""The far end of a link's measurement: echoes, swallows and fills, within bounds, for one at a time."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from eucentric_core import ConfigurationError, EucentricError
from eucentric_core.transport import mark_control

from ._link_protocol import (
    PROBE_BYTES,
    Answer,
    AnyRequest,
    Echo,
    Fill,
    Hello,
    Sink,
    new_session,
    parse_request,
    read_line,
    say,
)

__all__ = ["LinkServer", "ServeLimits"]

_BLOCK_BYTES = 1 << 18
_CONNECTIONS = 16
_LOOK_S = 0.2

_log = logging.getLogger(__name__)


class ServeLimits(NamedTuple):
    """What one measuring service gives away.

    Args:
        lifetime_s: after which it ends by itself.
        session_s: for one client.
        session_bytes: for one client, both directions together.
        silence_s: without a byte, on any connection.
    """

    lifetime_s: float = 3600.0
    session_s: float = 120.0
    session_bytes: int = 64 << 30
    silence_s: float = 10.0


class _Session:
    def __init__(self, name: str, limits: ServeLimits) -> None:
        self.name = name
        self._end_s = time.monotonic() + limits.session_s
        self._left = limits.session_bytes
        self._lock = threading.Lock()

    def spend(self, n_bytes: int) -> bool:
        """Whether the client may have so much more, now."""
        with self._lock:
            self._left -= n_bytes
            return self._left >= 0 and time.monotonic() < self._end_s


class LinkServer:
    """Answers `eucentric doctor --link` at the other end. Carries no data of the instrument.

    Args:
        host: to listen on.
        port: 0 for any free one.
        limits: see there.

    Raises:
        ConfigurationError: the port cannot be had.
    """

    def __init__(self, host: str, port: int, *, limits: ServeLimits = ServeLimits()) -> None:  # noqa: B008  (immutable)
        self._limits = limits
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._open: set[socket.socket] = set()
        self.sessions = 0
        try:
            self._listener = socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_CONNECTIONS
            )
        except OSError as error:
            raise ConfigurationError(
                f"The link's measurement cannot listen on {host}:{port}: {error.strerror}.",
                safe="nothing was started.",
                next_step="choose another --port or --host.",
            ) from error
        mark_control(self._listener)
        self._listener.settimeout(_LOOK_S)
        self._address: tuple[str, int] = self._listener.getsockname()[:2]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on."""
        return self._address

    def serve(self) -> None:
        """Answer until `stop` is called or the lifetime is over."""
        end_s = time.monotonic() + self._limits.lifetime_s
        threads: list[threading.Thread] = []
        try:
            while not self._stopping.is_set() and time.monotonic() < end_s:
                threads = [thread for thread in threads if thread.is_alive()]
                with suppress(TimeoutError):
                    sock, peer = self._listener.accept()
                    if len(threads) >= _CONNECTIONS:
                        sock.close()
                        continue
                    thread = threading.Thread(target=self._attend, args=(sock,), name=f"link {peer[0]}")
                    thread.start()
                    threads.append(thread)
        finally:
            self._stopping.set()
            self._listener.close()
            with self._lock:
                for sock in self._open:
                    with suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()

    def stop(self) -> None:
        """Make `serve` return."""
        self._stopping.set()

    def _attend(self, sock: socket.socket) -> None:
        with sock:
            with self._lock:
                self._open.add(sock)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = parse_request(read_line(sock, timeout_s=self._limits.silence_s))
                sock.settimeout(self._limits.silence_s)
                self._answer(sock, request)
            except EucentricError as error:
                with suppress(OSError):
                    say(sock, Answer(problem=error.what))
            except OSError as error:
                _log.debug("a connection of a link's measurement ended: %s", error)
            finally:
                with self._lock:
                    self._open.discard(sock)

    def _answer(self, sock: socket.socket, request: AnyRequest) -> None:
        if isinstance(request, Hello):
            self._hold_session(sock)
            return
        session = self._session
        if session is None or session.name != request.session:
            say(sock, Answer(problem="There is no such measurement, or it is over."))
            return
        match request:
            case Echo():
                if request.control:
                    mark_control(sock)
                say(sock, Answer())
                self._echo(sock, session)
            case Sink():
                say(sock, Answer())
                self._swallow(sock, session, request.duration_s)
            case Fill():
                say(sock, Answer())
                self._fill(sock, session, request.duration_s)

    def _hold_session(self, sock: socket.socket) -> None:
        session = _Session(new_session(), self._limits)
        with self._lock:
            busy = self._session is not None
            if not busy:
                self._session = session
        if busy:
            say(sock, Answer(problem="Another machine is being measured; try again in a minute."))
            return
        self.sessions += 1
        try:
            say(sock, Answer(session=session.name))
            sock.settimeout(_LOOK_S)
            while session.spend(0) and not self._stopping.is_set():
                with suppress(TimeoutError):
                    if not sock.recv(1):
                        return
        finally:
            with self._lock:
                self._session = None

    def _echo(self, sock: socket.socket, session: _Session) -> None:
        while session.spend(PROBE_BYTES):
            probe = sock.recv(PROBE_BYTES, socket.MSG_WAITALL)
            if not probe:
                return
            sock.sendall(probe)

    def _swallow(self, sock: socket.socket, session: _Session, duration_s: float) -> None:
        block = bytearray(_BLOCK_BYTES)
        began_s = time.monotonic()
        half_s, end_s = began_s + duration_s / 2, began_s + duration_s
        counted, last_s = 0, half_s
        while (now_s := time.monotonic()) < end_s + self._limits.silence_s:
            count = sock.recv_into(block)
            if not count or not session.spend(count):
                break
            now_s = time.monotonic()
            if half_s <= now_s <= end_s:
                counted, last_s = counted + count, now_s
        say(sock, Answer(bytes_counted=counted, counted_s=max(0.0, last_s - half_s)))

    def _fill(self, sock: socket.socket, session: _Session, duration_s: float) -> None:
        block = bytes(_BLOCK_BYTES)
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s and session.spend(len(block)):
            sock.sendall(block)
