"""Pyro's proxy on a connection of our own making: Pyro has one TLS configuration for the whole process."""

from __future__ import annotations

import socket
import ssl
import time

import Pyro5.client
import Pyro5.errors
from pydantic import ValidationError
from Pyro5.protocol import MSG_CONNECT, MSG_CONNECTFAIL, MSG_CONNECTOK, SendingMessage, recv_stub
from Pyro5.serializers import serializers

from .._errors import ErrorReport, ServiceUnavailableError, TransportError, error_from_report
from .._settings import TlsSettings
from ..security import (
    RevocationList,
    Trust,
    client_context,
    explain_tls_failure,
    load_certificate,
    require_server_certificate,
)
from ._marking import connect_control
from ._pyro import OBJECT_ID
from ._pyro_connection import JSON_SERIALIZER_ID, ControlConnection

__all__ = ["Connector"]


class Connector:
    """Opens proxies to one service, which proves by certificate that it is the named host.

    Raises:
        ConfigurationError: the credentials are unusable.
    """

    def __init__(
        self, host: str, port: int, *, timeout_s: float, credentials: TlsSettings | None, token: str | None
    ) -> None:
        self.where = f"{host}:{port}"
        self._address = (host, port)
        self._uri = f"PYRO:{OBJECT_ID}@{f'[{host}]' if ':' in host else host}:{port}"
        self._timeout_s = timeout_s
        self._credentials = credentials
        self._greeting = token if token is not None else "hello"
        self._context: ssl.SSLContext | None = None
        self._revoked: RevocationList | None = None
        if credentials is not None:
            self._context = client_context(credentials)
            if credentials.revoked is not None:
                self._revoked = RevocationList(credentials.revoked, load_certificate(credentials.authority))

    def connect(self) -> Pyro5.client.Proxy:
        """A proxy that is connected, within the time-out.

        Raises:
            NotAuthorisedError: one side's certificate, or the token, is not accepted; the message says which.
            ServiceUnavailableError: nobody answers, or not in this protocol.
        """
        began_s = time.monotonic()
        try:
            connection = ControlConnection(connect_control(self._address, self._timeout_s), OBJECT_ID)
        except OSError as error:
            raise self._nobody() from error
        try:
            connection.allow(self._timeout_s, since_s=began_s)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._secure(connection)
            self._greet(connection)
        except BaseException:
            connection.close()
            raise
        proxy = Pyro5.client.Proxy(self._uri)
        proxy._pyroSerializer = "json"
        proxy._pyroMaxRetries = 0
        proxy._pyroMethods = {"call"}
        proxy._pyroConnection = connection
        return proxy

    def _secure(self, connection: ControlConnection) -> None:
        if self._context is None or self._credentials is None:
            return
        try:
            connection.start_tls(self._context, self._address[0])
        except Pyro5.errors.ConnectionClosedError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError):
                raise self._nobody() from error
            raise explain_tls_failure(cause, self._credentials, self.where) from error
        except Pyro5.errors.TimeoutError as error:
            raise self._nobody() from error
        certificate = connection.peer_certificate()
        require_server_certificate(certificate)
        Trust(certificate, self._revoked).require()

    def _greet(self, connection: ControlConnection) -> None:
        json = serializers["json"]
        hello = json.dumps({"handshake": self._greeting, "object": OBJECT_ID})
        try:
            connection.send(SendingMessage(MSG_CONNECT, 0, 0, JSON_SERIALIZER_ID, hello).data)
            answer = recv_stub(connection, [MSG_CONNECTOK, MSG_CONNECTFAIL])
            if answer.type == MSG_CONNECTOK:
                return
            reason = json.loads(answer.data)
        except (Pyro5.errors.PyroError, ValueError) as error:
            # With TLS 1.3 the service looks at the client's certificate after the client has finished.
            if self._credentials is not None and isinstance(error.__cause__, ssl.SSLError):
                raise explain_tls_failure(error.__cause__, self._credentials, self.where) from error
            raise self._nobody() from error
        raise self._refused(reason)

    def _refused(self, reason: object) -> Exception:
        try:
            return error_from_report(ErrorReport.model_validate_json(str(reason)))
        except ValidationError:
            return TransportError(
                f"The service at {self.where} refused the connection: {reason}.",
                safe="nothing was sent to the instrument.",
                next_step="check that both sides run compatible versions.",
            )

    def _nobody(self) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            f"No service answers at {self.where}.",
            safe="nothing was sent.",
            next_step="check that the service runs (`eucentric doctor`) and the address is right.",
        )
