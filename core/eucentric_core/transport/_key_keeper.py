"""Whom the control channel lets in gets a key to the data channel, for as long as the certificate counts."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

from .._access import Caller
from .._errors import EucentricError, NotAuthorisedError
from .._settings import TlsSettings
from ..security import RevocationList, load_certificate
from ._curve_keys import DataOpening, PublicKey

__all__ = ["KeyAdmission", "KeyKeeper"]

_LOOK_S = 1.0
_KEPT_S = 60.0

_log = logging.getLogger(__name__)


class KeyAdmission(Protocol):
    """Where keys are admitted: a `KeyRing` of this process, or the way to one of another."""

    def open(self, public_key: PublicKey, holder: str) -> DataOpening:
        """Let a key in, or renew it, and say what the client needs to know.

        Raises:
            EucentricError: there are too many keys, or the data server does not answer.
        """
        ...

    def remove(self, public_key: PublicKey) -> None:
        """Admit a key no more, and cut its connections.

        Raises:
            EucentricError: the data server does not answer.
        """
        ...


class KeyKeeper:
    """Has keys admitted for whom the control channel lets in, and removed when a certificate is revoked.

    Args:
        admission: where.
        credentials: of the service; None: the data channel has no keys.
    """

    def __init__(self, admission: KeyAdmission, credentials: TlsSettings | None) -> None:
        self._admission = admission
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
            ServiceUnavailableError: the data server does not answer.
        """
        if not self._has_keys:
            return DataOpening(server_key=None)
        holder = caller.fingerprint or f"{caller.name}, at the instrument"
        answer = self._admission.open(public_key, holder)
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
            self._admission.remove(key)
        except EucentricError as error:
            # Tried again in a second; it is not renewed any more in any case.
            _log.warning("a key was not removed: %s", error)
            return
        _log.warning("the certificate behind a key of the data channel is revoked; the key was removed")
        with self._lock:
            self._serials.pop(key, None)
