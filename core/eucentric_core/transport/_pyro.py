"""The control channel over Pyro5: one object, one method, plain JSON, small messages, time-outs.

Pyro5 is hidden behind `ControlServer` and `ControlClient` because it is hardly maintained. Its
pitfalls that shape this module: configuration is global to the process; a proxy belongs to one
thread; a client time-out does not stop the method, and a retry would execute it again.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, cast

import Pyro5.api
import Pyro5.errors
from pydantic import JsonValue, ValidationError

from .._errors import (
    CommandRefusedError,
    ErrorReport,
    EucentricError,
    RemoteError,
    ServiceUnavailableError,
    TransportError,
    error_from_report,
)
from ._network import require_loopback, require_port_free
from ._protocols import Methods

__all__ = ["MAX_CONTROL_BYTES", "PyroControlClient", "PyroControlServer"]

MAX_CONTROL_BYTES = 1 << 20
"""Largest control message; arrays belong on the data channel."""

_OBJECT = "control"
_IDLE_LIMIT_S = 10.0
_CONNECTIONS = 64

_log = logging.getLogger(__name__)


def _configure() -> None:
    config = Pyro5.config
    config.SERIALIZER = "json"
    config.SERVERTYPE = "thread"
    config.THREADPOOL_SIZE = _CONNECTIONS
    config.COMMTIMEOUT = _IDLE_LIMIT_S
    config.MAX_MESSAGE_SIZE = MAX_CONTROL_BYTES
    config.MAX_RETRIES = 0
    config.DETAILED_TRACEBACK = False


def _answer_safely(methods: Methods, method: str, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if method not in methods:
        raise CommandRefusedError(
            f"This service has no method {method!r}.",
            safe="nothing was changed.",
            next_step=f"use one of {', '.join(sorted(methods))}.",
        )
    try:
        return methods[method](payload)
    except ValidationError as error:
        raise CommandRefusedError(
            f"{method}: {'; '.join(e['msg'] for e in error.errors()[:3])}.",
            safe="nothing was changed.",
            next_step="correct the request.",
        ) from error


@Pyro5.api.expose
class Dispatcher:
    def __init__(self, methods: Methods) -> None:
        self._methods = methods

    def call(self, method: str, payload: dict[str, JsonValue]) -> dict[str, Any]:
        try:
            return {"ok": _answer_safely(self._methods, method, payload)}
        except EucentricError as error:
            return {"error": error.report().model_dump(mode="json")}
        except Exception:
            # The outermost frame of a remote call: anything unforeseen must reach the log here and
            # the caller as a typed error, without exposing the server's internals.
            _log.exception("method %s failed", method)
            unforeseen = RemoteError(
                f"{method} failed in an unforeseen way.",
                safe="unknown; read the state before the next command.",
                next_step="see this service's log.",
            )
            return {"error": unforeseen.report().model_dump(mode="json")}


class PyroControlServer:
    """Serves a table of methods on a loopback address, a thread per connection.

    Raises:
        ConfigurationError: the port is in use, or the address is not loopback (mutual TLS is
            needed to leave the machine).
    """

    def __init__(self, methods: Methods, *, host: str, port: int) -> None:
        require_loopback(host, "control")
        require_port_free(host, port, "the control channel")
        _configure()
        self._daemon = Pyro5.api.Daemon(host=host, port=port)
        self._daemon.register(Dispatcher(methods), objectId=_OBJECT)
        bound_host, _, bound_port = self._daemon.locationStr.rpartition(":")
        self._address = (bound_host, int(bound_port))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        return self._address

    def serve(self) -> None:
        """Answer until `stop` is called from another thread."""
        self._daemon.requestLoop()
        self._daemon.close()

    def stop(self) -> None:
        """Make `serve` return."""
        self._daemon.shutdown()


class PyroControlClient:
    """Calls a service's methods. May be used from any thread; calls follow one another.

    A stop must not wait behind another call: give it a client of its own.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 10.0) -> None:
        _configure()
        self._where = f"{host}:{port}"
        self._uri = f"PYRO:{_OBJECT}@{host}:{port}"
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._proxy: Pyro5.api.Proxy | None = None
        self._last_used = 0.0

    def _connected(self) -> Pyro5.api.Proxy:
        # The server drops sessions that stay idle; a fresh connection is cheaper than a failed call.
        if self._proxy is not None and time.monotonic() - self._last_used > _IDLE_LIMIT_S / 2:
            self._drop()
        if self._proxy is None:
            proxy = Pyro5.api.Proxy(self._uri)
            proxy._pyroTimeout = self._timeout_s
            try:
                proxy._pyroBind()
            except Pyro5.errors.CommunicationError as error:
                raise ServiceUnavailableError(
                    f"No service answers at {self._where}.",
                    safe="nothing was sent.",
                    next_step="check that the service runs (`eucentric doctor`) and the address is right.",
                ) from error
            self._proxy = proxy
        self._proxy._pyroClaimOwnership()
        return self._proxy

    def _drop(self) -> None:
        if self._proxy is not None:
            self._proxy._pyroClaimOwnership()
            self._proxy._pyroRelease()
            self._proxy = None

    def call(self, method: str, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Call a method; see `ControlClient.call`."""
        with self._lock:
            proxy = self._connected()
            try:
                answer = cast(dict[str, Any], proxy.call(method, payload))
            except (Pyro5.errors.PyroError, OSError) as error:
                self._drop()
                raise TransportError(
                    f"No answer to {method} from {self._where} within {self._timeout_s:g} s: {error}.",
                    safe="unknown whether it ran; the agent's watchdog guards beam and stage.",
                    next_step="read the state, then repeat with the same idempotency key.",
                ) from error
            self._last_used = time.monotonic()
        if "error" in answer:
            raise error_from_report(ErrorReport.model_validate(answer["error"]))
        return cast(dict[str, JsonValue], answer["ok"])

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()
