"""The one place of this process that listens to an instrument, however many viewers there are."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eucentric_core import (
    AnyEvent,
    DataFormatError,
    ServiceUnavailableError,
    Settings,
    agent_data_access,
    channel_credentials,
    connect,
    edge_data_access,
)
from eucentric_core.transport import EVENT_STREAM, StreamMessage, StreamSubscriber
from eucentric_flows import RunView, runs_path

from ._live import CoursePoint, LiveJoin
from ._picture import Picture
from ._runs_reader import RunsReader
from ._safe_stop import SafeStop
from ._steward import Steward
from ._watch import AgentReader, AgentStatus, EdgeReader, Reading, Watch

__all__ = ["LiveFigures", "LiveHub"]

_CREDIT = 2
_KEPT_EVENTS = 50
_WAIT_S = 0.25
_STEERING_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """Numbers for the status strip. Ages and latencies in seconds; None where there is nothing to say yet."""

    frame_age_s: float | None
    frames_per_s: float
    skipped_frames: int
    latency_p50_s: float | None
    latency_p99_s: float | None
    last_answer: CoursePoint | None
    edge_behind_s: float | None = None


class LiveHub:
    """Follows one agent and one edge as a newest-only viewer, and keeps what the pages show.

    A newest-only subscription never slows the acquisition: what a slow viewer does not take is skipped,
    while the recorder still gets every frame. Subscriptions renew themselves when a service restarts.

    Args:
        settings: with agent and edge of the instrument.
        whole: of the dashboard's machine, if it shows other instruments as well.
    """

    def __init__(self, settings: Settings, *, whole: Settings | None = None) -> None:
        agent, edge = settings.agent, settings.edge
        client = f"dashboard@{socket.gethostname()}"
        self.settings = settings
        self.whole = settings if whole is None else whole
        tls = settings.client.tls
        self.safe_stop = SafeStop(agent.host, agent.control_port, client=client, credentials=tls)
        self.steward = Steward(
            lambda name: connect(
                agent.host,
                agent.control_port,
                client=name,
                timeout_s=_STEERING_TIMEOUT_S,
                data_port=agent.data_port,
                credentials=tls,
            )
        )
        self._agent_reader = AgentReader(agent.host, agent.control_port, client=client, credentials=tls)
        self._edge_reader = EdgeReader(
            edge.host, edge.control_port, credentials=channel_credentials(settings, edge)
        )
        self._agent = Watch("agent", self._agent_reader)
        self._edge = Watch("edge", self._edge_reader)
        self._runs_reader = RunsReader(runs_path(settings))
        self._runs = Watch("record of runs", self._runs_reader)
        self._lock = threading.Lock()
        self._join = LiveJoin()
        self._events: deque[AnyEvent] = deque(maxlen=_KEPT_EVENTS)
        self._closed = threading.Event()
        self._take: dict[str, Callable[[StreamMessage], None]] = {
            edge.source_stream: self._take_image,
            "truth": self._take_truth,
            "detections": self._take_detections,
            "uncertainty": self._take_uncertainty,
            "class_map": self._take_class_map,
            EVENT_STREAM: self._take_event,
        }
        self._sources = (
            StreamSubscriber(
                agent.host,
                agent.data_port,
                streams=[edge.source_stream, "truth", EVENT_STREAM],
                mode="newest",
                credit=_CREDIT,
                access=agent_data_access(settings, client=client),
            ),
            StreamSubscriber(
                edge.host,
                edge.data_port,
                streams=["detections", "uncertainty", "class_map", EVENT_STREAM],
                mode="newest",
                credit=_CREDIT,
                access=edge_data_access(settings, client=client),
            ),
        )
        self._threads = [
            threading.Thread(target=self._follow, args=(source,), name="live", daemon=True)
            for source in self._sources
        ]

    def start(self) -> None:
        """Begin to listen. Nothing needs to be there yet."""
        for watch in (self._agent, self._edge, self._runs):
            watch.start()
        for thread in self._threads:
            thread.start()
        self.steward.start()

    def close(self) -> None:
        """Stop listening and drop the connections."""
        watches = (self._agent, self._edge, self._runs)
        self.steward.close()
        self._closed.set()
        for watch in watches:
            watch.stop()
        for source in self._sources:
            source.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)
        for watch in watches:
            watch.join()
        for reader in (self._agent_reader, self._edge_reader, self._runs_reader):
            reader.close()

    @property
    def agent(self) -> Reading[AgentStatus]:
        """What the agent last said."""
        return self._agent.reading

    @property
    def edge(self) -> Reading[str]:
        """What the edge last said of its own state."""
        return self._edge.reading

    @property
    def runs(self) -> Reading[tuple[RunView, ...]]:
        """The newest runs of the flows."""
        return self._runs.reading

    @property
    def course(self) -> tuple[CoursePoint, ...]:
        """The last few hundred answers of the edge, oldest first."""
        with self._lock:
            return self._join.course

    @property
    def events(self) -> tuple[AnyEvent, ...]:
        """The last events of agent and edge, oldest first."""
        with self._lock:
            return tuple(self._events)

    def picture(self, *, with_uncertainty: bool = False) -> Picture | None:
        """The picture to show now; None before the first frame."""
        with self._lock:
            return self._join.choose(with_uncertainty=with_uncertainty)

    def answered_picture(self) -> Picture | None:
        """The newest frame that was answered, however old; for maps, which belong to their frame."""
        with self._lock:
            return self._join.answered

    def find_picture(self, version: int) -> Picture | None:
        """A picture by its version, while it is kept."""
        with self._lock:
            return self._join.find(version)

    def figures(self) -> LiveFigures:
        """The numbers of this moment."""
        now_s = time.monotonic()
        with self._lock:
            newest, latency_s = self._join.newest, self._join.latency_s()
            return LiveFigures(
                frame_age_s=None if newest is None else now_s - newest.arrived_s,
                frames_per_s=self._join.frames_per_s(now_s=now_s),
                skipped_frames=self._join.skipped_frames,
                latency_p50_s=latency_s[0] if latency_s else None,
                latency_p99_s=latency_s[1] if latency_s else None,
                last_answer=self._join.course[-1] if self._join.course else None,
                edge_behind_s=self._join.behind_s(now_s=now_s),
            )

    def _follow(self, source: StreamSubscriber) -> None:
        while not self._closed.is_set():
            try:
                message = source.receive(timeout_s=_WAIT_S)
            except ServiceUnavailableError:
                # The watch tells the viewers; the subscription renews itself when the service is back.
                continue
            if message is None or self._closed.is_set():
                continue
            try:
                self._take[message.stream](message)
            except DataFormatError as error:
                _log.warning("a message was not shown: %s", error)
            source.acknowledge()

    def _take_image(self, message: StreamMessage) -> None:
        frame = message.frame()
        if frame.array.ndim != 2 or frame.array.size == 0:
            raise _not_shown(f"A frame of shape {list(frame.array.shape)} is no image.")
        with self._lock:
            self._join.take_frame(frame, now_s=time.monotonic())

    def _take_truth(self, message: StreamMessage) -> None:
        frame = message.frame()
        if frame.array.ndim != 2 or frame.array.shape[1] != 3:
            raise _not_shown(f"Ground truth of shape {list(frame.array.shape)} is not (n, 3).")
        with self._lock:
            self._join.take_truth(frame)

    def _take_detections(self, message: StreamMessage) -> None:
        header, rows = message.result()
        if rows.ndim != 2 or rows.shape[1] != 4 or (len(rows) and not _classes_known(rows, header.classes)):
            raise _not_shown(f"Detections of shape {list(rows.shape)} do not fit classes {header.classes}.")
        with self._lock:
            self._join.take_detections(header, rows.astype(np.float32, copy=False))

    def _take_uncertainty(self, message: StreamMessage) -> None:
        header, deviation = message.result()
        if deviation.ndim != 2:
            raise _not_shown(f"An uncertainty map of shape {list(deviation.shape)} is no image.")
        with self._lock:
            self._join.take_uncertainty(header, deviation.astype(np.float16, copy=False))

    def _take_class_map(self, message: StreamMessage) -> None:
        header, classes = message.result()
        if classes.ndim != 2 or classes.dtype.kind not in "iu":
            raise _not_shown(f"A class map of shape {list(classes.shape)} and {classes.dtype} is no map.")
        with self._lock:
            self._join.take_class_map(header, classes.astype(np.int16, copy=False))

    def _take_event(self, message: StreamMessage) -> None:
        event = message.event()
        with self._lock:
            self._events.append(event)


def _classes_known(rows: np.ndarray, classes: tuple[str, ...]) -> bool:
    return bool(rows[:, 2].min() >= 0 and rows[:, 2].max() < len(classes))


def _not_shown(what: str) -> DataFormatError:
    return DataFormatError(what, safe="it is recorded all the same.", next_step="see the producer's log.")
