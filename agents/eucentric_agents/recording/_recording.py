"""A session that is being recorded, as the journal holds it in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._ledger import SessionRow
from ._spool import SpoolSegment

__all__ = ["Recording"]


@dataclass
class Recording:
    """An unfinished session: its row, its open segment, and which acquisitions the segment holds.

    `held` maps a sequence number to the streams seen of it; `streams` are all of the session so far.
    """

    row: SessionRow
    segment: SpoolSegment | None = None
    held: dict[int, set[str]] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)
    simulated: bool = False

    @property
    def last_known(self) -> int:
        """Highest sequence number seen, -1 before the first."""
        return max(self.held, default=self.row.next_sequence - 1)

    @property
    def held_streams(self) -> tuple[str, ...]:
        """Streams of the open segment, sorted."""
        return tuple(sorted(set().union(*self.held.values())))

    def note(self, sequence: int, stream: str, *, simulated: bool) -> None:
        """Remember that the segment holds a frame."""
        self.held.setdefault(sequence, set()).add(stream)
        self.streams.add(stream)
        self.simulated |= simulated

    def recount(self) -> None:
        """Take what is held from the segment itself."""
        self.held = {}
        for header in self.segment.headers if self.segment is not None else ():
            self.note(header.sequence, header.stream, simulated=header.simulated)

    def take_segment(self) -> SpoolSegment | None:
        """Part with the segment; the next frame opens a new one."""
        segment, self.segment, self.held = self.segment, None, {}
        return segment
