"""An instrument and an edge for the page to look at: real channels on free ports, fed by the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zmq

from eucentric_core import (
    Capabilities,
    CommandEnvelope,
    Event,
    Frame,
    LeaseStatus,
    Optics,
    ResultHeader,
    Settings,
    StagePosition,
    load_settings,
    utc_now,
)
from eucentric_core.transport import DataServer, PyroControlServer, StreamPublisher, find_free_port
from eucentric_core.vocabulary import InstrumentState

from ..frames import frame_around

SHAPE = (64, 64)
PIXEL_SIZE_M = 20e-12
CLASSES = ("metal", "chalcogen")
OPTICS = Optics(
    high_tension_v=80e3,
    beam_current_a=50e-12,
    convergence_angle_rad=25e-3,
    defocus_m=0.0,
    field_of_view_m=SHAPE[1] * PIXEL_SIZE_M,
    dwell_time_s=2e-6,
)
ATOMS = np.array([(y, x, (y + x) // 8 % 2) for y in range(8, 60, 8) for x in range(8, 60, 8)], np.float32)
"""Columns on a grid: `y_px, x_px, class_id`."""


def frame_of(sequence: int, *, session: str = "s1", simulated: bool = True) -> Frame:
    """A frame with a bright spot on every column, brighter to the right."""
    image = np.tile(np.linspace(80, 120, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))
    for y, x, _ in ATOMS.astype(int):
        image[y - 1 : y + 2, x - 1 : x + 2] += 200
    return _frame("haadf", sequence, image, session=session, simulated=simulated)


def truth_of(sequence: int, *, session: str = "s1") -> Frame:
    """The ground truth of `frame_of`."""
    return _frame("truth", sequence, ATOMS, session=session)


def _frame(stream: str, sequence: int, array: npt.NDArray[Any], **header: Any) -> Frame:
    return frame_around(
        array,
        sequence,
        stream,
        pixel_size_m=PIXEL_SIZE_M,
        instrument="microscope-1",
        acquired_monotonic_s=time.monotonic(),
        optics=OPTICS,
        dose_e_per_a2=1.0,
        material=None,
        classes=CLASSES if stream == "truth" else (),
        **header,
    )


def answer_of(
    sequence: int, *, session: str = "s1", version: int = 1, found: int | None = None, drift: float = 0.4
) -> tuple[ResultHeader, npt.NDArray[np.float32]]:
    """Detections of the first `found` columns, all right."""
    rows = np.column_stack([ATOMS[:found], np.full(len(ATOMS[:found]), 0.9)]).astype(np.float32)
    return _result("detections", sequence, rows, session=session, version=version, drift=drift), rows


def uncertainty_of(
    sequence: int, *, session: str = "s1", version: int = 1
) -> tuple[ResultHeader, npt.NDArray[np.float16]]:
    """Pixel-wise uncertainty that rises from left to right."""
    deviation = np.tile(np.linspace(0, 0.5, SHAPE[1], dtype=np.float16), (SHAPE[0], 1))
    return _result("uncertainty", sequence, deviation, session=session, version=version, drift=0.4), deviation


def _result(
    stream: str, sequence: int, array: Any, *, session: str, version: int, drift: float
) -> ResultHeader:
    return ResultHeader(
        instrument="microscope-1",
        session=session,
        stream=stream,
        sequence=sequence,
        acquired_utc=utc_now(),
        acquired_monotonic_s=time.monotonic(),
        shape=array.shape,
        dtype=array.dtype.name,
        simulated=True,
        source_stream="haadf",
        model_name="atoms",
        model_version=version,
        classes=CLASSES,
        pixel_size_m=PIXEL_SIZE_M,
        mean_uncertainty=0.04,
        mean_entropy_nats=0.1,
        drift_score=drift,
        latency_s=0.025,
    )


class Channels:
    """A service's two channels on given ports, until `stop`."""

    def __init__(self, methods: dict[str, Any], *, control_port: int, data_port: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        endpoint = f"inproc://ingest-{data_port}"
        self._data = DataServer(
            host="127.0.0.1", port=data_port, ingest_endpoint=endpoint, context=self._context
        )
        self._control = PyroControlServer(methods, host="127.0.0.1", port=control_port)
        self._publisher = StreamPublisher(endpoint, context=self._context, timeout_s=5)
        self._threads = [threading.Thread(target=s.serve, daemon=True) for s in (self._data, self._control)]
        for thread in self._threads:
            thread.start()

    def publish(self, *message: Any) -> None:
        """Send a frame, a result header with its array, or an event."""
        match message:
            case (Frame() as frame,):
                self._publisher.publish(frame.header, frame.array)
            case (Event() as event,):
                self._publisher.publish_event(event)
            case (header, array):
                self._publisher.publish(header, array)

    def stop(self) -> None:
        """Close both channels, as the end of the service does."""
        self._publisher.close()
        self._data.stop()
        self._control.stop()
        for thread in self._threads:
            thread.join(timeout=5)
        self._context.term()


class Site:
    """One agent and one edge. What clients ask of the agent is kept in `stopped_by`."""

    def __init__(self, home: Path) -> None:
        ports = [find_free_port() for _ in range(5)]
        self.settings: Settings = load_settings(
            flags={
                "home": str(home),
                "agent": {"control_port": ports[0], "data_port": ports[1]},
                "edge": {"control_port": ports[2], "data_port": ports[3]},
                "dashboard": {"port": ports[4]},
            },
            environment={},
        )
        self.beam_blanked = False
        self.scanning = True
        self.blanker_works = True
        self.hold_first_stop: threading.Event | None = None
        self.first_stop_arrived = threading.Event()
        self.holder: str | None = "anna"
        self.stopped_by: list[str] = []
        self.agent: Channels | None = None
        self.edge: Channels | None = None

    def start_agent(self) -> Channels:
        """Start the agent on its ports."""
        agent, methods = self.settings.agent, self._agent_methods()
        self.agent = Channels(methods, control_port=agent.control_port, data_port=agent.data_port)
        return self.agent

    def start_edge(self) -> Channels:
        """Start the edge on its ports."""
        edge = self.settings.edge
        methods = {"ping": lambda _: {"service": "edge", "version": "0", "state": "running"}}
        self.edge = Channels(methods, control_port=edge.control_port, data_port=edge.data_port)
        return self.edge

    def stop_agent(self) -> None:
        """Stop the agent, if it runs."""
        if self.agent is not None:
            self.agent.stop()
            self.agent = None

    def stop(self) -> None:
        """Stop everything."""
        self.stop_agent()
        if self.edge is not None:
            self.edge.stop()

    def publish(
        self, sequence: int, *, version: int = 1, session: str = "s1", found: int | None = None
    ) -> None:
        """One acquisition with its truth and the edge's answers."""
        assert self.agent is not None
        assert self.edge is not None
        self.agent.publish(truth_of(sequence, session=session))
        self.agent.publish(frame_of(sequence, session=session))
        self.edge.publish(*answer_of(sequence, session=session, version=version, found=found))
        self.edge.publish(*uncertainty_of(sequence, session=session, version=version))

    def _agent_methods(self) -> dict[str, Any]:
        def execute(payload: dict[str, Any]) -> dict[str, Any]:
            assert CommandEnvelope.model_validate(payload).command.verb == "state.get"
            return InstrumentState(
                session="s1",
                scanning=self.scanning,
                beam_blanked=self.beam_blanked,
                next_sequence=7,
                stage=StagePosition(),
                optics=OPTICS,
                dose_e_per_a2=412.0,
                simulated=True,
            ).model_dump(mode="json")

        def safe_stop(payload: dict[str, Any]) -> dict[str, Any]:
            self.stopped_by.append(payload["client"])
            if self.hold_first_stop is not None and not self.first_stop_arrived.is_set():
                self.first_stop_arrived.set()
                self.hold_first_stop.wait(5)
            self.scanning = False
            self.beam_blanked = self.blanker_works
            return {}

        capabilities = Capabilities(
            instrument="microscope-1",
            model="stand-in",
            simulated=True,
            verbs=("state.get",),
            streams=("haadf",),
        )
        return {
            "describe": lambda _: capabilities.model_dump(mode="json"),
            "execute": execute,
            "interlocks.show": lambda _: {"limits": {"dose": {"region_e_per_a2": 2000.0}}, "trips": []},
            "safe_stop": safe_stop,
            "lease.status": lambda _: LeaseStatus(
                holder=self.holder, epoch=1, remaining_s=8.0 if self.holder else 0.0
            ).model_dump(mode="json"),
        }


def eventually(is_so: Callable[[], bool], *, timeout_s: float = 20.0) -> bool:
    """Wait until something is so; False if it does not become so in time."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def feed_until(publish: Callable[[int], None], is_so: Callable[[], bool]) -> bool:
    """Publish frames 0, 1, 2... until something is so: a newest-only viewer may skip any one of them."""
    numbers = count()

    def fed() -> bool:
        publish(next(numbers))
        return is_so()

    return eventually(fed)
