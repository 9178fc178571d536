"""The calling end of the control channel."""

from __future__ import annotations

import json
import select
import threading
import time
from typing import cast

import Pyro5.api
import Pyro5.errors
from pydantic import JsonValue

from .._errors import ErrorReport, ServiceUnavailableError, TransportError, error_from_report
from ._pyro import IDLE_LIMIT_S, OBJECT_ID, configure_pyro, encode

__all__ = ["PyroControlClient"]


class PyroControlClient:
    """Calls a service's methods. May be used from any thread; calls follow one another.

    Connects at the first call, and again when the service was restarted or closed an idle
    connection. A stop must not wait behind another call: give it a client of its own.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 10.0) -> None:
        configure_pyro()
        self._where = f"{host}:{port}"
        self._uri = f"PYRO:{OBJECT_ID}@{f'[{host}]' if ':' in host else host}:{port}"
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._proxy: Pyro5.api.Proxy | None = None
        self._last_used = 0.0

    def _connected(self) -> Pyro5.api.Proxy:
        if self._proxy is not None:
            self._proxy._pyroClaimOwnership()
            if self._is_stale(self._proxy):
                self._drop()
        if self._proxy is None:
            proxy = Pyro5.api.Proxy(self._uri)
            proxy._pyroTimeout = self._timeout_s
            try:
                proxy._pyroBind()
            except (Pyro5.errors.PyroError, OSError) as error:
                proxy._pyroRelease()
                raise ServiceUnavailableError(
                    f"No service answers at {self._where}.",
                    safe="nothing was sent.",
                    next_step="check that the service runs (`eucentric doctor`) and the address is right.",
                ) from error
            self._proxy, self._last_used = proxy, time.monotonic()
        return self._proxy

    def _is_stale(self, proxy: Pyro5.api.Proxy) -> bool:
        # Nothing is awaited here: a readable connection is one that the server has closed. One that is about
        # to reach the idle limit could be closed while the request is on its way.
        if time.monotonic() - self._last_used > IDLE_LIMIT_S / 2:
            return True
        connection = proxy._pyroConnection
        return connection is None or _is_readable(connection.fileno())

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
                answer = cast(dict[str, str], proxy.call(method, request))
                report = ErrorReport.model_validate_json(answer["error"]) if "error" in answer else None
                result = json.loads(answer.get("ok", "{}"))
            except (Pyro5.errors.PyroError, OSError, ValueError, TypeError, AttributeError) as error:
                self._drop()
                raise TransportError(
                    f"No answer to {method} from {self._where} within {self._timeout_s:g} s: {error}.",
                    safe="unknown whether it ran; the agent's watchdog guards beam and stage.",
                    next_step="read the state, then repeat with the same idempotency key.",
                ) from error
            self._last_used = time.monotonic()
        if report is not None:
            raise error_from_report(report)
        return cast(dict[str, JsonValue], result)

    def close(self) -> None:
        """Close the connection. A later call would open a new one."""
        with self._lock:
            self._drop()


def _is_readable(descriptor: int) -> bool:
    if hasattr(select, "poll"):  # unlike select, not limited to the first 1024 descriptors
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])
