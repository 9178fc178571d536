"""A network link that a test can cut, mend, let fall silent, or poison with what real networks do.

The toxics are those of toxiproxy: latency, bandwidth, slow close, timeout, slicer, limited data, reset. Each
works on one direction or on both, and can be switched while connections are open.
"""

from __future__ import annotations

import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

__all__ = [
    "Bandwidth",
    "Direction",
    "Latency",
    "LimitData",
    "Link",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Timeout",
    "Toxic",
]

Direction = Literal["to_server", "to_client"]

_DIRECTIONS: tuple[Direction, Direction] = ("to_server", "to_client")
_CHUNK_BYTES = 65536
_QUEUED_CHUNKS = 64
_LOOK_S = 0.02
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Latency:
    """Every byte arrives `delay_s` later; the throughput stays."""

    delay_s: float


@dataclass(frozen=True)
class Bandwidth:
    """No more than `bytes_per_s` pass."""

    bytes_per_s: float


@dataclass(frozen=True)
class SlowClose:
    """The end of a connection is told `delay_s` late."""

    delay_s: float


@dataclass(frozen=True)
class Timeout:
    """Nothing passes, and the connection ends after `after_s`, or when the toxic goes."""

    after_s: float


@dataclass(frozen=True)
class Slicer:
    """Bytes pass in slices of `slice_bytes`, with a pause after each."""

    slice_bytes: int
    pause_s: float


@dataclass(frozen=True)
class LimitData:
    """A connection ends after `limit_bytes` in the poisoned direction."""

    limit_bytes: int


@dataclass(frozen=True)
class ResetPeer:
    """A connection is reset (RST) `after_s` after it was poisoned."""

    after_s: float


Toxic = Latency | Bandwidth | SlowClose | Timeout | Slicer | LimitData | ResetPeer

_ToxicOf = Callable[[Direction], Toxic | None]
_Work = Callable[[], None]


