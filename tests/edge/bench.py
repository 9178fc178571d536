"""A microscope, an edge process and a listener, joined by the real channels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import zmq

from eucentric_core import AnyEvent, Frame, ManagedProcess, ResultHeader, TrustedKeys
from eucentric_core.transport import (
    EVENT_STREAM,
    PyroControlClient,
    StreamPublisher,
    StreamSubscriber,
    find_free_port,
)

from ..data_channel import data_channel

_PATIENCE_S = 30.0


@contextmanager
def microscope(context: zmq.Context[zmq.Socket[bytes]], port: int) -> Iterator[StreamPublisher]:
    """The data channel of an agent; publish frames on what it yields."""
    with data_channel(context, port, "microscope") as publisher:
        yield publisher


class Edge:
    """An edge process, its control channel, and everything it has published so far."""

    def __init__(
        self, home: Path, trusted: TrustedKeys, agent_data_port: int, **settings: float | str
    ) -> None:
        self.home = home
        self.control_port, self.data_port = find_free_port(), find_free_port()
        self.config = home / "eucentric.toml"
        home.mkdir(exist_ok=True)
        (home / "trusted-keys.json").write_text(trusted.model_dump_json())
        more = "".join(f"{key} = {value}\n" for key, value in settings.items())
        self.config.write_text(
            f'home = "{home}"\n[agent]\ndata_port = {agent_data_port}\n[edge]\n'
            f"control_port = {self.control_port}\ndata_port = {self.data_port}\n"
            f'trusted_keys = "{home / "trusted-keys.json"}"\n{more}'
        )
        self.results: list[tuple[ResultHeader, np.ndarray]] = []
        self.events: list[AnyEvent] = []

    @contextmanager
    def running(self, context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[ManagedProcess]:
        """Start the process, listen to it, and stop it."""
        process = ManagedProcess(
            "edge",
            [sys.executable, "-m", "eucentric_edge", "serve", "--config", str(self.config)],
            log=self.home / "edge.log",
        )
        try:
            process.wait_ready((self.home / "run" / "edge.json").exists, timeout_s=60)
            self._control = PyroControlClient("127.0.0.1", self.control_port, timeout_s=30)
            with StreamSubscriber("127.0.0.1", self.data_port, mode="lossless", context=context) as listener:
                listener.wait_subscribed(_PATIENCE_S)
                self._listener = listener
                yield process
            self._control.close()
        finally:
            process.stop()

    def call(self, method: str, **payload: str) -> dict[str, object]:
        """Call a control method."""
        return dict(self._control.call(method, dict(payload)))

    def status(self) -> dict[str, object]:
        """What the edge says about itself."""
        return self.call("status")

    def listen_until(self, sequence: int) -> None:
        """Take what is published until both results of this frame are there."""
        while not self.results or self.results[-1][0].sequence < sequence or len(self.results) % 2:
            self._take()

    def results_of(self, sequence: int, *streams: str) -> dict[str, tuple[ResultHeader, np.ndarray]]:
        """Take what is published until these streams of this frame are there."""
        while True:
            found = {header.stream: (header, a) for header, a in self.results if header.sequence == sequence}
            if set(streams) <= set(found):
                return found
            self._take()

    def listen_for_event(self, kind: str) -> AnyEvent:
        """Take what is published until there is a new event of this kind."""
        known = len(self.events)
        while not any(event.kind == kind for event in self.events[known:]):
            self._take()
        return next(event for event in self.events[known:] if event.kind == kind)

    def _take(self) -> None:
        message = self._listener.receive(_PATIENCE_S)
        if message is None:
            raise TimeoutError(f"the edge published nothing for {_PATIENCE_S:g} s: {self.status()}")
        if message.stream == EVENT_STREAM:
            self.events.append(message.event())
        else:
            header, array = message.result()
            self.results.append((header, array.copy()))
        self._listener.acknowledge()


def publish_until_answered(edge: Edge, scope: StreamPublisher, frame: Callable[[int], Frame]) -> int:
    """Publish frames until the edge has answered one; the sequence number of the next."""
    # A microscope publishes whether or not anyone listens: frames before the subscription are not the edge's.
    sequence = 0
    while edge.status()["frames_answered"] == 0:
        publish(scope, frame(sequence))
        sequence += 1
    return sequence


def publish(publisher: StreamPublisher, frame: Frame) -> None:
    """Send a frame as an agent would."""
    publisher.publish(frame.header, frame.array)
