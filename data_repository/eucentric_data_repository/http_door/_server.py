"""uvicorn in a thread of the service: bounded, behind mutual TLS off the machine, stopped cleanly."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from eucentric_core import ConfigurationError, RepositorySettings, ServiceUnavailableError, is_loopback
from eucentric_core.security import server_context

from .._catalogue import Catalogue
from ._app import make_app
from ._peer import admitting_protocol

__all__ = ["HttpDoor"]

_MAX_CONNECTIONS = 64
_MAX_HEADER_BYTES = 16 << 10
_KEEP_ALIVE_S = 15
_START_TIMEOUT_S = 15.0
_GRACE_S = 2
_JOIN_S = 8.0
_POLL_S = 0.02


class HttpDoor:
    """Serves the catalogue over HTTP until it is stopped.

    Args:
        catalogue: what is shown.
        repository: address, certificates and limits.
        repository_id: of the repository that must lie in the root; None for any.

    Raises:
        ConfigurationError: the address is taken, certificates cannot be used, or it leaves the machine
            without them.
    """

    def __init__(
        self, catalogue: Catalogue, repository: RepositorySettings, *, repository_id: str | None = None
    ) -> None:
        host, port, tls = repository.http_host, repository.http_port, repository.tls
        if port is None or (tls is None and not is_loopback(host)):
            raise ConfigurationError(
                f"The HTTP door would be open to the network at {host}.",
                safe="it was not opened.",
                next_step="set repository.tls, or repository.http_host to 127.0.0.1.",
            )
        app = make_app(
            catalogue,
            max_response_bytes=repository.http_max_response_bytes,
            repository_id=repository_id,
        )
        if tls is None:
            # A web page that a person on this machine looks at must not read through a name of its own.
            app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", host])
        context = server_context(tls) if tls is not None else None
        config = uvicorn.Config(
            app,
            http=admitting_protocol(tls),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_context_factory=None if context is None else lambda _config, _default: context,
        )
        self._server = uvicorn.Server(config)
        self._socket = _bound(host, port)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )

    def start(self) -> None:
        """Answer from now on.

        Raises:
            ServiceUnavailableError: it does not.
        """
        self._thread.start()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ServiceUnavailableError(
                    "The HTTP door did not open.",
                    safe="the repository takes in shards all the same.",
                    next_step="see the log; leave repository.http_port out to go without it.",
                )
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Finish what is being answered, for two seconds at most, and close."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(timeout=_JOIN_S)
        self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, port))
        except OSError:
            found.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            f"The HTTP door cannot listen on {host} port {port}: {error.strerror or error}.",
            safe="nothing was started.",
            next_step="set repository.http_port to another one, or stop what uses it.",
        ) from error
    return found
