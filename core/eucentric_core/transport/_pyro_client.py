"""The calling end of the control channel."""

from __future__ import annotations

import json
import threading
import time
from typing import cast

import Pyro5.client
import Pyro5.errors
from pydantic import JsonValue

from .._errors import ErrorReport, TransportError, error_from_report
from .._settings import TlsSettings
from ._pyro import IDLE_LIMIT_S, configure_pyro, encode
from ._pyro_connection import ControlConnection
from ._pyro_proxy import Connector

__all__ = ["PyroControlClient"]


class PyroControlClient:
    """Calls a service's methods. May be used from any thread; calls follow one another.

    Connects at the first call, and again when the service was restarted or closed an idle
    connection. A stop must not wait behind another call: give it a client of its own. Clients with
    different credentials may live in one process.

    Args:
        host: as the service's certificate names it.
        port: of the service.
        timeout_s: for a connection, and for a call.
        credentials: mutual TLS.
        token: of the console beside the instrument.

    Raises:
        ConfigurationError: the credentials are unusable.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout_s: float = 10.0,
        credentials: TlsSettings | None = None,
        token: str | None = None,
    ) -> None:
        configure_pyro()
        self._connector = Connector(host, port, timeout_s=timeout_s, credentials=credentials, token=token)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._proxy: Pyro5.client.Proxy | None = None
        self._last_used = 0.0

    def _connected(self) -> Pyro5.client.Proxy:
        if self._proxy is not None:
            self._proxy._pyroClaimOwnership()
            if self._is_stale(self._proxy):
                self._drop()
        if self._proxy is None:
            self._proxy, self._last_used = self._connector.connect(), time.monotonic()
        return self._proxy

    def _is_stale(self, proxy: Pyro5.client.Proxy) -> bool:
        # Nothing is awaited here: a readable connection is one that the server has closed. One that is about
        # to reach the idle limit could be closed while the request is on its way.
        if time.monotonic() - self._last_used > IDLE_LIMIT_S / 2:
            return True
        connection = cast(ControlConnection | None, proxy._pyroConnection)
        return connection is None or connection.is_readable()

    def _drop(self) -> None:
        if self._proxy is not None:
            self._proxy._pyroClaimOwnership()
            self._proxy._pyroRelease()
            self._proxy = None

    def call(self, method: str, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Call a method; see `ControlClient.call`."""
        request = encode(f"The request {method}", payload)
        with self._lock:
            proxy = self._connected()
            try:
                proxy._pyroConnection.allow(self._timeout_s)
                answer = cast(dict[str, str], proxy._pyroInvoke("call", (method, request), {}))
                report = ErrorReport.model_validate_json(answer["error"]) if "error" in answer else None
                result = json.loads(answer.get("ok", "{}"))
            except (Pyro5.errors.PyroError, OSError, ValueError, TypeError, AttributeError) as error:
                self._drop()
                where = self._connector.where
                raise TransportError(
                    f"No answer to {method} from {where} within {self._timeout_s:g} s: {error}.",
                    safe="unknown whether it ran; the agent's watchdog guards beam and stage.",
                    next_step="read the state, then repeat with the same idempotency key.",
                ) from error
            self._last_used = time.monotonic()
            if "over" in answer:
                self._drop()
        if report is not None:
            raise error_from_report(report)
        return cast(dict[str, JsonValue], result)

    def close(self) -> None:
        """Close the connection. A later call would open a new one."""
        with self._lock:
            self._drop()
