"""Examples of what passes between machines, and running channels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from eucentric_core import Frame, StagePosition
from eucentric_core.transport import DataServer, Methods, MethodsFor, PyroControlServer

from ..frames import frame_around

MakeFrame = Callable[..., Frame]
StartControl = Callable[..., PyroControlServer]
StartData = Callable[..., DataServer]

_ENDS_WITHIN_S = 20.0


@pytest.fixture
def make_frame() -> MakeFrame:
    """Makes a HAADF frame whose pixels say which one it is."""

    def make(sequence: int = 0, shape: tuple[int, ...] = (16, 16), **header: Any) -> Frame:
        array = np.full(shape, sequence, dtype=header.pop("dtype", "float32"))
        return frame_around(array, sequence, **{"stage": StagePosition(x_m=1e-6), **header})

    return make


def _stop(server: PyroControlServer | DataServer, thread: threading.Thread) -> None:
    server.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def start_control() -> Iterator[StartControl]:
    """Starts control servers on loopback and stops them, an earlier one on the same port first."""
    running: dict[int, tuple[PyroControlServer, threading.Thread]] = {}

    def start(methods: Methods | MethodsFor, *, port: int = 0, **options: Any) -> PyroControlServer:
        if port in running:
            _stop(*running.pop(port))
        server = PyroControlServer(methods, host="127.0.0.1", port=port, **options)
        thread = threading.Thread(target=server.serve)
        thread.start()
        running[server.address[1]] = (server, thread)
        return server

    yield start
    for served in running.values():
        _stop(*served)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A ZeroMQ context; ending it proves that every socket was closed."""
    context = zmq.Context[zmq.Socket[bytes]]()
    yield context
    # Not in this thread: it would wait for ever for a socket that was left open, deaf to a test's time-out.
    ending = threading.Thread(target=context.term, daemon=True)
    ending.start()
    ending.join(_ENDS_WITHIN_S)
    if ending.is_alive():
        pytest.fail("a socket was left open")


@pytest.fixture
def start_data(context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[StartData]:
    """Starts data servers on loopback and stops them, an earlier one on the same port first."""
    running: dict[int, tuple[DataServer, threading.Thread]] = {}

    def start(
        *, port: int = 0, expiry_s: float = 10.0, ingest: str = "tcp://127.0.0.1:0", **options: Any
    ) -> DataServer:
        if port in running:
            _stop(*running.pop(port))
        server = DataServer(
            host="127.0.0.1",
            port=port,
            ingest_endpoint=ingest,
            context=context,
            expiry_s=expiry_s,
            **options,
        )
        thread = threading.Thread(target=server.serve)
        thread.start()
        running[server.address[1]] = (server, thread)
        return server

    yield start
    for served in running.values():
        _stop(*served)
