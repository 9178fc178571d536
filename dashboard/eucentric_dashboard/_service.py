"""The dashboard as a service: one process, one hub per instrument, one web server."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from eucentric_core import (
    ConfigurationError,
    ServiceUnavailableError,
    Settings,
    configure_logging,
    is_loopback,
    service_lifetime,
)
from eucentric_core.transport import require_loopback, require_port_free

from ._hub import LiveHub
from ._instruments import settings_by_instrument
from ._priority import come_after_the_instrument
from .login import People

__all__ = ["SERVICE", "serve"]

SERVICE = "dashboard"

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 4.0
_MAX_SOCKET_MESSAGE = 1 << 20
_RECONNECT_S = 10.0
_COMPRESSION = 4
"""Of 9. The libraries of a page grow by 5 % and take 0.12 instead of 0.3 s of this process to compress."""


def serve(settings: Settings) -> None:
    """Serve the pages until SIGTERM or SIGINT. Must be called on the main thread.

    Raises:
        ConfigurationError: the port is in use, or the address would be reached without login or TLS.
        ServiceUnavailableError: the web server did not start.
    """
    dashboard = settings.dashboard
    _require_safe(settings)
    require_port_free(dashboard.host, dashboard.port, "the dashboard")
    configure_logging(SERVICE, settings.logs)
    come_after_the_instrument()
    with service_lifetime(SERVICE, settings.home) as lifetime, ExitStack() as stack:
        hubs = {
            name: LiveHub(of_one, whole=settings) for name, of_one in settings_by_instrument(settings).items()
        }
        people = None
        if dashboard.login == "accounts":
            people = People.of(settings)
            stack.callback(people.close)
        for hub in hubs.values():
            stack.callback(hub.close)
            hub.start()
        scheme = "http" if dashboard.certificate is None else "https"
        url = f"{scheme}://{dashboard.host}:{dashboard.port}/"
        with _web_server(_application(settings, hubs, people), settings) as server:
            lifetime.announce_ready({"host": dashboard.host, "port": dashboard.port, "url": url})
            while not lifetime.stopping.wait(0.5) and not server.should_exit:
                pass


def _require_safe(settings: Settings) -> None:
    dashboard = settings.dashboard
    if dashboard.certificate is None:
        require_loopback(dashboard.host, SERVICE)
    if dashboard.login == "none" and not is_loopback(dashboard.host):
        raise ConfigurationError(
            f"The dashboard was asked to let everybody in at {dashboard.host} (dashboard.login is 'none').",
            safe="no port was opened.",
            next_step="set dashboard.login to 'accounts', or listen on 127.0.0.1.",
        )


def _application(settings: Settings, hubs: Mapping[str, LiveHub], people: People | None) -> FastAPI:
    # NiceGUI makes its folder in the working directory unless it is told otherwise before its import.
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(settings.home / SERVICE / "nicegui"))
    from nicegui import ui

    from .login import Door, Gate, login_router
    from .pages import PAGES
    from .site import mount_pages, shell_router

    dashboard = settings.dashboard
    door = Door(settings, people)
    application = FastAPI(title="Eucentric dashboard", openapi_url=None, docs_url=None, redoc_url=None)
    application.add_middleware(Gate, door=door, public_url=dashboard.public_url)
    # A page elsewhere must not reach this one under a name of its own that resolves to this machine.
    application.add_middleware(TrustedHostMiddleware, allowed_hosts=_own_names(settings))
    application.include_router(login_router(settings, door, people))
    application.include_router(shell_router(hubs))
    for page in PAGES:
        if page.routes is not None:
            application.include_router(page.routes(hubs))
    mount_pages(PAGES, hubs, door)
    ui.run_with(
        application,
        title="Eucentric",
        dark=True,
        language="en-US",
        reconnect_timeout=_RECONNECT_S,
        show_welcome_message=False,
        gzip_middleware_factory=lambda inner: GZipMiddleware(inner, compresslevel=_COMPRESSION),
    )
    return application


def _own_names(settings: Settings) -> list[str]:
    dashboard = settings.dashboard
    names = ["127.0.0.1", "localhost", "[::1]", dashboard.host]
    if dashboard.public_url is not None:
        names.append(dashboard.public_url.split("://", 1)[1].split("/", 1)[0].rsplit(":", 1)[0])
    if not is_loopback(dashboard.host):
        names += list(dashboard.names)
    return names


@contextmanager
def _web_server(application: FastAPI, settings: Settings) -> Iterator[uvicorn.Server]:
    dashboard = settings.dashboard
    host, port = dashboard.host, dashboard.port
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        server_header=False,
        ws_max_size=_MAX_SOCKET_MESSAGE,
        # Images are compressed already: deflating them anew for each viewer took more than all else here.
        ws_per_message_deflate=False,
        # A viewer that takes nothing is found out by the acknowledgements of the live view, not by silence.
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ssl_certfile=None if dashboard.certificate is None else str(dashboard.certificate),
        ssl_keyfile=None if dashboard.key is None else str(dashboard.key),
    )
    server = uvicorn.Server(config)
    # On a thread of its own, so that the signals stay with the service's lifetime.
    thread = threading.Thread(target=server.run, name="web", daemon=True)
    thread.start()
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline_s:
            server.should_exit = True
            raise ServiceUnavailableError(
                f"The web server did not start on {host}:{port}.",
                safe="nothing was started.",
                next_step="see the log of the dashboard.",
            )
        time.sleep(0.05)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(timeout=_STOP_TIMEOUT_S)
