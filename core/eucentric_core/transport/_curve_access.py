"""How a client comes to the data channel's keys: it asks over the control channel, and keeps asking."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import zmq
from pydantic import ValidationError

from .._errors import EucentricError, RemoteError
from ._curve_keys import ClientKeys, DataOpening, KeyRing
from ._protocols import ControlClient

__all__ = ["DATA_OPEN", "ChannelAccess", "DataAccess", "OwnAccess"]

DATA_OPEN: Final = "data.open"
"""The control method: `{client, public_key}` in, `DataOpening` out."""

_TIMEOUT_S = 5.0
_RETRY_S = 1.0
_RENEWALS = 5
_SHORTEST_S = 0.05

_log = logging.getLogger(__name__)


class ChannelAccess(Protocol):
    """What a subscriber asks for keys."""

    @property
    def opening(self) -> DataOpening | None:
        """What the service said last, while it counts."""
        ...

    @property
    def error(self) -> EucentricError | None:
        """Why it could not be opened the last time."""
        ...

    def keys(self, opening: DataOpening) -> ClientKeys | None:
        """What to connect with; None if the service has no keys."""
        ...

    def attach(self, listener: object, changed: Callable[[], None]) -> None:
        """Keep the channel open from now on, and call `changed` when there is something new."""
        ...

    def detach(self, listener: object) -> None:
        """The listener needs it no more."""
        ...

    def ask_again(self) -> None:
        """Do not wait for the next renewal."""
        ...


class OwnAccess:
    """A subscriber in the data server's own process: a key that counts for as long as the process runs.

    Args:
        ring: of the data server.
        holder: what to call it.
    """

    error: EucentricError | None = None

    def __init__(self, ring: KeyRing, holder: str) -> None:
        self._public, self._secret = zmq.curve_keypair()
        ring.admit(self._public.decode(), holder, valid_s=math.inf)
        self.opening: DataOpening | None = DataOpening(server_key=ring.server_key)

    def keys(self, opening: DataOpening) -> ClientKeys:
        """What to connect with."""
        return ClientKeys(self._public, self._secret, (opening.server_key or "").encode())

    def attach(self, _listener: object, changed: Callable[[], None]) -> None:
        """Say at once that there is something new."""
        changed()

    def detach(self, _listener: object) -> None:
        """Nothing is to be done."""

    def ask_again(self) -> None:
        """Nothing is to be asked."""


class DataAccess:
    """Opens a service's data channel and keeps it open while somebody is subscribed.

    The key pair is made here and never leaves the process; once it has lapsed, another is made. Whoever may
    observe may subscribe; when the certificate is revoked, the key is not renewed, and the service cuts the
    connection. Shared by any number of subscribers.

    Args:
        open_control: opens a connection to the service's control channel, given its time-out (s).
        client: who asks.
    """

    def __init__(self, open_control: Callable[[float], ControlClient], *, client: str) -> None:
        self._open_control = open_control
        self._client = client
        self._pair = zmq.curve_keypair()
        self._lock = threading.Lock()
        self._listeners: dict[int, Callable[[], None]] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._opening: DataOpening | None = None
        self._until_s = 0.0
        self.error: EucentricError | None = None
        """Why it could not be opened the last time; None if it could."""

    @property
    def opening(self) -> DataOpening | None:
        """What the service said last, while it counts."""
        return self._opening if time.monotonic() < self._until_s else None

    def keys(self, opening: DataOpening) -> ClientKeys | None:
        """What to connect with; None if the service has no keys."""
        if opening.server_key is None:
            return None
        public, secret = self._pair
        return ClientKeys(public, secret, opening.server_key.encode())

    def attach(self, listener: object, changed: Callable[[], None]) -> None:
        """Keep the channel open from now on.

        Args:
            listener: who wants it.
            changed: called from another thread when there is an answer, or another error.
        """
        with self._lock:
            self._listeners[id(listener)] = changed
            known = self.opening is not None
            if self._thread is None:
                self._wake = threading.Event()
                self._thread = threading.Thread(
                    target=self._keep_open, args=(self._wake,), name="data-access", daemon=True
                )
                self._thread.start()
        if known:
            changed()

    def detach(self, listener: object) -> None:
        """The listener needs it no more."""
        with self._lock:
            self._listeners.pop(id(listener), None)
            if not self._listeners:
                self._thread = None
                self._wake.set()

    def ask_again(self) -> None:
        """Do not wait for the next renewal: the service may have been restarted, with another key."""
        self._wake.set()

    def _keep_open(self, wake: threading.Event) -> None:
        control: ControlClient | None = None
        try:
            while self._is_wanted():
                try:
                    control = control or self._open_control(_TIMEOUT_S)
                    pause_s = self._ask(control)
                except EucentricError as error:
                    self._failed(error)
                    pause_s = _RETRY_S
                self._tell()
                if wake.wait(pause_s):
                    # Asked by several at once, or by one who cannot wait: not more often than this.
                    time.sleep(_SHORTEST_S)
                    wake.clear()
        finally:
            if control is not None:
                control.close()

    def _is_wanted(self) -> bool:
        with self._lock:
            return self._thread is threading.current_thread()

    def _ask(self, control: ControlClient) -> float:
        if self._opening is not None and self.opening is None:
            # A connection that was refused for a key that had lapsed is never tried again by ZeroMQ: with
            # another key, subscribers connect anew.
            self._pair = zmq.curve_keypair()
        asked_s = time.monotonic()
        answer = control.call(DATA_OPEN, {"client": self._client, "public_key": self._pair[0].decode()})
        try:
            self._opening = DataOpening.model_validate(answer)
        except ValidationError as error:
            raise RemoteError(
                f"The service's answer to {DATA_OPEN} is not understood.",
                safe="nothing was changed.",
                next_step="check that both sides run compatible versions.",
            ) from error
        self._until_s = asked_s + self._opening.valid_s
        self.error = None
        return self._opening.valid_s / _RENEWALS

    def _failed(self, error: EucentricError) -> None:
        if self.error is None:
            _log.warning("the data channel is not open: %s", error.what)
        self.error = error

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners.values())
        for changed in listeners:
            changed()
