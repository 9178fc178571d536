"""How many connections there may be, and who goes when there are too many."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

from .._errors import BusyError
from ._pyro_connection import ControlConnection

__all__ = ["Crowd"]


_ROOM = 16


class _Stage(Enum):
    ARRIVING = auto()  # has not finished its handshakes
    IDLE = auto()  # nothing of theirs is being done
    BUSY = auto()  # a method runs


@dataclass(slots=True)
class _Place:
    host: str
    stage: _Stage = _Stage.ARRIVING
    since_s: float = field(default_factory=time.monotonic)
    fingerprint: str | None = None


class Crowd:
    """The open connections of a server. A newcomer always gets in, unless a method runs on every one.

    When it is full, the oldest that has not finished its handshakes goes, of the address that has most of
    these; then the one whose last request is longest ago. Never one whose method runs.
    """

    def __init__(self, *, limit: int, limit_per_certificate: int) -> None:
        self._limit = limit
        self._limit_per_certificate = limit_per_certificate
        self._lock = threading.Lock()
        self._places: dict[ControlConnection, _Place] = {}
        self._over = False

    def __len__(self) -> int:
        with self._lock:
            return len(self._places)

    def admit(self, connection: ControlConnection, host: str) -> bool:
        """Make room for a newcomer. False when there is none to be made."""
        with self._lock:
            if len(self._places) >= self._limit and not self._dismiss_one():
                return False
            self._places[connection] = _Place(host)
            return True

    def make_room(self) -> None:
        """Send some away because the system has no descriptor left."""
        with self._lock:
            for _ in range(_ROOM):
                self._dismiss_one()

    def identify(self, connection: ControlConnection, fingerprint: str | None) -> None:
        """Its handshakes are done; `fingerprint` is its certificate's, if it has one.

        Raises:
            BusyError: too many methods run for this certificate already.
        """
        with self._lock:
            place = self._places.get(connection)
            if place is None:
                return  # sent away meanwhile; its next message will find that out
            if fingerprint is not None:
                same = [other for other, has in self._places.items() if has.fingerprint == fingerprint]
                if self._are_too_many(same) and not self._dismiss(self._idle(same)):
                    raise BusyError(
                        f"{self._limit_per_certificate} commands of this certificate are running already.",
                        safe="nothing was changed.",
                        next_step="wait until they end.",
                    )
            place.fingerprint = fingerprint
            place.stage, place.since_s = _Stage.IDLE, time.monotonic()

    def begin(self, connection: ControlConnection) -> bool:
        """A request is here. False if the connection was sent away meanwhile."""
        return self._enter(connection, _Stage.BUSY)

    def end(self, connection: ControlConnection) -> None:
        """Its answer is sent."""
        self._enter(connection, _Stage.IDLE)

    def leave(self, connection: ControlConnection) -> None:
        """The connection is over."""
        with self._lock:
            self._places.pop(connection, None)

    def dismiss_all(self) -> None:
        """Hang up on everybody, methods or not, and begin nothing any more."""
        with self._lock:
            self._over = True
            for connection in self._places:
                connection.hang_up()

    def _enter(self, connection: ControlConnection, stage: _Stage) -> bool:
        with self._lock:
            place = self._places.get(connection)
            if place is None or self._over:
                return False
            place.stage, place.since_s = stage, time.monotonic()
            return True

    def _are_too_many(self, same: list[ControlConnection]) -> bool:
        if len(same) < self._limit_per_certificate:
            return False
        # Whoever gave up waiting for a method that hangs can still connect, and stop it.
        return sum(not other.other_end_is_gone() for other in same) >= self._limit_per_certificate

    def _dismiss_one(self) -> bool:
        arriving = {c: place.host for c, place in self._places.items() if place.stage is _Stage.ARRIVING}
        if not arriving:
            return self._dismiss(self._idle(list(self._places)))
        host, _ = Counter(arriving.values()).most_common(1)[0]
        return self._dismiss(next(c for c, where in arriving.items() if where == host))

    def _idle(self, among: list[ControlConnection]) -> ControlConnection | None:
        idle = [c for c in among if self._places[c].stage is _Stage.IDLE]
        return min(idle, key=lambda c: self._places[c].since_s, default=None)

    def _dismiss(self, connection: ControlConnection | None) -> bool:
        if connection is None:
            return False
        del self._places[connection]
        connection.hang_up()
        return True
