"""The recorder: takes every message of the data channel and acknowledges it once it is durable."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

import zmq

from eucentric_core import (
    DataFormatError,
    ErrorReport,
    EucentricError,
    Event,
    Frame,
    FrameQuarantined,
    LedgerMended,
    OutOfSpaceError,
    RecordingPaused,
    ServiceUnavailableError,
    SessionStarted,
    SessionStopped,
    TransportError,
)
from eucentric_core.transport import EVENT_STREAM, ChannelAccess, StreamMessage, StreamSubscriber

from ._errors import JournalError
from ._group import CREDIT, GROUPS_IN_FLIGHT, WINDOW_BYTES, Group, Outcome, ends_a_session
from ._journal import Journal
from ._origin import origin_of, unreadable
from ._poison import PoisonKind
from ._status import Publish, RecorderStatus

__all__ = ["Recorder"]

_COMMIT_S = 0.005
_MAX_TOLD = 1000
_IDLE_S = 0.5
_POLL_S = 0.05
_RETRY_S = 0.5

_log = logging.getLogger(__name__)


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
            credit=CREDIT,
            window_bytes=WINDOW_BYTES,
            context=context,
            access=access,
        )
        self._counts: Counter[Outcome] = Counter()
        self._kinds: Counter[str] = Counter()
        self._told: set[tuple[str, str]] = set()
        self._gathered = Group()
        self._in_flight: deque[Group] = deque()
        self._held: StreamMessage | None = None
        self._error: ErrorReport | None = None
        self._told_of_the_ledger: str | None = None
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
            frames_durable=self.frames_durable,
            frames_hurried=self._journal.frames_hurried,
            duplicates=self._counts["duplicate"],
            refused=self._counts["refused"] + self._counts["late"],
            shards_sealed=self._journal.shards_sealed,
            shards_unsealed=self._journal.shards_unsealed,
            unsealed_bytes=self._journal.unsealed_bytes,
            quarantined=dict(self._kinds),
            frames_quarantined=sum(self._journal.ledger.quarantined_kinds().values()),
            quarantine_bytes=self._journal.quarantine.size_bytes,
            local_copies_bytes=self._journal.local_copies.size_bytes,
            free_bytes=shutil.disk_usage(self._journal.folders.root).free,
            error=self._error,
        )

    @property
    def frames_durable(self) -> int:
        """Frames recorded and acknowledged since the start. Asks neither disk nor database."""
        return self._counts["stored"]

    @property
    def failed(self) -> bool:
        """Whether the thread has ended by itself."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._finished

    def _tell_of_the_ledger(self) -> None:
        """Once, if it was damaged and is mended."""
        finding = self._journal.ledger.finding
        if finding is None or finding.what == self._told_of_the_ledger:
            return
        self._told_of_the_ledger = finding.what
        self._error = ErrorReport(
            code=JournalError.code,
            what=finding.what,
            safe="what was acknowledged is kept, and the recording goes on.",
            next_step="look at the reasons in the quarantine, and check the disk.",
        )
        try:
            self._publish(LedgerMended(source="recorder", error=self._error))
        except TransportError as unheard:
            _log.warning("LedgerMended was not published: %s", unheard)

    def _run(self) -> None:
        asked = drained = False
        while not self._stopping.is_set() or time.monotonic() < self._drain_until:
            self._tell_of_the_ledger()
            draining = self._stopping.is_set()
            if draining and not asked:
                self._subscriber.ask_drained()
                asked = True
            # Before looking: what it speaks of is there by then.
            drained = self._subscriber.is_drained()
            some_came = self._gather(self._patience_s(draining=draining))
            ends = self._held is not None
            if not self._begin(more_comes=some_came and not ends) or not self._settle(wait=ends):
                break
            if not some_came and not self._in_flight:
                if drained:
                    break
                if not draining:
                    self._attempt(self._journal.tend)
        self._settle(wait=True)
        self._attempt(self._journal.tidy)
        if asked and not drained:
            _log.warning("stopped before everything had come: what is not recorded is missing in its session")
        self._finished = True

    def _patience_s(self, *, draining: bool) -> float:
        """How long to wait for a message. What became durable meanwhile wakes us."""
        if self._in_flight and self._gathered.is_worth_it:
            return _COMMIT_S
        expects = draining or self._in_flight or (self._journal.ends_a_session and not self._paused)
        return _POLL_S if expects else _IDLE_S

    def _gather(self, timeout_s: float) -> bool:
        """Take what waits into the group that one flush will serve; whether anything came in time."""
        group, some_came = self._gathered, False
        try:
            while not group.full:
                message = self._held or self._subscriber.receive(0.0 if some_came else timeout_s)
                self._held = None
                if message is None:
                    break
                some_came = True
                if (group.messages or self._in_flight) and ends_a_session(message):
                    # That takes transactions of the ledger: what came before is acknowledged before.
                    self._held = message
                    break
                position = group.add(message)
                group.note(position, self._take(message))
        except ServiceUnavailableError as error:
            # The subscription renews itself; what was missed will be listed as missing.
            _log.warning("%s", error)
        except (OutOfSpaceError, JournalError) as error:
            self._persist(error)
        return some_came

    def _begin(self, *, more_comes: bool = True) -> bool:
        """Begin to make durable what was gathered, once it is worth a flush; False if told to stop meanwhile.

        At a low rate each message is flushed at once. While the disk is busy with others, a group grows.
        """
        group = self._gathered
        grows = self._in_flight and not group.full and (more_comes or not group.is_worth_it)
        if not group.messages or grows:
            return True
        try:
            group.commit = self._journal.begin_commit()
        except (OutOfSpaceError, JournalError) as error:
            return self._persist(error)
        group.commit.when_done(self._subscriber.wake)
        self._in_flight.append(group)
        self._gathered = Group()
        return True

    def _settle(self, *, wait: bool) -> bool:
        """Acknowledge what has become durable; False if told to stop while it could not be made so."""
        while self._in_flight:
            commit = self._in_flight[0].commit
            if commit is None:
                break
            if not (commit.done or wait or len(self._in_flight) >= GROUPS_IN_FLIGHT):
                break
            try:
                commit.wait()
            except (OutOfSpaceError, JournalError) as error:
                return self._persist(error)
            self._acknowledge(self._in_flight.popleft())
        return self._begin()

    def _persist(self, error: EucentricError) -> bool:
        """Make everything that is here durable, waiting for room as long as it takes; False if told to stop.

        It is repeated as a whole: what is stored already is recognised as a duplicate.
        """
        pending = [*self._in_flight, self._gathered]
        self._in_flight.clear()
        self._gathered = Group()
        while True:
            self._pause(error)
            try:
                self._journal.sync()
                for group in pending:
                    for position, message in enumerate(group.messages):
                        group.note(position, self._take(message))
                self._journal.sync()
            except (OutOfSpaceError, JournalError) as again:
                error = again
                if self._stopping.wait(_RETRY_S) and time.monotonic() >= self._drain_until:
                    waiting = sum(len(group.messages) for group in pending)
                    _log.error("stopped while paused: %d messages were not recorded", waiting)
                    return False
                continue
            for group in pending:
                self._acknowledge(group)
            return True

    def _acknowledge(self, group: Group) -> None:
        self._counts.update(group.outcomes.values())
        self._resume()
        if group.messages:
            self._subscriber.acknowledge(len(group.messages), at_once=True)

    def _take(self, message: StreamMessage) -> Outcome | None:
        """What became of a frame; None for an event."""
        try:
            content = message.event() if message.stream == EVENT_STREAM else message.frame()
        except DataFormatError as error:
            return self._set_message_aside(message, error)
        except Exception as error:  # noqa: BLE001
            # Whoever may publish must not be able to end the recording for all others.
            return self._set_message_aside(message, unreadable(message.stream, error))
        if isinstance(content, Frame):
            return self._record(message, content)
        try:
            self._follow(content)
        except DataFormatError as error:
            return self._set_message_aside(message, error)
        return None

    def _record(self, message: StreamMessage, frame: Frame) -> Outcome:
        try:
            outcome = self._journal.append(frame, crc32c=message.crc32c, header_json=message.header)
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
                self._journal.end_session(stopped.instrument, stopped.session, frames=stopped.frames)
            case _:
                pass

    def _attempt(self, tidying: Callable[[], None]) -> None:
        try:
            tidying()
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
