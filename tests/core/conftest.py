"""Examples of what passes between machines, and running channels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import hypothesis
import numpy as np
import pytest
import zmq

from eucentric_core import Axis, Frame, FrameHeader, Optics, StagePosition
from eucentric_core.transport import DataServer, Methods, PyroControlServer

# No deadline: a test must not fail because the machine is busy. No database: no run depends on the last.
hypothesis.settings.register_profile("house", deadline=None, database=None)
hypothesis.settings.load_profile("house")

MakeFrame = Callable[..., Frame]
StartControl = Callable[..., PyroControlServer]
StartData = Callable[..., DataServer]


@pytest.fixture
def make_frame() -> MakeFrame:
    """Makes a HAADF frame whose pixels say which one it is."""

    def make(sequence: int = 0, shape: tuple[int, ...] = (16, 16), **header: Any) -> Frame:
        array = np.full(shape, sequence, dtype=header.pop("dtype", "float32"))
        fields: dict[str, Any] = {
            "instrument": "twin",
            "session": "s1",
            "stream": "haadf",
            "sequence": sequence,
            "acquired_utc": datetime(2026, 11, 20, 12, tzinfo=UTC),
            "acquired_monotonic_s": 12.5,
            "shape": shape,
            "dtype": array.dtype.name,
            "simulated": True,
            "axes": tuple(Axis(name=name, unit="m", scale=2e-11) for name in "yx"[-len(shape) :]),
            "optics": Optics(
                high_tension_v=60e3,
                beam_current_a=3e-11,
                convergence_angle_rad=0.03,
                defocus_m=-2e-9,
                field_of_view_m=1e-8,
                dwell_time_s=1e-6,
            ),
            "stage": StagePosition(x_m=1e-6),
            "dose_e_per_a2": 40.0,
        }
        return Frame(FrameHeader(**{**fields, **header}), array)

    return make


@pytest.fixture
def start_control() -> Iterator[StartControl]:
    """Starts control servers on loopback and stops them, an earlier one on the same port first."""
    running: dict[int, tuple[PyroControlServer, threading.Thread]] = {}

    def stop(server: PyroControlServer, thread: threading.Thread) -> None:
        server.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()

    def start(methods: Methods, *, port: int = 0) -> PyroControlServer:
        if port in running:
            stop(*running.pop(port))
        server = PyroControlServer(methods, host="127.0.0.1", port=port)
        thread = threading.Thread(target=server.serve)
        thread.start()
        running[server.address[1]] = (server, thread)
        return server

    yield start
    for served in running.values():
        stop(*served)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A ZeroMQ context; ending it proves that every socket was closed."""
    context = zmq.Context[zmq.Socket[bytes]]()
    yield context
    context.term()


@pytest.fixture
def start_data(context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[StartData]:
    """Starts data servers on loopback and stops them, an earlier one on the same port first."""
    running: dict[int, tuple[DataServer, threading.Thread]] = {}

    def stop(server: DataServer, thread: threading.Thread) -> None:
        server.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()

    def start(*, port: int = 0, expiry_s: float = 10.0, ingest: str = "tcp://127.0.0.1:0") -> DataServer:
        if port in running:
            stop(*running.pop(port))
        server = DataServer(
            host="127.0.0.1", port=port, ingest_endpoint=ingest, context=context, expiry_s=expiry_s
        )
        thread = threading.Thread(target=server.serve)
        thread.start()
        running[server.address[1]] = (server, thread)
        return server

    yield start
    for served in running.values():
        stop(*served)
