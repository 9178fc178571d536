"""Taking frames: into which shard each belongs, and which do not belong into any."""

from __future__ import annotations

from typing import Literal

from eucentric_core import DataFormatError, Frame

from ._aside import Aside
from ._durability import Durability
from ._ending import Ending
from ._origin import Origin
from ._packing import AsPublished
from ._poison import Poison, PoisonKind, poison_in
from ._recording import GrowingShard, Recording
from ._room import Room
from ._rules import MAX_GAP, require_near, seals_before
from ._sessions import Sessions

__all__ = ["Accepted", "FrameIntake"]

Accepted = Literal["stored", "duplicate", "late", "quarantined"]


class FrameIntake:
    """Takes frames into open shards, and sets aside what cannot be in any. For the thread that records.

    Args:
        sessions: that are being recorded.
        durability: takes frames into segments.
        ending: gets shards that are full.
        aside: takes what is set aside.
        room: on the disk.
        frames_per_shard: acquisitions per shard.
    """

    def __init__(
        self,
        sessions: Sessions,
        durability: Durability,
        ending: Ending,
        aside: Aside,
        room: Room,
        *,
        frames_per_shard: int,
    ) -> None:
        self._sessions = sessions
        self._durability = durability
        self._ending = ending
        self._aside = aside
        self._room = room
        self._frames_per_shard = frames_per_shard

    def take(self, frame: Frame, published: AsPublished) -> Accepted:
        """Take a frame, see `Journal.append`.

        Raises:
            DataFormatError: the session is over, or the sequence number is not believable.
            OutOfSpaceError, JournalError: it is not accepted.
        """
        header = frame.header
        recording = self._sessions.known(header.instrument, header.session, header.sample, header.material)
        if recording.row.state != "open" and recording.has(header):
            return "duplicate"
        self._sessions.admit(recording)
        require_near(header.sequence, recording.last_known, "Sequence number")
        self._durability.refuse_broken()
        self._ending.hand_over(recording)
        key = (header.sequence, header.stream)
        if key in recording.quarantined:
            return "duplicate"
        shard = recording.closing_around(header.sequence)
        if shard is None and header.sequence < recording.next_sequence:
            return "duplicate" if recording.has(header) else self._too_late(recording, frame)
        shard = shard or recording.open
        if shard is not None and header.stream in shard.held.get(header.sequence, ()):
            return "duplicate"
        if shard is not None and shard.last is not None and key not in shard.lost:
            return self._too_late(recording, frame)
        if poison := poison_in(frame, recording.shapes):
            return self._set_aside(recording, frame, poison)
        return self._store(recording, shard, frame, published)

    def _store(
        self, recording: Recording, shard: GrowingShard | None, frame: Frame, published: AsPublished
    ) -> Accepted:
        header = frame.header
        if shard is not None and shard.last is None:
            full = seals_before(header.sequence, shard.held, self._frames_per_shard)
            if full or (header.sequence not in shard.held and not shard.fits(header)):
                self._sessions.shut(recording, shard)
                shard = None
        if shard is not None and not shard.fits(header):
            what = f"Frame {header.sequence} has more streams and shapes than a shard has groups."
            return self._set_aside(recording, frame, Poison("too_many_shapes", what))
        self._room.require(2 * header.nbytes)
        shard = shard or self._sessions.begin_shard(recording)
        shard.note(header)
        recording.streams.add(header.stream)
        recording.shapes.note(header)
        self._durability.take(shard.segment, frame, published)
        return "stored"

    def take_found(self, frame: Frame) -> bool:
        """Take a frame that version 0.1 had acknowledged, also into a session that is over; is it new?

        Raises:
            DataFormatError: the sequence number is not believable.
            OutOfSpaceError, JournalError: it is not accepted.
        """
        recording = self._sessions.find(frame.header.instrument, frame.header.session)
        if recording is None or recording.row.state == "open":
            return self.take(frame, AsPublished()) == "stored"
        # The session is over, but what was acknowledged in it still belongs to it.
        recording.row, row = recording.row.reopened(), recording.row
        try:
            return self.take(frame, AsPublished()) == "stored"
        finally:
            recording.row = row

    def set_message_aside(
        self,
        stream: str,
        header: bytes,
        payload: memoryview,
        error: DataFormatError,
        *,
        origin: Origin,
        kind: PoisonKind,
    ) -> None:
        """Set a message aside, see `Journal.quarantine_message`.

        Raises:
            OutOfSpaceError, JournalError: it is not set aside.
        """
        recording = self._sessions.find(origin.instrument, origin.session)
        sequence = origin.sequence
        if recording is not None and (sequence is None or sequence - recording.last_known > MAX_GAP):
            recording = None
        self._aside.set_message_aside(recording, stream, header, payload, error, origin=origin, kind=kind)

    def _set_aside(self, recording: Recording, frame: Frame, poison: Poison) -> Literal["quarantined"]:
        self._aside.set_frame_aside(recording, frame, poison)
        return "quarantined"

    def _too_late(self, recording: Recording, frame: Frame) -> Literal["late"]:
        header = frame.header
        what = f"Frame {header.sequence} of stream {header.stream!r} came after its shard was closed."
        self._set_aside(recording, frame, Poison("late", what))
        return "late"
