"""An ASGI application served on a free port for one test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from eucentric_core.transport import find_free_port

__all__ = ["served"]


@contextmanager
def served(application: ASGIApp, *, port: int | None = None) -> Iterator[str]:
    """Serve it; yields its address without a slash at the end."""
    port = find_free_port() if port is None else port
    config = uvicorn.Config(
        application, host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the web server did not start")
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
