"""The agent's side of the door to its data process, and who gets keys to the data channel."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from pydantic import JsonValue

from eucentric_core import (
    Caller,
    EucentricError,
    NotAuthorisedError,
    ServiceUnavailableError,
    TlsSettings,
)
from eucentric_core.security import RevocationList, load_certificate
from eucentric_core.transport import DataOpening, PublicKey, PyroControlClient

from ._keys import Admit, Remove

__all__ = ["DataDoor", "KeyKeeper"]

_TIMEOUT_S = 3.0
_LOOK_S = 1.0
_KEPT_S = 60.0

_log = logging.getLogger(__name__)


class DataDoor:
    """Calls the data process's desk. Any thread may call.

    Args:
        place: port of the door, as the running data process says it; None while there is none.
        token: that the data process was given.
    """

    def __init__(self, place: Callable[[], int | None], token: str) -> None:
        self._place = place
        self._token = token
        self._lock = threading.Lock()
        self._port: int | None = None
        self._client: PyroControlClient | None = None

    def call(self, method: str, payload: dict[str, JsonValue] | None = None) -> dict[str, JsonValue]:
        """Call a method of the desk.

        Raises:
            ServiceUnavailableError: the data process is not running.
            EucentricError: the method's own error, or no answer came.
        """
        return self._connected().call(method, payload or {})

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> PyroControlClient:
        port = self._place()
        if port is None:
            raise ServiceUnavailableError(
                "The agent's data process is not running.",
                safe="what was recorded is kept.",
                next_step="wait until it is restarted; see its log.",
            )
        with self._lock:
            if self._client is None or port != self._port:
                if self._client is not None:
                    self._client.close()
                self._port = port
                self._client = PyroControlClient("127.0.0.1", port, timeout_s=_TIMEOUT_S, token=self._token)
            return self._client


class KeyKeeper:
    """Has keys admitted for whom the control channel lets in, and removed when a certificate is revoked.

    Args:
        door: to the data process.
        credentials: of the agent; None: the data channel has no keys.
    """

    def __init__(self, door: DataDoor, credentials: TlsSettings | None) -> None:
        self._door = door
        self._has_keys = credentials is not None
        self._revoked: RevocationList | None = None
        if credentials is not None and credentials.revoked is not None:
            self._revoked = RevocationList(credentials.revoked, load_certificate(credentials.authority))
        self._lock = threading.Lock()
        self._serials: dict[str, tuple[str, float]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="data-keys", daemon=True)

    def start(self) -> None:
        """Begin to watch the list of revoked certificates."""
        if self._revoked is not None:
            self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    def open(self, caller: Caller, public_key: PublicKey) -> DataOpening:
        """Let a caller's key into the data channel, or renew it. The caller's role was checked before.

        Raises:
            BusyError: there are too many keys.
            ServiceUnavailableError: the data process is not running.
        """
        if not self._has_keys:
            return DataOpening(server_key=None)
        wish = Admit(public_key=public_key, holder=caller.fingerprint or f"{caller.name}, at the instrument")
        answer = DataOpening.model_validate(self._door.call("keys.admit", wish.model_dump(mode="json")))
        if caller.serial is not None:
            with self._lock:
                self._serials[public_key] = (caller.serial, time.monotonic())
        return answer

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            with self._lock:
                old_s = time.monotonic() - _KEPT_S
                self._serials = {key: known for key, known in self._serials.items() if known[1] > old_s}
                known = list(self._serials.items())
            for key, (serial, _) in known:
                if self._is_revoked(serial):
                    self._remove(key)

    def _is_revoked(self, serial: str) -> bool:
        if self._revoked is None:
            return False
        try:
            self._revoked.require_serial_not_revoked(int(serial, 16), f"number {serial}")
        except NotAuthorisedError:
            return True
        return False

    def _remove(self, key: str) -> None:
        try:
            self._door.call("keys.remove", Remove(public_key=key).model_dump(mode="json"))
        except EucentricError as error:
            # Tried again in a second; it is not renewed any more in any case.
            _log.warning("a key was not removed: %s", error)
            return
        _log.warning("the certificate behind a key of the data channel is revoked; the key was removed")
        with self._lock:
            self._serials.pop(key, None)
