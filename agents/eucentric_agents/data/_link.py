"""The way to the data process: frames and events, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import zmq

from eucentric_core import Event, Frame, ServiceUnavailableError, TransportError
from eucentric_core.transport import StreamPublisher

__all__ = ["DataLink"]

_TRY_S = 0.5
_LIMIT_S = 60.0


class DataLink:
    """Publishes to the data process and notices at once when it is gone. Any thread may publish.

    A lossless consumer that is slow holds `publish` back, for up to a minute; a data process that has
    died makes it fail within half a second.

    Args:
        endpoint: of the data process.
        ring_bytes: most shared memory for frames on their way (bytes); 0: none.
    """

    def __init__(self, endpoint: str, *, ring_bytes: int = 0) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._publisher = StreamPublisher(
            endpoint, context=self._context, timeout_s=_TRY_S, ring_bytes=ring_bytes
        )
        self._broken = threading.Event()

    def publish(self, frame: Frame) -> None:
        """Send one frame; its array must not be changed afterwards.

        Raises:
            ServiceUnavailableError: the data process is gone.
            TransportError: nobody took the frame for a minute.
        """
        self._send(lambda: self._publisher.publish(frame.header, frame.array))

    def publish_event(self, event: Event) -> None:
        """Send one event, after everything sent before it; fails as `publish` does."""
        self._send(lambda: self._publisher.publish_event(event))

    def mark_broken(self) -> None:
        """The data process is gone: refuse everything until it is back."""
        self._broken.set()

    def mark_whole(self) -> None:
        """The data process, another one, answers again."""
        self._publisher.start_anew()
        self._broken.clear()

    @property
    def broken(self) -> bool:
        """Whether the data process is gone."""
        return self._broken.is_set()

    def close(self) -> None:
        """Close the link; what was published still leaves, for two seconds."""
        self._publisher.close()
        self._context.term()

    def _send(self, attempt: Callable[[], None]) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while True:
            if self._broken.is_set():
                raise ServiceUnavailableError(
                    "The agent's data process is not running.",
                    safe="acquisition has stopped and the beam is blanked; what was recorded is kept.",
                    next_step="wait until it is restarted, then start the scan again; see its log.",
                )
            try:
                return attempt()
            except TransportError:
                if time.monotonic() > deadline:
                    raise
