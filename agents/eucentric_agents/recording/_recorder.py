"""The recorder: takes every message of the data channel and acknowledges it once it is durable."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import zmq

from eucentric_core import (
    DataFormatError,
    ErrorReport,
    EucentricError,
    OutOfSpaceError,
    RecordingPaused,
    ServiceUnavailableError,
    SessionStarted,
    SessionStopped,
    TransportError,
)
from eucentric_core.transport import EVENT_STREAM, StreamMessage, StreamSubscriber

from ._errors import JournalError
from ._journal import Journal
from ._status import Publish, RecorderStatus

__all__ = ["Recorder"]

_GROUP_MESSAGES = 16
_IDLE_S = 0.5
_DRAINED_S = 0.3
_RETRY_S = 0.5

_log = logging.getLogger(__name__)


Outcome = Literal["stored", "duplicate", "late", "refused"]


class Recorder:
    """A thread between the data channel and the journal.

    While the disk has no room it publishes `RecordingPaused` once, acknowledges nothing, so that the
    source feels it, and goes on by itself when there is room again.

    Args:
        journal: where frames become durable; this thread is its only writer.
        host: address of the data server.
        port: its port.
        publish: sends `RecordingPaused`.
        context: ZeroMQ context of the process.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        host: str,
        port: int,
        publish: Publish,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self._journal = journal
        self._publish = publish
        self._subscriber = StreamSubscriber(
            host, port, mode="lossless", credit=_GROUP_MESSAGES, context=context
        )
        self._counts: Counter[Outcome] = Counter()
        self._error: ErrorReport | None = None
        self._paused = False
        self._stopping = threading.Event()
        self._drain_until = 0.0
        self._finished = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self, *, timeout_s: float = 10.0) -> None:
        """Begin to record.

        Raises:
            ServiceUnavailableError: the data server did not confirm the subscription in time.
        """
        try:
            self._subscriber.wait_subscribed(timeout_s)
        except ServiceUnavailableError:
            self._subscriber.close()
            raise
        self._thread.start()

    def stop(self, *, drain_s: float = 3.0) -> None:
        """Record what is still arriving, for `drain_s` at most, and end. The journal stays open."""
        self._drain_until = time.monotonic() + drain_s
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=drain_s + 10.0)
        self._subscriber.close()

    def status(self) -> RecorderStatus:
        """State and counts."""
        alive = self._thread.is_alive()
        ended = "stopped" if self._finished or self._thread.ident is None else "failed"
        return RecorderStatus(
            state=("paused" if self._paused else "recording") if alive else ended,
            open_sessions=self._journal.open_sessions,
            frames_durable=self._counts["stored"],
            duplicates=self._counts["duplicate"],
            refused=self._counts["refused"] + self._counts["late"],
            shards_sealed=self._journal.shards_sealed,
            error=self._error,
        )

    def _run(self) -> None:
        while not self._stopping.is_set() or time.monotonic() < self._drain_until:
            draining = self._stopping.is_set()
            group = self._next_group(_DRAINED_S if draining else _IDLE_S)
            if group:
                if not self._persist(group):
                    break
                self._subscriber.acknowledge(len(group))
            elif draining:
                break
            else:
                self._tidy()
        self._finished = True

    def _next_group(self, timeout_s: float) -> list[StreamMessage]:
        """Everything that waits, so that one fsync serves it all; empty if nothing came in time."""
        group: list[StreamMessage] = []
        try:
            while len(group) < _GROUP_MESSAGES:
                message = self._subscriber.receive(0.0 if group else timeout_s)
                if message is None:
                    break
                group.append(message)
        except ServiceUnavailableError as error:
            # The subscription renews itself; what was missed will be listed as missing.
            _log.warning("%s", error)
        return group

    def _persist(self, group: Sequence[StreamMessage]) -> bool:
        """Make a group durable, waiting for room as long as it takes; False if told to stop meanwhile.

        A group is repeated as a whole: what was stored already is recognised as a duplicate.
        """
        outcomes: dict[int, Outcome] = {}
        while True:
            try:
                for position, message in enumerate(group):
                    outcome = self._take(message)
                    if outcome is not None and outcomes.get(position) != "stored":
                        outcomes[position] = outcome
                self._journal.sync()
            except (OutOfSpaceError, JournalError) as error:
                self._pause(error)
                if self._stopping.wait(_RETRY_S) and time.monotonic() >= self._drain_until:
                    _log.error("stopped while paused: %d messages were not recorded", len(group))
                    return False
                continue
            self._counts.update(outcomes.values())
            self._resume()
            return True

    def _take(self, message: StreamMessage) -> Outcome | None:
        """What became of a frame; None for an event."""
        try:
            if message.stream == EVENT_STREAM:
                self._follow(message)
                return None
            outcome = self._journal.append(message.frame())
        except DataFormatError as error:
            self._error = error.report()
            _log.error("message of stream %s refused: %s", message.stream, error)
            return "refused"
        if outcome == "late":
            _log.error("a frame of stream %s came after its acquisition was given up", message.stream)
        return outcome

    def _follow(self, message: StreamMessage) -> None:
        match message.event():
            case SessionStarted() as started:
                self._journal.start_session(started)
            case SessionStopped() as stopped:
                self._journal.stop_session(stopped.instrument, stopped.session, frames=stopped.frames)
            case _:
                pass

    def _tidy(self) -> None:
        try:
            self._journal.tidy()
        except (OutOfSpaceError, JournalError) as error:
            self._pause(error)
        else:
            self._resume()

    def _resume(self) -> None:
        if self._paused:
            _log.info("recording resumed")
            self._paused, self._error = False, None

    def _pause(self, error: EucentricError) -> None:
        self._error = error.report()
        if self._paused:
            return
        self._paused = True
        _log.error("recording paused: %s", error)
        try:
            self._publish(RecordingPaused(source="recorder", error=error.report()))
        except TransportError as unheard:
            _log.warning("RecordingPaused was not published: %s", unheard)
