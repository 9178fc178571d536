"""Which keys may open the data channel: short-lived, made by each client, admitted over control."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

import zmq
from pydantic import Field

from .._errors import BusyError
from .._model import FrozenModel

__all__ = ["KEY_VALID_S", "ClientKeys", "DataOpening", "KeyRing", "PublicKey"]

KEY_VALID_S: Final = 15.0
"""How long a key counts without being renewed (s)."""

PublicKey = Annotated[str, Field(min_length=40, max_length=40, pattern=r"^[!-~]{40}$")]
"""A CurveZMQ public key in Z85 (ZeroMQ RFC 32)."""

_MAX_KEYS = 512
_MAX_KEYS_PER_HOLDER = 64


class DataOpening(FrozenModel):
    """The answer to `data.open`.

    Args:
        server_key: of the data server; None: it has no keys, and answers its own machine alone.
        valid_s: how long the client's key counts (s). Asking again renews it.
    """

    server_key: PublicKey | None
    valid_s: Annotated[float, Field(gt=0, le=3600)] = KEY_VALID_S


class ClientKeys(NamedTuple):
    """What a subscriber proves itself with, and the server's key. All in Z85."""

    public: bytes
    secret: bytes
    server: bytes


@dataclass(slots=True)
class _Admitted:
    holder: str
    until_s: float


class KeyRing:
    """A data server's own key pair, made anew at each start, and the keys that it was told to admit.

    Nothing of it is ever written to a disk. Safe to use from any thread.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        public, secret = zmq.curve_keypair()
        self.server_key = public.decode()
        self.secret = secret
        self._clock = clock
        self._lock = threading.Lock()
        self._admitted: dict[str, _Admitted] = {}

    def admit(self, public_key: str, holder: str, *, valid_s: float = KEY_VALID_S) -> None:
        """Let a key in, or renew it.

        Args:
            public_key: of the client.
            holder: whose it is, as the control channel has proven; may hold 64 keys.
            valid_s: for how long (s).

        Raises:
            BusyError: there are too many keys.
        """
        now_s = self._clock()
        with self._lock:
            self._drop_expired(now_s)
            known = self._admitted.get(public_key)
            if known is not None and known.holder != holder:
                raise BusyError(
                    "That key is somebody else's.", safe="nothing was changed.", next_step="make a new one."
                )
            theirs = sum(admitted.holder == holder for admitted in self._admitted.values())
            if known is None and (len(self._admitted) >= _MAX_KEYS or theirs >= _MAX_KEYS_PER_HOLDER):
                raise BusyError(
                    f"The data channel has no room for another key ({theirs} are {holder}'s).",
                    safe="nothing was changed; who receives goes on receiving.",
                    next_step=f"close a program that is not needed; unused keys go after {KEY_VALID_S:g} s.",
                )
            self._admitted[public_key] = _Admitted(holder, now_s + valid_s)

    def open(self, public_key: PublicKey, holder: str) -> DataOpening:
        """Let a key in, or renew it; what its client needs to know.

        Raises:
            BusyError: there are too many keys.
        """
        self.admit(public_key, holder)
        return DataOpening(server_key=self.server_key)

    def remove(self, public_key: str) -> None:
        """Admit a key no more; who uses it is cut off."""
        with self._lock:
            self._admitted.pop(public_key, None)

    def holder_of(self, public_key: str) -> str | None:
        """Whose key it is; None if it does not count (any more)."""
        with self._lock:
            admitted = self._admitted.get(public_key)
            return admitted.holder if admitted is not None and admitted.until_s > self._clock() else None

    def __len__(self) -> int:
        with self._lock:
            self._drop_expired(self._clock())
            return len(self._admitted)

    def _drop_expired(self, now_s: float) -> None:
        for key in [key for key, admitted in self._admitted.items() if admitted.until_s <= now_s]:
            del self._admitted[key]
