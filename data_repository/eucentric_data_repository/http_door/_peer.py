"""Who is at the other end of a connection of the HTTP door, asked again for every request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cryptography import x509
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from eucentric_core import NotAuthorisedError, TlsSettings
from eucentric_core.security import RevocationList, Trust, caller_from_certificate, load_certificate

__all__ = ["admitting_protocol"]

_REQUEST_TIMEOUT_S = 10.0
"""Longest time between the first byte of a request, or the connection, and the end of its headers."""

_ANSWER_TIMEOUT_S = 600.0
"""Longest time until an answer has been read: who does not read keeps its place no longer."""

Admit = Callable[[bytes | None], Callable[[], None]]


def _admission(tls: TlsSettings | None) -> Admit:
    if tls is None:
        return lambda _certificate: lambda: None
    authority = load_certificate(tls.authority)
    revoked = RevocationList(tls.revoked, authority) if tls.revoked is not None else None

    def admit(certificate: bytes | None) -> Callable[[], None]:
        # TLS has proven it already; here it must also be a person's, with a role.
        proven = x509.load_der_x509_certificate(certificate or b"")
        caller_from_certificate(proven)
        return Trust(proven, revoked).require

    return admit


def _guarded(app: Any, require: Callable[[], None]) -> Any:
    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        try:
            require()
        except NotAuthorisedError as error:
            answer = JSONResponse({"error": error.report().model_dump(mode="json")}, status_code=403)
            await answer(scope, receive, send)
            return
        await app(scope, receive, send)

    return guarded


def admitting_protocol(tls: TlsSettings | None) -> type[asyncio.Protocol]:
    """uvicorn's protocol, which asks who is there, and lets nobody keep a connection without a request.

    Args:
        tls: of the door; None where it stays on the machine and everybody there may read.

    Raises:
        ConfigurationError: the authority's certificate cannot be read.
    """
    admit = _admission(tls)

    class AdmittingProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None
        _answering = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connection = transport.get_extra_info("ssl_object")
            certificate = connection.getpeercert(binary_form=True) if connection is not None else None
            try:
                require = admit(certificate)
            except NotAuthorisedError as error:
                refused = error

                def require() -> None:
                    raise refused

            self.app = _guarded(self.app, require)
            self._wait(_REQUEST_TIMEOUT_S)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            cycle = getattr(self, "cycle", None)
            answering = cycle is not None and not cycle.response_complete
            if answering != self._answering:
                self._stop_waiting()
            self._answering = answering
            self._wait(_ANSWER_TIMEOUT_S if answering else _REQUEST_TIMEOUT_S)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait(self, seconds: float) -> None:
            if self._deadline is None:
                # Not close(): that would wait for a reader who does not read.
                self._deadline = self.loop.call_later(seconds, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return AdmittingProtocol
