"""The recorder: takes every message of the data channel and acknowledges it once it is durable."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Literal

import zmq

from eucentric_core import (
    DataFormatError,
    ErrorReport,
    EucentricError,
    Event,
    Frame,
    FrameQuarantined,
    OutOfSpaceError,
    RecordingPaused,
    ServiceUnavailableError,
    SessionStarted,
    SessionStopped,
    TransportError,
)
from eucentric_core.transport import EVENT_STREAM, ChannelAccess, StreamMessage, StreamSubscriber

from ._commit import Commit
from ._errors import JournalError
from ._journal import Journal
from ._origin import origin_of
from ._poison import PoisonKind
from ._status import Publish, RecorderStatus

__all__ = ["Recorder"]

_GROUP_MESSAGES = 32
_GROUP_BYTES = 32 << 20
_GROUPS_IN_FLIGHT = 2
_CREDIT = _GROUPS_IN_FLIGHT * _GROUP_MESSAGES
_COMMIT_S = 0.005
_MAX_TOLD = 1000
_IDLE_S = 0.5
_DRAIN_POLL_S = 0.05
_RETRY_S = 0.5

_log = logging.getLogger(__name__)


Outcome = Literal["stored", "duplicate", "late", "quarantined", "refused"]
_InFlight = tuple[list[StreamMessage], dict[int, "Outcome"], Commit]


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
        access: gets the data channel's keys, where it has some.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        host: str,
        port: int,
        publish: Publish,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        access: ChannelAccess | None = None,
    ) -> None:
        self._journal = journal
        self._publish = publish
        self._subscriber = StreamSubscriber(
            host,
            port,
            mode="lossless",
            credit=_GROUPS_IN_FLIGHT * _GROUP_MESSAGES,
            context=context,
            access=access,
        )
        self._counts: Counter[Outcome] = Counter()
        self._kinds: Counter[str] = Counter()
        self._told: set[tuple[str, str]] = set()
        self._in_flight: deque[_InFlight] = deque()
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
        """Record what the server still has for us, for `drain_s` at most, and end. The journal stays open."""
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
            shards_unsealed=self._journal.shards_unsealed,
            quarantined=dict(self._kinds),
            frames_quarantined=sum(self._journal.ledger.quarantined_kinds().values()),
            quarantine_bytes=self._journal.quarantine.size_bytes,
            local_copies_bytes=self._journal.local_copies.size_bytes,
            free_bytes=shutil.disk_usage(self._journal.folders.root).free,
            error=self._error,
        )

    @property
    def failed(self) -> bool:
        """Whether the thread has ended by itself."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._finished

    def _run(self) -> None:
        asked = drained = False
        while not self._stopping.is_set() or time.monotonic() < self._drain_until:
            draining = self._stopping.is_set()
            if draining and not asked:
                self._subscriber.ask_drained()
                asked = True
            # Before looking: what it speaks of is there by then.
            drained = self._subscriber.is_drained()
            # While something is on its way to the disk, look again as soon as it may have arrived.
            group = self._next_group(_COMMIT_S if self._in_flight else _DRAIN_POLL_S if draining else _IDLE_S)
            if group and not self._begin(group):
                break
            if not self._settle(wait=not group):
                break
            if not group and not self._in_flight:
                if drained:
                    break
                if not draining:
                    self._tidy()
        self._settle(wait=True)
        if asked and not drained:
            _log.warning("stopped before everything had come: what is not recorded is missing in its session")
        self._finished = True

    def _next_group(self, timeout_s: float) -> list[StreamMessage]:
        """What waits, up to a bound, so that one flush serves it all; empty if nothing came in time."""
        group: list[StreamMessage] = []
        size_bytes = 0
        try:
            while len(group) < _GROUP_MESSAGES and size_bytes < _GROUP_BYTES:
                message = self._subscriber.receive(0.0 if group else timeout_s)
                if message is None:
                    break
                group.append(message)
                size_bytes += len(message.payload.buffer)
        except ServiceUnavailableError as error:
            # The subscription renews itself; what was missed will be listed as missing.
            _log.warning("%s", error)
        return group

    def _begin(self, group: list[StreamMessage]) -> bool:
        """Hand a group to the journal and begin to make it durable; False if told to stop meanwhile."""
        outcomes: dict[int, Outcome] = {}
        try:
            for position, message in enumerate(group):
                self._note(outcomes, position, self._take(message))
            self._in_flight.append((group, outcomes, self._journal.begin_commit()))
        except (OutOfSpaceError, JournalError) as error:
            return self._persist(group, outcomes, error)
        return True

    def _settle(self, *, wait: bool) -> bool:
        """Acknowledge what has become durable; False if told to stop while it could not be made so."""
        while self._in_flight:
            group, outcomes, commit = self._in_flight[0]
            if not (commit.done or wait or len(self._in_flight) >= _GROUPS_IN_FLIGHT):
                break
            try:
                commit.wait()
            except (OutOfSpaceError, JournalError) as error:
                return self._persist([], {}, error)
            self._in_flight.popleft()
            self._acknowledge(group, outcomes)
        return True

    def _persist(
        self, last: list[StreamMessage], outcomes: dict[int, Outcome], error: EucentricError
    ) -> bool:
        """Make everything in flight durable, waiting for room as long as it takes; False if told to stop.

        It is repeated as a whole: what is stored already is recognised as a duplicate.
        """
        pending = [(group, known) for group, known, _ in self._in_flight]
        pending += [(last, outcomes)] if last else []
        self._in_flight.clear()
        while True:
            self._pause(error)
            try:
                self._journal.sync()
                for group, known in pending:
                    for position, message in enumerate(group):
                        self._note(known, position, self._take(message))
                self._journal.sync()
            except (OutOfSpaceError, JournalError) as again:
                error = again
                if self._stopping.wait(_RETRY_S) and time.monotonic() >= self._drain_until:
                    waiting = sum(len(group) for group, _ in pending)
                    _log.error("stopped while paused: %d messages were not recorded", waiting)
                    return False
                continue
            for group, known in pending:
                self._acknowledge(group, known)
            return True

    @staticmethod
    def _note(outcomes: dict[int, Outcome], position: int, outcome: Outcome | None) -> None:
        if outcome == "duplicate":
            # Taken again, it is there: what it was the first time stays true.
            outcomes.setdefault(position, outcome)
        elif outcome is not None:
            outcomes[position] = outcome

    def _acknowledge(self, group: Sequence[StreamMessage], outcomes: dict[int, Outcome]) -> None:
        self._counts.update(outcomes.values())
        self._resume()
        if group:
            self._subscriber.acknowledge(len(group))

    def _take(self, message: StreamMessage) -> Outcome | None:
        """What became of a frame; None for an event."""
        try:
            content = message.event() if message.stream == EVENT_STREAM else message.frame()
        except DataFormatError as error:
            return self._set_message_aside(message, error)
        except Exception as error:  # noqa: BLE001
            # Whoever may publish must not be able to end the recording for all others.
            return self._set_message_aside(message, _unreadable(message.stream, error))
        if isinstance(content, Frame):
            return self._record(message, content)
        try:
            self._follow(content)
        except DataFormatError as error:
            return self._set_message_aside(message, error)
        return None

    def _record(self, message: StreamMessage, frame: Frame) -> Outcome:
        try:
            outcome = self._journal.append(frame)
        except DataFormatError as error:
            self._set_message_aside(message, error, kind="refused")
            return "refused"
        if outcome in ("late", "quarantined"):
            poison = self._journal.last_poison
            if poison is not None:
                self._tell(
                    poison.kind,
                    poison.error().report(),
                    frame.header.instrument,
                    frame.header.session,
                    message.stream,
                    frame.header.sequence,
                )
        return outcome

    def _set_message_aside(
        self, message: StreamMessage, error: DataFormatError, *, kind: PoisonKind = "malformed"
    ) -> Outcome:
        """Keep what is not recorded, whatever it is, and go on."""
        origin = origin_of(message.header)
        self._journal.quarantine_message(
            message.stream, message.header, message.payload.buffer, error, origin=origin, kind=kind
        )
        self._tell(kind, error.report(), origin.instrument, origin.session, message.stream, origin.sequence)
        return "quarantined"

    def _tell(
        self, kind: str, report: ErrorReport, instrument: str, session: str, stream: str, sequence: int | None
    ) -> None:
        """Count every frame in quarantine; publish the first of each kind and session."""
        self._error = report
        self._kinds[kind] += 1
        if len(self._told) >= _MAX_TOLD or (session, kind) in self._told:
            return
        self._told.add((session, kind))
        event = FrameQuarantined(
            source="recorder",
            instrument=instrument,
            session=session,
            stream=stream,
            sequence=sequence,
            error=report,
        )
        try:
            self._publish(event)
        except TransportError as unheard:
            _log.warning("FrameQuarantined was not published: %s", unheard)

    def _follow(self, event: Event) -> None:
        match event:
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


def _unreadable(stream: str, error: Exception) -> DataFormatError:
    return DataFormatError(
        f"A message of stream {stream!r} cannot be read: {type(error).__name__}: {error}",
        safe="it is in the quarantine; the recording goes on.",
        next_step="report this with the reason file; header and bytes are kept.",
    )
