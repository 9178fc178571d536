"""The agent's side of the door to its data process, and how keys go through it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pydantic import JsonValue

from eucentric_core import ServiceUnavailableError
from eucentric_core.transport import DataOpening, PublicKey, PyroControlClient

from ._keys import Admit, Remove

__all__ = ["DataDoor", "DoorAdmission"]

_TIMEOUT_S = 3.0


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


class DoorAdmission:
    """Keys are admitted by the data process.

    Args:
        door: to it.
    """

    def __init__(self, door: DataDoor) -> None:
        self._door = door

    def open(self, public_key: PublicKey, holder: str) -> DataOpening:
        """Let a key in, or renew it; see `KeyAdmission.open`."""
        wish = Admit(public_key=public_key, holder=holder)
        return DataOpening.model_validate(self._door.call("keys.admit", wish.model_dump(mode="json")))

    def remove(self, public_key: PublicKey) -> None:
        """Admit a key no more; see `KeyAdmission.remove`."""
        self._door.call("keys.remove", Remove(public_key=public_key).model_dump(mode="json"))
