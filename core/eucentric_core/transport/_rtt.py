"""Round trips over a link on which bulk data go that do not acknowledge: how long a TCP connection takes."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, NamedTuple, Self

from .._settings_link import LinkSettings
from ._pacing import Pacer

__all__ = ["RttProbe", "link_probe", "round_trip_s"]

_log = logging.getLogger(__name__)

_INTERVAL_S = 0.2
_TIMEOUT_S = 1.0
_LOST = 5
_PAUSE_S = 5.0
_GOLDEN = 0.618


class _Place(NamedTuple):
    family: socket.AddressFamily
    where: Any


def _find(host: str, port: int) -> _Place:
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return _Place(family, where)


def _connect(place: _Place, timeout_s: float) -> float | None:
    with socket.socket(place.family, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_s)
        began = time.perf_counter()
        try:
            sock.connect(place.where)
        except TimeoutError:
            return None
        except ConnectionRefusedError:
            return time.perf_counter() - began
        return time.perf_counter() - began


def round_trip_s(host: str, port: int, *, timeout_s: float = _TIMEOUT_S) -> float | None:
    """How long `host` takes to answer a request for a connection (s); None if it does not.

    A refusal is an answer: the port may be closed. The connection is given up at once.

    Raises:
        OSError: there is no such host, or no way to it.
    """
    return _connect(_find(host, port), timeout_s)


def link_probe(link: LinkSettings, pacer: Pacer) -> AbstractContextManager[object]:
    """The probe of `link.probe`, or nothing where none is set; open it as long as the process may send."""
    if link.probe is None:
        return nullcontext()
    host, _, port = link.probe.rpartition(":")
    return RttProbe(pacer, host.strip("[]"), int(port))


class RttProbe:
    """Tells a pacer, five times a second while that grants bytes, how long a host takes to answer.

    For senders that get no acknowledgement of their own, movers above all. Its packets carry no mark and so
    wait where bulk data wait. Opens nothing on the other side: a port that refuses will do. While nothing is
    sent, or the host does not answer at all, it is asked every few seconds only; round trips that are lost
    while others arrive count as long ones.

    Args:
        pacer: to be told.
        host: beyond the link.
        port: open or closed, but not one that a firewall drops silently.
        interval_s: between round trips, varied by a fifth.
        timeout_s: after which one counts as lost.
    """

    def __init__(
        self,
        pacer: Pacer,
        host: str,
        port: int,
        *,
        interval_s: float = _INTERVAL_S,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._pacer = pacer
        self._address = (host, port)
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._stopping = threading.Event()
        self._answers = 0
        self._thread: threading.Thread | None = None

    @property
    def answers(self) -> int:
        """How many round trips were measured."""
        return self._answers

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name=f"rtt {self._address[0]}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2 * self._timeout_s)

    def _run(self) -> None:
        place: _Place | None = None
        lost, turn, seen = 0, 0.0, 0
        while not self._stopping.is_set():
            try:
                place = place or _find(*self._address)
                rtt_s = _connect(place, self._timeout_s)
            except OSError as error:
                _log.debug("no round trip to %s: %s", self._address[0], error)
                place, rtt_s, lost = None, None, _LOST
            if rtt_s is not None:
                lost = 0
                self._answers += 1
                self._pacer.observe_rtt(rtt_s, self._address)
            else:
                lost += 1
                if self._answers and lost < _LOST:
                    self._pacer.observe_rtt(self._timeout_s, self._address)
            taken = self._pacer.status().taken_bytes
            asleep = taken == seen or lost >= _LOST
            seen = taken
            # Spread without chance: many probes that start together do not stay together.
            turn = (turn + _GOLDEN) % 1
            self._rest((_PAUSE_S if asleep else self._interval_s) * (0.8 + 0.4 * turn), seen)

    def _rest(self, duration_s: float, taken: int) -> None:
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            if self._stopping.wait(min(left_s, self._interval_s)):
                return
            if self._pacer.status().taken_bytes != taken:
                return  # somebody sends
