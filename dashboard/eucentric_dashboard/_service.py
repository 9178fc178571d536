"""The dashboard as a service: one process, one hub, one web server."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from eucentric_core import ServiceUnavailableError, Settings, configure_logging, service_lifetime
from eucentric_core.transport import require_loopback, require_port_free

from ._hub import LiveHub

__all__ = ["SERVICE", "serve"]

SERVICE = "dashboard"

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 4.0


def serve(settings: Settings) -> None:
    """Serve the page until SIGTERM or SIGINT. Must be called on the main thread.

    Raises:
        ConfigurationError: the port is in use, or the address is not loopback; there is no login yet.
        ServiceUnavailableError: the web server did not start.
    """
    host, port = settings.dashboard.host, settings.dashboard.port
    require_loopback(host, "dashboard")
    require_port_free(host, port, "the dashboard")
    configure_logging(SERVICE, settings.logs)
    with service_lifetime(SERVICE, settings.home) as lifetime:
        hub = LiveHub(settings)
        hub.start()
        try:
            with _web_server(_application(hub), host, port) as server:
                lifetime.announce_ready({"host": host, "port": port, "url": f"http://{host}:{port}/"})
                while not lifetime.stopping.wait(0.5) and not server.should_exit:
                    pass
        finally:
            hub.close()


def _application(hub: LiveHub) -> FastAPI:
    # NiceGUI makes its folder in the working directory unless it is told otherwise before its import.
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(hub.settings.home / SERVICE / "nicegui"))
    from nicegui import ui

    from ._images import live_router
    from ._page import build_page

    application = FastAPI(title="Eucentric dashboard", openapi_url=None)
    # A page elsewhere must not reach this one under a name of its own that resolves to loopback.
    application.add_middleware(
        TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", hub.settings.dashboard.host]
    )
    application.include_router(live_router(hub))
    ui.run_with(
        application,
        root=lambda: build_page(hub),
        title="Eucentric",
        dark=True,
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )
    return application


@contextmanager
def _web_server(application: FastAPI, host: str, port: int) -> Iterator[uvicorn.Server]:
    config = uvicorn.Config(
        application, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=1
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
