"""The sessions that are being recorded, and their shards: which begin, which take no more."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import replace

from eucentric_core import DataFormatError

from ._durability import Durability
from ._folders import SegmentName
from ._ledger import Ledger
from ._recording import GrowingShard, Recording, recording_of
from ._room import Room
from ._rules import missing_between
from ._sealer import Sealer

__all__ = ["Sessions"]


class Sessions:
    """Unfinished sessions by instrument and name. For the thread that records.

    Args:
        recordings: those that are unfinished; who closes one takes it out.
        ledger: which knows the others, too.
        durability: where shards are opened.
        sealer: what it has not sealed yet is bounded.
        room: made when the ledger has none.
        max_unsealed_bytes: with more to seal, no shard is begun before some of it is.
    """

    def __init__(
        self,
        recordings: MutableMapping[tuple[str, str], Recording],
        ledger: Ledger,
        durability: Durability,
        sealer: Sealer,
        room: Room,
        *,
        max_unsealed_bytes: int,
    ) -> None:
        self._recordings = recordings
        self._ledger = ledger
        self._durability = durability
        self._sealer = sealer
        self._room = room
        self._max_unsealed_bytes = max_unsealed_bytes

    def __iter__(self) -> Iterator[Recording]:
        # Sessions begin and end meanwhile.
        return iter(list(self._recordings.values()))

    def __len__(self) -> int:
        return len(self._recordings)

    def find(self, instrument: str, session: str) -> Recording | None:
        """An unfinished session, if there is one of that name."""
        return self._recordings.get((instrument, session))

    def known(self, instrument: str, session: str, sample: str | None, material: str | None) -> Recording:
        """A session as it is known, with what is told of its sample now; it may be over, or new.

        Raises:
            OutOfSpaceError, JournalError: the ledger's disk failed.
        """
        known = self._recordings.get((instrument, session))
        if known is not None and not known.says_more(sample, material):
            return known
        row = self._room.again(
            lambda: self._ledger.open_session(instrument, session, sample=sample, material=material)
        )
        if known is None:
            return recording_of(self._ledger, row)
        known.row = replace(known.row, sample=row.sample, material=row.material)
        return known

    def admit(self, recording: Recording) -> None:
        """Count a session as one that is recorded.

        Raises:
            DataFormatError: it is over.
        """
        row = recording.row
        if row.state != "open":
            raise DataFormatError(
                f"Session {row.session} of {row.instrument} is over.",
                safe="its data set is complete and unchanged.",
                next_step="start a session under a new name.",
            )
        self._recordings.setdefault((row.instrument, row.session), recording)

    def to_end(self, instrument: str, session: str) -> Recording | None:
        """A session that is to end, taken up again if nobody records it; None if it is closed.

        Raises:
            OutOfSpaceError, JournalError: the ledger's disk failed.
        """
        row = self._room.again(
            lambda: self._ledger.open_session(instrument, session, sample=None, material=None)
        )
        if row.state == "closed":
            return None
        return self._recordings.setdefault((instrument, session), Recording(row))

    def mark_over(self, recording: Recording, frames: int | None) -> None:
        """Write down that a session is over, and how many acquisitions it had, if that is known.

        Raises:
            OutOfSpaceError, JournalError: the ledger's disk failed.
        """
        recording.row = self._room.again(lambda: self._ledger.mark_closing(recording.row.id, frames))

    def begin_shard(self, recording: Recording) -> GrowingShard:
        """A shard behind all others of its session.

        Raises:
            OutOfSpaceError, JournalError: the disk failed, or what there is to seal cannot be sealed.
        """
        if self._sealer.waiting_bytes > self._max_unsealed_bytes:
            self._sealer.wait(most_bytes=self._max_unsealed_bytes)
        name = SegmentName(recording.row.id, recording.next_index, 0)
        return recording.add(self._durability.open_segment(name))

    def shut(self, recording: Recording, shard: GrowingShard) -> None:
        """The open shard takes no new acquisition; it goes to the sealer once it is durable.

        That it becomes with the next commit, together with what follows it: a flush of its own would hold up
        the frames behind.
        """
        if not shard.held:
            # Nothing of it became durable.
            recording.growing.remove(shard)
            recording.next_index = shard.index
            shard.segment.discard()
            return
        gaps = missing_between(recording.next_sequence, max(shard.held) + 1, shard.held)
        recording.missing.update(gaps)
        recording.shut(shard)

    def give_up_the_rest(self, recording: Recording) -> None:
        """Nothing more comes: what failed and was not sent again is missing."""
        shard = recording.open
        if shard is not None:
            self.shut(recording, shard)
        for growing in recording.growing:
            growing.lost.clear()
