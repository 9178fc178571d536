"""At a clean stop the recorder goes on until the data server has said that nothing is left for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import zmq

from eucentric_agents.recording import Recorder
from eucentric_core import Frame

WAIT_MS = 20_000


class LateServer:
    """Speaks as a data server does, as late as a loaded machine may make it."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._router = context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.setsockopt(zmq.RCVTIMEO, WAIT_MS)
        self.port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self._identity = b""

    def hear(self, op: str) -> dict[str, Any]:
        """Wait for a request."""
        while True:
            self._identity, text = self._router.recv_multipart()
            request: dict[str, Any] = json.loads(text)
            if request["op"] == op:
                return request

    def say(self, *parts: bytes) -> None:
        """Send something to the recorder."""
        self._router.send_multipart([self._identity, *parts])

    def send(self, frame: Frame) -> None:
        """Send a frame to the recorder."""
        header = frame.header.model_dump_json().encode()
        self.say(b"data", frame.header.stream.encode(), header, frame.array.tobytes())

    def close(self) -> None:
        """Close the socket."""
        self._router.close()


def test_silence_while_a_group_becomes_durable_is_not_the_end(
    site: Any, make_frame: Callable[..., Frame]
) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    journal = site.open_journal()
    server = LateServer(context)
    recorder = Recorder(
        journal, host="127.0.0.1", port=server.port, publish=site.events.append, context=context
    )
    starting = threading.Thread(target=recorder.start)
    starting.start()
    server.hear("subscribe")
    server.say(b"subscribed")
    starting.join()
    stopping = threading.Thread(target=recorder.stop, kwargs={"drain_s": WAIT_MS / 1000})
    server.send(make_frame(0))
    stopping.start()
    number = server.hear("drain")["number"]
    # It waits for the answer, however long ago the last frame came and became durable.
    while recorder.status().frames_durable < 1:
        stopping.join(0.01)
    for sequence in (1, 2):
        assert stopping.is_alive()
        server.send(make_frame(sequence))
        while recorder.status().frames_durable < sequence + 1:
            stopping.join(0.01)
    server.say(b"drained", str(number + 1).encode())  # to a question that nobody asked
    server.send(make_frame(3))
    server.say(b"drained", str(number).encode())
    stopping.join()
    assert recorder.status().state == "stopped"
    assert recorder.status().frames_durable == 4
    journal.close()
    server.close()
    context.term()