class Link:
    """Relays TCP connections to a port of this machine.

    Args:
        target: the port behind the link.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._cut = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._toxics: dict[Direction, Toxic | None] = dict.fromkeys(_DIRECTIONS)
        self._connections: list[_Connection] = []
        # Held from before a first byte passes: a cut right after that byte must not miss the connection.
        self._among_them = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        """End every connection; new ones are refused."""
        with self._among_them:
            self._cut.set()
            for connection in self._connections:
                connection.end()

    def fall_silent(self) -> None:
        """Nothing passes any more, and nobody is told: a pulled cable, a dead switch."""
        self._flowing.clear()

    def poison(self, toxic: Toxic, direction: Direction | None = None) -> None:
        """Put a toxic on a direction (None: both), in place of the one that is there."""
        for way in _DIRECTIONS if direction is None else (direction,):
            self._toxics[way] = toxic

    def mend(self) -> None:
        """Let everything through again, without toxics; what was held back passes now."""
        self._toxics = dict.fromkeys(_DIRECTIONS)
        self._cut.clear()
        self._flowing.set()

    @property
    def connections_made(self) -> int:
        """How many connections there have been."""
        return len(self._connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flowing.set()
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(timeout=5)
        for connection in self._connections:
            connection.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                if self._cut.is_set():
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    near.close()  # nobody is there at present
                    continue
                with self._among_them:
                    connection = _Connection(near, far, self._toxic, self._flowing)
                    self._connections.append(connection)
                    if self._cut.is_set():
                        connection.end()

    def _toxic(self, direction: Direction) -> Toxic | None:
        return self._toxics[direction]


class _Connection:
    """Two sockets, and for each direction a thread that reads and one that writes."""

    def __init__(
        self,
        near: socket.socket,
        far: socket.socket,
        toxic: _ToxicOf,
        flowing: threading.Event,
    ) -> None:
        self._sockets = (near, far)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        for end in self._sockets:
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = (
            _Way(self, near, far, "to_server", toxic, flowing),
            _Way(self, far, near, "to_client", toxic, flowing),
        )
        for way in ways:
            for work in (way.read, way.write):
                self._threads.append(threading.Thread(target=self._until_done, args=(work,), daemon=True))
        self._running = len(self._threads)
        for thread in self._threads:
            thread.start()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def end(self, *, reset: bool = False) -> None:
        """End both halves, in order or by RST."""
        with self._lock:
            if self._running and not self._ended.is_set():
                for end in self._sockets:
                    with suppress(OSError):
                        if reset:
                            # The last of the threads closes the sockets, and that sends the RST.
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        else:
                            end.shutdown(socket.SHUT_RDWR)
            self._ended.set()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=5)

    def _until_done(self, work: _Work) -> None:
        try:
            work()
        except OSError:
            self.end()
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    for end in self._sockets:
                        end.close()


class _Way:
    """One direction of one connection."""

    def __init__(
        self,
        connection: _Connection,
        source: socket.socket,
        sink: socket.socket,
        direction: Direction,
        toxic: _ToxicOf,
        flowing: threading.Event,
    ) -> None:
        self._connection = connection
        self._source, self._sink = source, sink
        self._direction = direction
        self._toxic_of = toxic
        self._flowing = flowing
        # (when it arrived, what); nothing at all is the end.
        self._held: queue.Queue[tuple[float, bytes]] = queue.Queue(maxsize=_QUEUED_CHUNKS)
        self._passed_bytes = 0
        self._dropped = False
        self._poisoned_since: tuple[Toxic, float] | None = None

    def read(self) -> None:
        while not self._connection.ended:
            if not _is_ready(self._source, select.POLLIN):
                continue
            data = self._source.recv(_CHUNK_BYTES)
            chunk = (time.monotonic(), data)
            while not self._connection.ended:
                with suppress(queue.Full):
                    self._held.put(chunk, timeout=_LOOK_S)
                    break
            if not data:
                return

    def write(self) -> None:
        while not self._connection.ended:
            self._strike()
            try:
                arrived_s, data = self._held.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if not data:
                self._pass_on_the_end()
                return
            self._pass(arrived_s, memoryview(data))

    @property
    def _toxic(self) -> Toxic | None:
        return self._toxic_of(self._direction)

    def _strike(self) -> None:
        """What a toxic does to a connection as such."""
        toxic = self._toxic
        if self._dropped and not isinstance(toxic, Timeout):
            # Bytes are missing: the rest must not arrive as if they were not.
            self._connection.end()
        if toxic is None:
            self._poisoned_since = None
            return
        if self._poisoned_since is None or self._poisoned_since[0] is not toxic:
            self._poisoned_since = (toxic, time.monotonic())
        poisoned_s = time.monotonic() - self._poisoned_since[1]
        if isinstance(toxic, Timeout) and poisoned_s >= toxic.after_s:
            self._connection.end()
        if isinstance(toxic, ResetPeer) and poisoned_s >= toxic.after_s:
            self._connection.end(reset=True)

    def _pass(self, arrived_s: float, data: memoryview) -> None:
        while data and not self._connection.ended:
            self._strike()
            if not self._flowing.is_set():
                time.sleep(_LOOK_S)
                continue
            match self._toxic:
                case Latency(delay_s) if time.monotonic() < arrived_s + delay_s:
                    time.sleep(min(_LOOK_S, max(0.0, arrived_s + delay_s - time.monotonic())))
                case Timeout():
                    self._dropped = True
                    return
                case Bandwidth(bytes_per_s):
                    data = self._send(data, max(1, int(bytes_per_s * _LOOK_S)))
                    time.sleep(_LOOK_S)
                case Slicer(slice_bytes, pause_s):
                    data = self._send(data, slice_bytes)
                    time.sleep(pause_s)
                case LimitData(limit_bytes):
                    data = self._send(data, max(0, limit_bytes - self._passed_bytes))
                    if self._passed_bytes >= limit_bytes:
                        self._connection.end()
                case _:
                    data = self._send(data, len(data))

    def _send(self, data: memoryview, at_most: int) -> memoryview:
        """Send some of it; returns what is left."""
        if at_most == 0 or not _is_ready(self._sink, select.POLLOUT):
            return data
        sent = self._sink.send(data[:at_most])
        self._passed_bytes += sent
        return data[sent:]

    def _pass_on_the_end(self) -> None:
        ended_s = time.monotonic()
        while not self._connection.ended:
            self._strike()
            toxic = self._toxic
            slow = isinstance(toxic, SlowClose) and time.monotonic() < ended_s + toxic.delay_s
            if not slow and self._flowing.is_set() and not isinstance(toxic, Timeout):
                self._sink.shutdown(socket.SHUT_WR)
                return
            time.sleep(_LOOK_S)


def _is_ready(end: socket.socket, event: int) -> bool:
    """Whether a socket can be read or written, or has ended; waits a moment for it."""
    poll = select.poll()
    poll.register(end, event)
    return bool(poll.poll(int(_LOOK_S * 1000)))
